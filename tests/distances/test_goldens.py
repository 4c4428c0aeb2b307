"""Stored results of pertpy, scperturb, CellFlow and PerturBench (tests/golden/pertpy/README.md)."""

import json
import warnings
from pathlib import Path

import numpy as np
import pytest
import scipy.sparse as sp

import vcmetrics as vcm
from vcmetrics.distances.conventions import choose
from vcmetrics.distances.inputs import open_groups
from vcmetrics.distances.permutation import adjusted, p_value
from vcmetrics.distances.resampling import Resampled
from vcmetrics.metrics.distance.registry import get

FOLDER = Path(__file__).parents[1] / "golden" / "pertpy"
IN = np.load(FOLDER / "inputs.npz")
OUT = np.load(FOLDER / "outputs.npz")
NOTES = json.loads((FOLDER / "notes.json").read_text())
LABELS = IN["labels"].astype(str)
GROUPS = [str(group) for group in OUT["inputs/groups"]]
CORE = [group for group in GROUPS if group not in ("tiny", "single")]
DATA = {
    "pca64": IN["pca"],
    "pca32": IN["pca"].astype(np.float32),
    "lognorm64": IN["lognorm"],
    "csr64": sp.csr_matrix((IN["csr_data"], IN["csr_indices"], IN["csr_indptr"]), shape=IN["lognorm"].shape),
    "far64": IN["lognorm"] + 1000,
    "far32": (IN["lognorm"] + 1000).astype(np.float32),
    "nb3": IN["counts"][:, OUT["inputs/nb_ll_genes"]],
}
MMD = {
    "mmd_linear": {},
    "mmd_poly2_g1": {"kernel": "poly"},
    "mmd_poly3_g0.5": {"kernel": "poly", "degree": 3, "gamma": 0.5},
    "mmd_rbf_g0.1": {"kernel": "rbf", "gamma": 0.1},
    "mmd_rbf_g1": {"kernel": "rbf", "gamma": 1.0},
}
SEEN: set[str] = set()


def golden(key):
    SEEN.add(key)
    return OUT[key]


def spelled(name):
    """Metric and parameters of a key."""
    metric, _, change = name.partition("__")
    if metric in MMD:
        return "mmd", MMD[metric]
    if not change:
        return metric, {}
    return metric, {"aggregate": "median"} if change == "median" else {"cell_metric": change}


def close(found, expected, rtol, atol=0.0):
    np.testing.assert_allclose(np.asarray(found, float), expected, rtol=rtol, atol=atol)


def bounds(data, metric, expected):
    """Tolerances of the README: what the libraries themselves lose to rounding."""
    if metric == "nb_ll":
        return 2e-5, 0.0
    if data.endswith("32"):
        return 1e-5, 1e-6 * float(np.nanmax(np.abs(expected)))
    if metric in ("edistance", "mean_pairwise"):
        # products of uncentred cells: 1e-16 · |x|² under a root
        return (1e-7, 0.0) if data != "far64" else (1e-5, 1e-5)
    if data == "far64":
        # their kernels are sums of products around 4e7, their angles of 4e7/4e7
        return (1e-4, 1e-10) if metric in ("cosine_distance", "pearson_distance") else (1e-7, 0.0)
    return (1e-6, 0.0) if metric == "wasserstein" else (1e-9, 1e-13)


KEYS = [k for k in OUT.files if k.startswith(("pertpy/pairwise/", "pertpy/onesided/")) and "classifier_proba" not in k]


