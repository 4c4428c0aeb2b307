"""Predicted profiles score like the cells they stand for."""

import concurrent.futures
import multiprocessing
import pickle
import warnings

import anndata
import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp

import vcmetrics as vcm
from vcmetrics import _core

GENES = [f"GENE{k:02d}" for k in range(53)]
TARGETS = ["GENE03", "GENE07", "GENE11", "GENE20", "GENE31", "OTHER"]
CONTROL = "non-targeting"
NAMES = ["expr_mae", "expr_mse", "delta_mae", "delta_mse", "delta_pearson", "pds_l1", "pds_l2", "pds_cosine"]


def screen(seed, *, logs=False, dtype=np.float32):
    rng = np.random.default_rng(seed)
    mean = np.random.default_rng(5).gamma(2.0, 5.0, len(GENES))
    labels = np.array([CONTROL] * 60 + [t for t in TARGETS for _ in range(15)], object)
    rates = np.tile(mean, (labels.size, 1))
    for k, label in enumerate(TARGETS):
        rates[labels == label, 4 * k : 4 * k + 9] *= 1.4
    x = rng.poisson(rates).astype(np.float64)
    if logs:
        x = np.log1p(x / x.sum(1, keepdims=True) * 1e3)
    obs = pd.DataFrame({"target": labels}, index=[f"c{k}" for k in range(labels.size)])
    return anndata.AnnData(sp.csr_matrix(x.astype(dtype)), obs=obs, var=pd.DataFrame(index=GENES))


def same_as_score(found, each, result, names):
    (context,) = result.contexts
    for name in names:
        assert found[name] == pytest.approx(context.aggregate[name], rel=1e-12, abs=1e-13, nan_ok=True)
        expected = np.ma.filled(np.ma.asarray(context.values[name], np.float64), np.nan)
        np.testing.assert_allclose(each[name], expected, rtol=1e-11, atol=1e-13)


