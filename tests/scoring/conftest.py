"""What the golden tests share."""

import numpy as np
import pytest


def undecided(context):
    """Perturbations with a gene whose two means are equal and not 0, on either side.

    Its fold change is exactly 0 here. The peer sums x·(1/n), so there it is rounding noise, and the sign of the noise
    counts as a direction. Accepted deviation: these perturbations are left out of the comparison of direction metrics.
    """
    found = set()
    for table in (context.de_real, context.de_pred):
        if table is not None and table.target_mean is not None:
            equal = (table.lfc == 0) & (table.target_mean > 0)
            found |= {t for t, some in zip(table.targets, equal.any(1), strict=True) if some}
    return found


@pytest.fixture(name="undecided")
def _undecided():
    return undecided


@pytest.fixture
def close():
    """Compare two values, but where rounding noise of the peer decides (see :func:`undecided`)."""

    def check(context, metric, label, got, want, limit):
        if "direction" not in metric or label not in undecided(context):
            np.testing.assert_allclose(got, want, rtol=limit, atol=limit, err_msg=f"{metric} {label}")

    return check