@pytest.mark.filterwarnings("ignore:.*singular")
@pytest.mark.parametrize("key", KEYS)
def test_pertpy(key):
    _, form, data, name = key.split("/")
    metric, parameters = spelled(name)
    groups = {"core": CORE, "nb3": ["geneC", "control", "geneA"]}.get(data, GROUPS)
    # the group of five: moments of the embedding, the rest on genes
    x = DATA[data] if data != "core" else DATA["pca64" if metric == "mahalanobis" else "lognorm64"]
    expected = golden(key).copy()
    how = {"pert_col": LABELS, "metric": metric, "groups": groups, "convention": "pertpy-1.0", **parameters}
    if form == "pairwise":
        found = vcm.distance_matrix(x, **how).to_numpy()
    else:
        found = vcm.distances_to(x, "control", **how).to_numpy()
    if key == "pertpy/onesided/core/mahalanobis":
        # dup is six cells, each twice, in ten dimensions: a singular covariance, inverted all the same there
        assert np.isnan(found[-1])
        found, expected = found[:-1], expected[:-1]
    if key == "pertpy/onesided/nb3/nb_ll":
        # a gene of geneA varies less than a Poisson; their optimiser diverges, here it is one
        block = DATA["nb3"][LABELS == "geneA"]
        assert (block.var(0) < block.mean(0)).sum() == 1
        found, expected = found[:-1], expected[:-1]
    if data == "far32":
        # what float32 leaves of it there is no target: the same cells in float64 are
        near = {**how, "groups": groups}
        exact = (IN["lognorm"] + 1000).astype(np.float32).astype(np.float64)
        call = (
            (lambda c: vcm.distance_matrix(c, **near))
            if form == "pairwise"
            else (lambda c: vcm.distances_to(c, "control", **near))
        )
        close(found, call(exact).to_numpy(), 1e-9, 1e-12)
        return
    rtol, atol = bounds(data, metric, expected)
    if data == "far64" and metric == "edistance":
        # E is translation-invariant: the offset must not cost a digit
        near = vcm.distance_matrix if form == "pairwise" else lambda c, **h: vcm.distances_to(c, "control", **h)
        close(found, near(IN["lognorm"], **how).to_numpy(), 1e-9, 1e-10)
    close(found, expected, rtol, atol)


def test_pertpy_names_and_orders():
    import anndata
    import pandas as pd

    adata = anndata.AnnData(
        IN["lognorm"], obs=pd.DataFrame({"pert": pd.Categorical(LABELS)}, index=list(map(str, range(len(LABELS)))))
    )
    adata.obsm["X_pca"] = IN["pca"]
    found = vcm.distance_matrix(adata, pert_col="pert", convention="pertpy-1.0")
    assert list(found.index) == NOTES["pairwise_index_order"]
    close(found, golden("pertpy/pairwise/pca64/edistance"), 1e-7)
    chosen = NOTES["groups_subset_order"]
    some = vcm.distance_matrix(adata, pert_col="pert", convention="pertpy-1.0", groups=chosen)
    close(some, golden("pertpy/pairwise_subset/pca64/edistance"), 1e-7)


def test_classifier_proba_draw_by_draw():
    expected = golden("pertpy/onesided/core/classifier_proba_seeded")
    cells = open_groups(IN["pca"], LABELS, groups=CORE)
    spec, control = get("classifier_proba"), CORE.index("control")
    others = [k for k in range(len(CORE)) if k != control]
    for number, group in enumerate(others):
        rng = np.random.default_rng(500 + number)
        value = spec.evaluate(cells, np.array([[group, control]], np.int32), {"random_state": rng})[0]
        assert value == pytest.approx(expected[group], rel=1e-6)
    assert expected[control] == 0


@pytest.mark.parametrize("name", ["edistance", "mean_pairwise", "euclidean", "mmd_linear", "mmd_rbf_g0.1", "t_test"])
@pytest.mark.parametrize("seed", [0, 7, "onesided"])
def test_bootstrap(name, seed):
    metric, parameters = spelled(name)
    how = {"pert_col": LABELS, "metric": metric, "n_bootstrap": 20, "convention": "pertpy-1.0", **parameters}
    if seed == "onesided":
        found = vcm.bootstrap_distance(IN["pca"], "control", random_state=0, **how)
        keys = [f"pertpy/bootstrap20_onesided/pca64/{name}/{part}" for part in ("mean", "var")]
    else:
        found = vcm.bootstrap_distance(IN["pca"], random_state=seed, **how)
        keys = [f"pertpy/bootstrap20/pca64/{name}/seed{seed}/{part}" for part in ("mean", "var")]
    rtol = 1e-6 if name == "edistance" else 1e-9
    for table, key in zip(found, keys, strict=True):
        values, expected = table.to_numpy(), golden(key)
        # an undefined statistic (one cell has no variance) stays undefined here and is filled with 0 there
        filled = np.isnan(values) & (expected == 0)
        close(np.where(filled, 0.0, values), expected, rtol, 1e-12)
        assert filled.sum() <= (3 if name == "t_test" else 0)