@pytest.mark.parametrize("exclude", ["panel", "row", "none"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_counts_of_cells(exclude, dtype):
    pred, real = screen(1, dtype=dtype), screen(2)
    expected = vcm.score(pred, real, metrics=NAMES, overrides={"exclude": exclude})
    ref = vcm.Reference(real, metrics=NAMES, overrides={"exclude": exclude})
    assert ref.perturbations == expected.contexts[0].perturbations
    codes, x = ref.codes(pred.obs["target"]), pred.X.toarray()
    before = x.copy()
    found = ref.score_arrays(x, codes, counts=True)
    each = ref.score_arrays(x, codes, counts=True, per_perturbation=True)
    assert list(found) == NAMES
    same_as_score(found, each, expected, NAMES)
    assert ref.score_arrays(x, pred.obs["target"].to_numpy().astype(str), counts=True) == found
    for n_threads in (1, 2, 3, 7):
        assert ref.score_arrays(x, codes, counts=True, n_threads=n_threads) == found
    np.testing.assert_array_equal(x, before)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("preset", ["cell-eval", "cell-eval2-v1"])
def test_logs_and_own_controls(preset, dtype):
    pred, real = screen(1, logs=True, dtype=dtype), screen(2, logs=True, dtype=dtype)
    ref = vcm.Reference(real, preset=preset, pert_col="target")
    names = list(ref.score_arrays(pred.X.toarray(), ref.codes(pred.obs["target"])))
    assert len(names) == 8
    expected = vcm.score(pred, real, preset=preset, metrics=names, pert_col="target")
    x, codes = pred.X.toarray(), ref.codes(pred.obs["target"])
    each = ref.score_arrays(x, codes, per_perturbation=True)
    # cells are averaged in float64 and rounded once, as the scorer does; PDS of single precision may have near ties
    same_as_score(ref.score_arrays(x, codes), each, expected, names)
    with pytest.raises(vcm.DataError, match="own control"):
        ref.score_arrays(x[codes < ref.control_code], codes[codes < ref.control_code])
    with pytest.raises(vcm.DataError, match="log-normalised"):
        ref.score_arrays(x, codes, counts=True)


def test_rows_in_any_order_and_a_part():
    real = screen(2)
    ref = vcm.Reference(real, metrics=NAMES)
    n = len(ref.perturbations)
    x = ref.profiles + np.random.default_rng(0).normal(0, 0.2, ref.profiles.shape)
    whole = ref.score_arrays(x, np.arange(n), per_perturbation=True)
    turned = ref.score_arrays(x[::-1], np.arange(n)[::-1], per_perturbation=True)
    part = ref.score_arrays(x[[4, 1]], [4, 1], per_perturbation=True)
    doubled = ref.score_arrays(np.repeat(x, 2, 0), np.repeat(np.arange(n), 2), per_perturbation=True)
    for name in NAMES:
        np.testing.assert_array_equal(turned[name], whole[name])
        np.testing.assert_array_equal(part[name][[1, 4]], whole[name][[1, 4]])
        assert np.isnan(np.delete(part[name], [1, 4])).all()
        np.testing.assert_allclose(doubled[name], whole[name], rtol=1e-12, atol=1e-13)
    control = np.vstack([x, np.ones((1, x.shape[1]))])
    assert ref.score_arrays(control, [*range(n), ref.control_code]) == ref.score_arrays(x, range(n))
    assert list(ref.score_arrays(x, range(n), metrics=["mae", "pds_l1"])) == ["expr_mae", "pds_l1"]


def test_several_threads():
    from concurrent.futures import ThreadPoolExecutor

    ref = vcm.Reference(screen(2), metrics=NAMES)
    n = len(ref.perturbations)
    tables = [ref.profiles + np.random.default_rng(k).normal(0, 0.3, ref.profiles.shape) for k in range(12)]
    expected = [ref.score_arrays(x, range(n)) for x in tables]
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(lambda x: ref.score_arrays(x, range(n)), tables)) == expected


def test_flat_and_undefined_predictions():
    ref = vcm.Reference(screen(2), metrics=NAMES)
    n = len(ref.perturbations)
    flat = ref.score_arrays(np.tile(ref.control_profile, (n, 1)), range(n))
    assert flat["delta_pearson"] == -1
    assert flat["pds_cosine"] == 0.5
    x = ref.profiles.copy()
    x[2, 5] = np.nan
    broken = ref.score_arrays(x, range(n), per_perturbation=True)
    assert broken["delta_pearson"][2] == -1
    assert np.isnan(broken["expr_mae"][2])
    assert broken["pds_l1"][2] < 1


class Tensor:
    """What a PyTorch tensor shows of itself."""

    def __init__(self, array, device=1, requires_grad=False):
        self._array, self._device, self.requires_grad = array, device, requires_grad

    def detach(self):
        return Tensor(self._array, self._device)

    def __dlpack_device__(self):
        return (self._device, 0)

    def __dlpack__(self, **how):
        if self.requires_grad:
            raise BufferError("requires grad")
        return self._array.__dlpack__(**how)


def test_tensors():
    ref = vcm.Reference(screen(2), metrics=NAMES)
    n = len(ref.perturbations)
    x = ref.profiles.astype(np.float32)
    expected = ref.score_arrays(x, np.arange(n))
    assert ref.score_arrays(Tensor(x), Tensor(np.arange(n))) == expected
    assert ref.score_arrays(Tensor(x, requires_grad=True), np.arange(n)) == expected
    with pytest.raises(vcm.DeviceError, match="GPU"):
        ref.score_arrays(Tensor(x, device=2), np.arange(n))


def test_contexts(tmp_path):
    a, b = screen(2), screen(3)
    both = anndata.concat({"A": a, "B": b}, label="context", index_unique="-")
    both.write_h5ad(tmp_path / "both.h5ad")
    one = vcm.Reference(tmp_path / "both.h5ad", context_col="context", context="B")
    np.testing.assert_array_equal(one.profiles, vcm.Reference(b).profiles)
    with pytest.raises(vcm.DataError, match="context 'C'"):
        vcm.Reference(both, context_col="context", context="C")
    with pytest.raises(ValueError, match="pass context_col="):
        vcm.Reference(both, context="A")


@pytest.mark.parametrize("preset", ["vcc2026", "cell-eval2-v1"])
@pytest.mark.filterwarnings("ignore:preset .* is deprecated:FutureWarning")
def test_several_contexts(preset):
    sides = [
        anndata.concat({"B": screen(k), "A": screen(k + 4)[:-15]}, label="context", index_unique="-") for k in (1, 2)
    ]
    pred, real = sides
    names = ["expr_mae", "delta_pearson", "pds_l1", "pds_cosine"]
    expected = vcm.score(pred, real, preset=preset, metrics=names, context_col="context")
    ref = vcm.Reference(real, preset=preset, metrics=names, context_col="context")
    assert ref.contexts == ("A", "B")
    assert ref.perturbations == tuple(p for c in expected.contexts for p in c.perturbations)
    assert ref.context_of == ("A",) * 5 + ("B",) * 6
    assert (ref.control_codes, ref.n_codes) == ((11, 12), 13)
    assert ref.profiles.shape == (11, len(GENES))
    assert ref.control_profile.shape == (2, len(GENES))
    x = pred.X.toarray()
    codes = ref.codes(pred.obs["target"], pred.obs["context"])
    counts = preset == "vcc2026"
    if not counts:
        x = np.log1p(x / x.sum(1, keepdims=True) * 1e4)
    found = ref.score_arrays(x, codes, counts=counts)
    each = ref.score_arrays(x, codes, counts=counts, per_perturbation=True)
    for output, value in expected.aggregate_values.items():
        if counts:
            assert found[output] == pytest.approx(value, rel=1e-12)
            values = [np.ma.filled(np.ma.asarray(c.values[output], float), np.nan) for c in expected.contexts]
            np.testing.assert_allclose(each[output], np.concatenate(values), rtol=1e-11)
    shuffled = np.random.default_rng(0).permutation(len(x))
    again = ref.score_arrays(x[shuffled], codes[shuffled], counts=counts)
    assert again == pytest.approx(found, rel=1e-12)
    labels = pred.obs["target"].to_numpy().astype(str)
    assert ref.score_arrays(x, labels, contexts=pred.obs["context"], counts=counts) == found
    # one context alone, and a context that is not predicted
    mine = (pred.obs["context"] == "B").to_numpy()
    alone = vcm.Reference(real, preset=preset, metrics=names, context_col="context", context="B")
    expected_alone = alone.score_arrays(x[mine], alone.codes(labels[mine]), counts=counts)
    assert ref.score_arrays(x[mine], codes[mine], counts=counts) == expected_alone
    missing = ref.score_arrays(x[mine], codes[mine], counts=counts, per_perturbation=True)
    assert all(np.isnan(values[:5]).all() for values in missing.values())
    with pytest.raises(ValueError, match="pass contexts="):
        ref.codes(["GENE03"])
    with pytest.raises(ValueError, match="use control_codes"):
        ref.control_code  # noqa: B018
    with pytest.raises(vcm.DataError, match="OTHER in A"):
        ref.codes(["OTHER"], ["A"])
    with pytest.raises(vcm.DataError, match="no row of x predicts"):
        ref.score_arrays(x[:1], [11], counts=counts)


def test_pickled():
    ref = vcm.Reference(screen(2), metrics=NAMES)
    x, codes = screen(1).X.toarray(), ref.codes(screen(1).obs["target"])
    expected = ref.score_arrays(x, codes, counts=True)
    assert pickle.loads(pickle.dumps(ref)).score_arrays(x, codes, counts=True) == expected
    with concurrent.futures.ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        assert pool.submit(ref.score_arrays, x, codes, counts=True).result() == expected


@pytest.mark.parametrize("preset", ["vcc2026", "vcc2025"])
def test_from_a_summary(preset, tmp_path):
    real = screen(2, logs=preset == "vcc2025")
    ref = vcm.Reference(real, preset=preset, pert_col="target")
    values = "counts" if preset == "vcc2026" else "values"
    kept = vcm.summarize(real, pert_col="target", fields=["sum"], input_type=values)
    kept.save(tmp_path / "kept.npz")
    for summary in (kept, vcm.GroupSummary.load(tmp_path / "kept.npz")):
        again = vcm.Reference(summary, preset=preset)
        np.testing.assert_array_equal(again.profiles, ref.profiles)
        x = np.vstack([ref.profiles + 0.1, ref.control_profile])
        assert again.score_arrays(x, range(len(x))) == ref.score_arrays(x, range(len(x)))
    with pytest.raises(ValueError, match="leave pert_col"):
        vcm.Reference(kept, pert_col="target")
    if preset == "vcc2026":
        with pytest.raises(vcm.DataError, match="lacks tables"):
            vcm.Reference(vcm.summarize(real, pert_col="target", fields=["nonzero"]))


def test_refusals():
    real = screen(2)
    with pytest.raises(ValueError, match="profiles alone"):
        vcm.Reference(real, metrics=["de_wilcoxon_sig_jaccard"])
    with pytest.raises(vcm.DataError, match="control"):
        vcm.Reference(real, control="DMSO")
    with pytest.raises(vcm.DeviceError):
        vcm.Reference(real, device="cuda")
    ref = vcm.Reference(real, metrics=["expr_mae"])
    n, x = len(ref.perturbations), ref.profiles
    for change, match in (
        (lambda: ref.score_arrays(x[:, 1:], range(n)), "genes"),
        (lambda: ref.score_arrays(x, range(n - 1)), "one a row"),
        (lambda: ref.score_arrays(x, range(1, n + 1)), None),
        (lambda: ref.score_arrays(x, range(2, n + 2)), "expected 0"),
        (lambda: ref.score_arrays(x, ["nobody"] * n), "does not have"),
        (lambda: ref.score_arrays(x, [ref.control_code] * n), "predicts a perturbation"),
        (lambda: ref.score_arrays(x, range(n), metrics=["pds_l1"]), "not made for"),
        (lambda: ref.score_arrays(-x - 1, range(n), counts=True), "negative"),
    ):
        if match is None:
            change()
            continue
        with pytest.raises(ValueError, match=match):
            change()


@pytest.mark.parametrize("n_genes", [1, 2, 7, 8, 9, 16, 17, 100])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_kernel(n_genes, dtype):
    rng = np.random.default_rng(n_genes)
    x, real = rng.normal(size=(11, n_genes)).astype(dtype), rng.normal(size=(5, n_genes))
    own, theirs = rng.normal(size=(2, n_genes))
    match, left_out = rng.integers(0, 5, 11), np.array([0])
    effects = np.empty(x.shape)
    found = _core.profile_errors(x, real, match, own, theirs, effects, left_out, 1)
    d_pred, d_real = x - own, real[match] - theirs
    np.testing.assert_allclose(found[:, 0], np.abs(x - real[match]).mean(1), rtol=1e-13)
    np.testing.assert_allclose(found[:, 1], ((x - real[match]) ** 2).mean(1), rtol=1e-13)
    np.testing.assert_allclose(found[:, 2], np.abs(d_pred - d_real).mean(1), rtol=1e-13)
    np.testing.assert_allclose(found[:, 3], ((d_pred - d_real) ** 2).mean(1), rtol=1e-12)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        expected = [np.corrcoef(a, b)[0, 1] if n_genes > 1 else np.nan for a, b in zip(d_pred, d_real, strict=True)]
    np.testing.assert_allclose(found[:, 4], expected, rtol=1e-11)
    ranges = np.stack([d_pred.min(1), d_pred.max(1), d_real.min(1), d_real.max(1)], 1)
    np.testing.assert_array_equal(found[:, 5:], ranges)
    d_pred[:, 0] = 0
    np.testing.assert_array_equal(effects, d_pred)
    again = _core.profile_errors(x, real, match, own, theirs, None, left_out, 3)
    assert again.tobytes() == found.tobytes()


def test_kernel_refuses():
    x = np.zeros((2, 3))
    none = np.empty(0, np.int64)
    good = (x, x, np.arange(2), x[0].copy(), x[0].copy(), None, none)
    for place, wrong in ((1, np.zeros((2, 4))), (2, np.array([0, 2])), (3, np.zeros(2)), (6, np.array([3]))):
        changed = list(good)
        changed[place] = wrong
        with pytest.raises(ValueError, match=r".+"):
            _core.profile_errors(*changed)
