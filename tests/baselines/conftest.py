"""A small screen in two cell types, with combinations, to hold out from."""

import anndata
import numpy as np
import pandas as pd
import pytest
from scipy.sparse import csr_matrix

GENES = [f"G{k}" for k in range(12)]


def screen(seed, groups, contexts=("K",)):
    """Poisson counts with an own effect a label; ``groups`` maps label to number of cells."""
    rng = np.random.default_rng(seed)
    rows, labels, places = [], [], []
    for context in contexts:
        base = np.random.default_rng(len(context) + ord(context[0])).uniform(2, 20, len(GENES))
        for label, n in groups.items():
            effect = np.ones(len(GENES))
            for part in label.split("+"):
                if part != "ctrl":
                    effect *= np.random.default_rng(sum(map(ord, part))).uniform(0.4, 2.5, len(GENES))
            depth = rng.uniform(0.5, 1.5, (n, 1)) * (1 + n / 50)
            rows.append(rng.poisson(base * effect * depth))
            labels += [label] * n
            places += [context] * n
    order = rng.permutation(len(labels))
    values = np.vstack(rows)[order].astype(np.float32)
    obs = pd.DataFrame(
        {"pert": np.array(labels)[order], "cell": np.array(places)[order]}, index=[f"x{k}" for k in range(len(labels))]
    )
    return anndata.AnnData(csr_matrix(values), obs=obs, var=pd.DataFrame(index=GENES))


@pytest.fixture
def train():
    return screen(1, {"ctrl": 30, "G0": 12, "G1": 25, "G2": 18, "G0+G1": 9, "zz": 15}, ("K", "T"))


@pytest.fixture
def test():
    return screen(2, {"ctrl": 20, "G0": 8, "G3": 11, "G0+G2": 10, "G1+G9": 14, "G1+G0": 7, "zz": 6}, ("K", "T"))