@pytest.mark.parametrize("metric", ["edistance", "euclidean", "mmd", "wasserstein"])
def test_bootstrap_of_arrays(metric):
    found = vcm.bootstrap_distance(
        IN["pca"],
        "control",
        pert_col=LABELS,
        groups=["geneC"],
        metric=metric,
        n_bootstrap=25,
        random_state=3,
        convention="pertpy-1.0",
        draws="pertpy-arrays",
    )
    values = [found.mean["geneC"], found.variance["geneC"]]
    rtol = {"edistance": 1e-6, "wasserstein": 1e-6}.get(metric, 1e-9)
    close(values, golden(f"pertpy/bootstrap_arrays25/pca64/{metric}"), rtol)


@pytest.mark.parametrize("metric", ["edistance", "euclidean", "mmd", "mse", "pearson_distance", "wasserstein"])
def test_compare(metric):
    blocks = [IN["lognorm"][group == LABELS] for group in ("geneC", "geneA", "control")]
    found = [
        vcm.compare_distance(*blocks, metric=metric, convention="pertpy-1.0", **how)
        for how in ({}, {"mode": "scaled"}, {"mode": "scaled", "fit": "both"})
    ]
    expected = golden(f"pertpy/compare/lognorm64/{metric}")
    close(found, expected, {"edistance": 1e-7, "wasserstein": 1e-6}.get(metric, 1e-9))
    own = [vcm.compare_distance(*blocks, metric=metric, **how) for how in ({}, {"mode": "scaled"})]
    assert own[0] == found[0]
    if metric != "pearson_distance":
        assert own[1] != pytest.approx(found[1], rel=1e-3)  # the control is scaled as well


@pytest.mark.parametrize("variant", ["sorted", "str"])
@pytest.mark.parametrize("metric", ["edistance", "euclidean"])
def test_permutations(metric, variant):
    key = f"pertpy/test50/pca64/{metric}/{variant}"
    null, positions = golden(f"{key}/null"), golden(f"{key}/perm_positions")
    choice = choose(metric, "pertpy-1.0", {})
    cells = open_groups(IN["pca"], LABELS, order="appearance")
    others = [group for group in cells.labels if group != "control"]
    control = cells.labels.index("control")
    masks = {g: np.zeros((np.isin(LABELS, [g, "control"]).sum(), 51), bool) for g in others}
    at = number = 0
    for b in range(1, 51):
        for group in others:
            inside = LABELS[np.isin(LABELS, [group, "control"])]
            n = int((group == LABELS).sum())
            masks[group][positions[at : at + n], b] = True
            at += n
            drawn = np.random.default_rng(9000 + number).permutation(inside) == group
            assert np.array_equal(drawn, masks[group][:, b])
            number += 1
    assert at == positions.size
    found, p = [], []
    for group in others:
        masks[group][:, 0] = LABELS[np.isin(LABELS, [group, "control"])] == group
        values = Resampled(choice, cells, cells.labels.index(group), control).permuted(masks[group])
        found.append(values)
        p.append(p_value(values[0], values[1:], choice.convention.counting))
    found = np.stack(found, axis=1)
    close(found[1:], null, 1e-7 if metric == "edistance" else 1e-9, 1e-9)
    assert p == golden(f"derived/test50/pca64/{metric}/{variant}/aligned_pvalue").tolist()
    reported = golden(f"{key}/distance_pvalue_padj")
    rows = [str(group) for group in golden("pertpy/test50/groups")]
    own = dict(zip(others, found[0], strict=True)) | {"control": 0.0}
    close([own[group] for group in rows], reported[:, 0], 1e-7, 1e-9)
    # the library attaches the p-values of the sorted groups to the groups in order of appearance, but for the control
    aligned = dict(zip(others, p, strict=True)) | {"control": 1 / 50}
    shifted = dict(zip(rows, [aligned[group] for group in sorted(rows)], strict=True)) | {"control": 1.0}
    assert [shifted[group] for group in rows] == reported[:, 1].tolist()
    family = adjusted(np.array([aligned[group] for group in sorted(rows)]), "holm-sidak")
    corrected = dict(zip(rows, family, strict=True)) | {"control": 1.0}
    close([corrected[group] for group in rows], reported[:, 2], 1e-12)
    significant = golden(f"{key}/significant")
    assert [shifted[group] < 0.05 for group in rows] == significant[:, 0].astype(bool).tolist()
    assert [corrected[group] < 0.05 for group in rows] == significant[:, 1].astype(bool).tolist()


