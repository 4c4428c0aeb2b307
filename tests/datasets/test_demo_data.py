import numpy as np

from vcmetrics import datasets
from vcmetrics.datasets.stand_ins import halves, unperturbed


def test_demo_data_are_what_their_readme_says():
    about = datasets.demo()
    data = about.load()
    text = about.about.read_text()
    assert f"{data.n_obs:,} real cells × {data.n_vars} genes" in text
    assert (data.obs[about.pert_col] == about.control).sum() == 1923
    assert data.obs[about.pert_col].nunique() == 9
    assert "MIT License" in about.licence.read_text()
    assert (data.X.data == np.rint(data.X.data)).all()


def test_demo_data_are_small():
    folder = datasets.demo().path.parent
    assert sum(path.stat().st_size for path in folder.iterdir()) < 3_000_000


def test_halves_share_no_cell():
    labels = np.array(list("aaaabbbccd"), object)
    first, second = halves(labels, seed=3)
    assert not set(first) & set(second)
    assert sorted(labels[first]) == sorted(labels[second]) == ["a", "a", "b", "c"]
    again = halves(labels, seed=3)
    assert (again[0] == first).all()


def test_unperturbed_cells_are_control_cells():
    about = datasets.demo()
    data = about.load()[:400].copy()
    made = unperturbed(data, about.pert_col, about.control, seed=0)
    labels = data.obs[about.pert_col].to_numpy()
    assert (made.obs[about.pert_col].to_numpy() == labels).all()
    control = {tuple(row) for row in data.X.toarray()[labels == about.control]}
    assert {tuple(row) for row in made.X.toarray()} <= control
