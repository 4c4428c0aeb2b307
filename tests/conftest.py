"""What can run here, and the data that many tests share."""

import importlib.util

import pytest

PEERS = ("cell_eval", "cell_eval2", "pdex")


def pytest_collection_modifyitems(config, items):
    """GPU tests need a device, parity tests the peers: say why where they cannot run."""
    from vcmetrics.backend.device import cuda_status

    count, reason = cuda_status()
    for item in items:
        if count == 0 and item.get_closest_marker("gpu"):
            item.add_marker(pytest.mark.skip(reason=f"no CUDA device: {reason}"))
        parity = item.get_closest_marker("parity")
        # the mark names the peers that a test runs, or none for all scorers
        peers = () if parity is None else parity.args or PEERS
        missing = [name for name in peers if importlib.util.find_spec(name) is None]
        if missing:
            item.add_marker(pytest.mark.skip(reason=f"needs the extra `bench` ({', '.join(missing)} not installed)"))