@pytest.mark.parametrize("correct", [0, 1])
@pytest.mark.parametrize("metric", ["euclidean", "sqeuclidean"])
def test_scperturb(metric, correct):
    how = {"pert_col": LABELS, "convention": "scperturb", "cell_metric": metric, "estimator": "vu"[correct]}
    end = f"{metric}/correct{correct}"
    rtol = 1e-7 if metric == "euclidean" else 1e-9
    close(vcm.distance_matrix(IN["pca"], **how), golden(f"scperturb/edist/{end}"), rtol, 1e-8 * (rtol > 1e-9))
    means = vcm.distance_matrix(IN["pca"], metric="mean_pairwise", **how)
    close(means, golden(f"scperturb/pairwise_means/{end}"), rtol)
    close(vcm.distances_to(IN["pca"], "control", **how), golden(f"scperturb/edist_to_control/{end}"), rtol, 1e-8)
    pooled = vcm.distances_to(IN["pca"], ["control", "geneB"], **how)
    close(pooled, golden(f"scperturb/edist_to_2controls/{end}"), rtol, 1e-8)


@pytest.mark.parametrize("metric", ["euclidean", "sqeuclidean"])
def test_scperturb_etest(metric):
    kept = LABELS != "single"
    x, labels, groups = IN["pca"][kept], LABELS[kept], NOTES["etest_groups"]
    choice = choose("edistance", "scperturb", {"cell_metric": metric})
    cells = open_groups(x, labels, order="appearance")
    control = cells.labels.index("control")
    rng = np.random.RandomState(4)  # the state that the library draws from
    masks = {g: [labels[np.isin(labels, [g, "control"])] == g] for g in cells.labels if g != "control"}
    for _ in range(50):
        for group in masks:
            masks[group].append(rng.permutation(labels[np.isin(labels, [group, "control"])]) == group)
    p, distance = {"control": 1.0}, {"control": 0.0}
    for group, columns in masks.items():
        values = Resampled(choice, cells, cells.labels.index(group), control).permuted(np.stack(columns, axis=1))
        distance[group] = values[0]
        p[group] = p_value(values[0], values[1:], choice.convention.counting)
    expected = golden(f"scperturb/etest50/{metric}/edist_pvalue_padj")
    close([distance[g] for g in groups], expected[:, 0], 1e-7, 1e-8)
    assert [p[g] for g in groups] == expected[:, 1].tolist()
    close(adjusted(np.array([p[g] for g in groups]), "holm-sidak"), expected[:, 2], 1e-12)


@pytest.mark.parametrize("pair", ["geneC_vs_control", "geneA_vs_geneB", "single_vs_control"])
def test_cellflow(pair):
    a, b = pair.split("_vs_")
    keys = [(f"cellflow/pca32/{pair}/{name}", metric) for name, metric in (
        ("e_distance", "e_distance"), ("r_squared", "r_squared"), ("scalar_mmd", "scalar_mmd"))]  # fmt: skip
    kept = np.isin(LABELS, [a, b])
    x, labels = DATA["pca32"][kept], LABELS[kept]

    def value(metric, **parameters):
        table = vcm.distances_to(x, b, pert_col=labels, metric=metric, convention="cellflow", **parameters)
        return float(table[a])

    for key, metric in keys:
        close(value(metric), golden(key), 2e-5, 1e-6)
    gammas = (2.0, 1.0, 0.5, 0.1, 0.01, 0.005)
    each = [value("mmd", gamma=gamma) for gamma in gammas]
    # products of float32 there: a cell is up to 2e-5 from itself, which counts where it stands against 1/n
    close(each, golden(f"cellflow/pca32/{pair}/mmd_by_gamma"), 5e-5, 1e-6)
    assert value("mmd") == pytest.approx(np.mean(each), rel=1e-12)
    divergences = [value(f"sinkhorn_div_{epsilon}") for epsilon in (1, 10, 100)]
    close(divergences, golden(f"cellflow/pca32/{pair}/sinkhorn_div_1_10_100"), 1e-4, 1e-4)


