"""What can run here, and the data that many tests share."""

import importlib.util

import numpy as np
import pytest

PEERS = ("cell_eval", "cell_eval2", "pdex")
SCREEN_GENES = [f"G{k}" for k in range(12)]


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


def screen(seed, groups, contexts=("K",)):
    """Poisson counts with an own effect a label; ``groups`` maps label to number of cells."""
    import anndata
    import pandas as pd
    from scipy.sparse import csr_matrix

    rng = np.random.default_rng(seed)
    rows, labels, places = [], [], []
    for context in contexts:
        base = np.random.default_rng(len(context) + ord(context[0])).uniform(2, 20, len(SCREEN_GENES))
        for label, n in groups.items():
            effect = np.ones(len(SCREEN_GENES))
            for part in label.split("+"):
                if part != "ctrl":
                    effect *= np.random.default_rng(sum(map(ord, part))).uniform(0.4, 2.5, len(SCREEN_GENES))
            depth = rng.uniform(0.5, 1.5, (n, 1)) * (1 + n / 50)
            rows.append(rng.poisson(base * effect * depth))
            labels += [label] * n
            places += [context] * n
    order = rng.permutation(len(labels))
    values = np.vstack(rows)[order].astype(np.float32)
    obs = pd.DataFrame(
        {"pert": np.array(labels)[order], "cell": np.array(places)[order]}, index=[f"x{k}" for k in range(len(labels))]
    )
    return anndata.AnnData(csr_matrix(values), obs=obs, var=pd.DataFrame(index=SCREEN_GENES))


@pytest.fixture
def train():
    """A small screen in two cell types, with combinations."""
    return screen(1, {"ctrl": 30, "G0": 12, "G1": 25, "G2": 18, "G0+G1": 9, "zz": 15}, ("K", "T"))


@pytest.fixture
def test():
    """The same of other perturbations, to hold out."""
    return screen(2, {"ctrl": 20, "G0": 8, "G3": 11, "G0+G2": 10, "G1+G9": 14, "G1+G0": 7, "zz": 6}, ("K", "T"))


@pytest.fixture
def gpu_by_twin(monkeypatch):
    """``device="cuda"`` runs the kernels' twin on the host."""
    from vcmetrics.backend import gpu
    from vcmetrics.backend.compiled import CompiledKernels, numpy_address

    twin = pytest.importorskip("vcmetrics._cuda_twin", reason="built with VCM_CUDA_TWIN=OFF")
    engine = gpu.Engine(np, CompiledKernels(np, twin, numpy_address, lambda: 0))
    monkeypatch.setattr(gpu, "resolve_device", lambda device, **_: "cuda" if device == "cuda" else "cpu")
    monkeypatch.setattr(gpu, "engine", lambda: engine)
    return engine