PERTURBENCH = ["rmse", "mse", "mae", "cosine", "pearson", "r2_score"]


@pytest.mark.parametrize("metric", PERTURBENCH)
def test_perturbench(metric):
    pred, ref = golden("inputs/perturbench_pred"), golden("inputs/perturbench_ref")
    p = len(pred)
    names = [f"p{k}" for k in range(p)] + [f"r{k}" for k in range(p)]
    table = vcm.distances_to(
        np.concatenate([pred, ref]),
        names[p:],
        pert_col=names,
        groups=names[:p],
        metric=metric,
        convention="perturbench",
    ).to_numpy()
    close(table, golden(f"perturbench/pairwise/{metric}"), 1e-9, 1e-12)
    close(np.diag(table), golden(f"perturbench/compare/{metric}"), 1e-9, 1e-12)
    cost = -table if metric in ("cosine", "pearson", "r2_score") else table
    for key, distances in (("rank", cost.T), ("rank_transposed", cost)):
        # row k: what stands at the place of the truth among all candidates; predictions 3 and 4 are equal
        best = vcm.arrays.match_rank(distances, ties="optimistic")
        worst = vcm.arrays.match_rank(distances, ties="pessimistic")
        theirs = golden(f"perturbench/{key}/{metric}") * p
        ranks = np.rint(theirs)
        close(theirs, ranks, 0, 1e-9)
        assert (best <= ranks).all()
        assert (ranks <= worst).all()
        if key == "rank":
            assert best.tolist() == golden(f"derived/perturbench/rank_count_below/{metric}").tolist()
            assert worst.tolist() == golden(f"derived/perturbench/rank_count_below_or_equal/{metric}").tolist()


def test_perturbench_aggregates():
    rows = NOTES["perturbench_average_rows"]
    cells = open_groups(IN["lognorm"], LABELS, groups=rows)
    close(cells.means, golden("perturbench/average"), 1e-12, 1e-15)
    means = dict(zip(rows, cells.means, strict=True))
    logs = np.log2(np.stack([means[g] for g in NOTES["perturbench_logfc_rows"]]) + 0.1) - np.log2(
        means["control"] + 0.1
    )
    close(logs, golden("perturbench/logfc"), 1e-10, 1e-12)


@pytest.mark.parametrize("estimator", ["biased", "unbiased"])
@pytest.mark.parametrize("metric", ["euclidean", "sqeuclidean"])
def test_derived_energy(metric, estimator):
    convention = {"biased": "pertpy-1.0", "unbiased": "pertpy-1.2"}[estimator]
    found = vcm.distance_matrix(
        IN["pca"], pert_col=LABELS, order="appearance", cell_metric=metric, convention=convention
    )
    close(found, golden(f"derived/edist/pca64/{metric}/{estimator}"), 1e-10, 1e-10)


EDGES = sorted(NOTES["edge"])


@pytest.mark.parametrize("name", [e for e in EDGES if e.endswith(("1_vs_n", "n_vs_1", "self"))])
@pytest.mark.filterwarnings("ignore:.*singular")
def test_edges_of_pertpy(name):
    """One cell against many, and a group against itself; the values of the library by its convention."""
    metric, case = name.split("/")
    expected = float(NOTES["edge"][name])
    labels = np.array(LABELS)
    many = "control"
    if case == "self":
        value = vcm.distances_to(IN["pca"], many, pert_col=labels, metric=metric, diagonal="value")[many]
    else:
        first, second = ("single", many) if case == "1_vs_n" else (many, "single")
        value = vcm.distances_to(IN["pca"], second, pert_col=labels, metric=metric, convention="pertpy-1.0")[first]
    close(value, expected, 1e-6 if metric in ("edistance", "wasserstein") else 1e-9)


def test_a_warning_free_run():
    """Nothing of this warns by itself, not even a cell alone."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for metric in ("edistance", "mmd", "wasserstein", "pearson", "ks_test", "t_test", "frechet"):
            vcm.distance_matrix(IN["pca"], pert_col=LABELS, metric=metric)


def test_every_golden_is_tested():
    """Stands last in this file."""
    if len(SEEN) < 30:
        pytest.skip("runs with the whole file")
    own = {"inputs/groups", "inputs/nb_ll_genes", "pertpy/test50/groups"}
    assert set(OUT.files) - SEEN - own == set()
