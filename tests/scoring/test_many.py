"""Several presets over one reading of the files, and what lies beside a pair."""

from __future__ import annotations

import csv
import json
from dataclasses import replace

import anndata as ad
import numpy as np
import pytest

import vcmetrics as vcm
from vcmetrics import DataError, _core, datasets
from vcmetrics.cli import entry
from vcmetrics.presets.preset import Member, get_preset, list_presets
from vcmetrics.scoring.compare import Request, gather_pairs
from vcmetrics.scoring.jobs import data_jobs
from vcmetrics.scoring.reading import Reading
from vcmetrics.scoring.settings import resolve_settings
from vcmetrics.sources import open_cells

COLUMN, CONTROL = "perturbation", "non-targeting"
LABELS = {"pert_col": COLUMN, "control": CONTROL}
LOGS = replace(
    get_preset("cell-eval2"),
    name="logs",
    profiles={
        "whole": (
            Member("squared_error", "mse", {"exclude": "none"}),
            Member("squared_error", "mse_top20", {"genes": "t_test:20", "exclude": "none"}),
            Member("wmse", "wmse", {"exclude": "none"}),
            Member("norm_mse", "norm_mse", {"genes": "top_effect:20"}),
            Member("norm_mse", "norm_mse_50", {"genes": "top_effect:50"}),
        )
    },
    default_profile="whole",
    comparator="mean_of_logs",
    input_type="autodetect",
    target_sum=1e4,
    exclude="none",
)
SHALLOW = replace(LOGS, name="shallow", target_sum=4e3)


@pytest.fixture(scope="module")
def halves():
    """Two halves of the demo's cells (prediction, reality), with three batches."""
    data = datasets.demo().load()
    rng = np.random.default_rng(3)
    data.obs["batch"] = rng.choice(["b1", "b2", "b3"], data.n_obs)
    first = rng.random(data.n_obs) < 0.5
    return data[first].copy(), data[~first].copy()


@pytest.fixture(scope="module")
def files(halves, tmp_path_factory):
    folder = tmp_path_factory.mktemp("halves")
    for name, data in zip(("pred", "real"), halves, strict=True):
        data.write_h5ad(folder / f"{name}.h5ad")
    return folder / "pred.h5ad", folder / "real.h5ad"


def pair_of(pred, real, preset, *, batch_col=None, train=None):
    """The pair that a preset's formulas see."""
    settings = resolve_settings(
        preset,
        None,
        None,
        overrides=None,
        target_map=None,
        embed_key=None,
        arithmetic="f64",
        n_threads=2,
        progress=None,
    )
    with open_cells(pred) as p, open_cells(real) as r:
        t = None if train is None else open_cells(train)
        how = {"batch_col": batch_col, "train": t, "reading": Reading()}
        (job,) = data_jobs(r, p, COLUMN, CONTROL, None, settings, None, **how)
        return gather_pairs([Request(job.real, job.pred, settings, settings.needs)], job.genes)[0].pair


def logs(data, depth=1e4):
    x = np.asarray(data.X.todense() if hasattr(data.X, "todense") else data.X, np.float64)
    return np.log1p(x * (depth / x.sum(1, keepdims=True)))


@pytest.mark.parametrize(("base", "unit"), [("e", 1.0), ("2", np.log(2.0))])
def test_means_and_variances_of_logs(halves, base, unit):
    pred, real = halves
    pair = pair_of(pred, real, LOGS.replace(log_base=base))
    for side, data in ((pair.pred, pred), (pair.real, real)):
        x, labels = logs(data) / unit, data.obs[COLUMN].astype(str).to_numpy()
        for k, name in enumerate(pair.perturbations):
            np.testing.assert_allclose(side.mean[k], x[labels == name].mean(0), rtol=1e-12, atol=1e-14)
            np.testing.assert_allclose(side.variance[k], x[labels == name].var(0, ddof=1), rtol=1e-9, atol=1e-12)
            assert side.n_cells[k] == (labels == name).sum()
        # effects are taken against the observed control on both sides
        of_real, labels = logs(real) / unit, real.obs[COLUMN].astype(str).to_numpy()
        np.testing.assert_allclose(side.control, of_real[labels == CONTROL].mean(0), rtol=1e-12)
        np.testing.assert_allclose(
            side.control_variance, of_real[labels == CONTROL].var(0, ddof=1), rtol=1e-9, atol=1e-12
        )
        assert side.control_n_cells == (labels == CONTROL).sum()


def test_values_as_they_are_keep_their_sign(halves):
    made = []
    for data in halves:
        scores = ad.AnnData(logs(data) - 1.0, obs=data.obs, var=data.var)
        made.append(scores)
    pair = pair_of(*made, LOGS.replace(input_type="values", log_base="2"))
    labels = made[1].obs[COLUMN].astype(str).to_numpy()
    for k, name in enumerate(pair.perturbations):
        np.testing.assert_allclose(pair.real.mean[k], made[1].X[labels == name].mean(0), rtol=1e-12)
        np.testing.assert_allclose(
            pair.real.variance[k], made[1].X[labels == name].var(0, ddof=1), rtol=1e-9, atol=1e-12
        )


def test_a_table_without_control_cells(halves):
    _, real = halves
    rows = real[real.obs[COLUMN] != CONTROL].copy()
    with pytest.raises(DataError, match="no cell is labelled 'non-targeting'"):
        vcm.score(rows, rows, preset=LOGS.replace(input_type="values"), **LABELS)
    alone = LOGS.replace(input_type="values", needs_control=False)
    alone = replace(alone, profiles={"whole": (Member("squared_error", "mse"),)})
    assert vcm.score(rows, rows, preset=alone, **LABELS).aggregate_values == {"mse": 0.0}


def test_controls_by_batch(halves):
    pred, real = halves
    pair = pair_of(pred, real, LOGS, batch_col="batch")
    x, labels, batch = (
        f(real) for f in (logs, lambda d: d.obs[COLUMN].astype(str), lambda d: d.obs["batch"].astype(str))
    )
    assert pair.batches.labels == ("b1", "b2", "b3")
    for b, name in enumerate(pair.batches.labels):
        mine = ((labels == CONTROL) & (batch == name)).to_numpy()
        np.testing.assert_allclose(pair.batches.control[b], x[mine].mean(0), rtol=1e-12)
        for k, p in enumerate(pair.perturbations):
            assert pair.batches.real_cells[k, b] == ((labels == p) & (batch == name)).sum()
            assert pair.batches.pred_cells[k, b] == ((pred.obs[COLUMN] == p) & (pred.obs["batch"] == name)).sum()


def test_a_batch_without_controls_is_nan_and_a_prediction_may_name_none(halves):
    pred, real = (x.copy() for x in halves)
    real.obs["batch"] = real.obs["batch"].astype(str)
    real.obs.loc[real.obs[COLUMN] == CONTROL, "batch"] = "b1"
    del pred.obs["batch"]
    pair = pair_of(pred, real, LOGS, batch_col="batch")
    assert np.isnan(pair.batches.control[1:]).all()
    assert np.isfinite(pair.batches.control[0]).all()
    assert np.array_equal(pair.batches.pred_cells, pair.batches.real_cells)
    with pytest.raises(DataError, match="'lane' is not a column of obs"):
        vcm.score(pred, real, preset=LOGS, batch_col="lane", **LABELS)


def test_training_data_given_apart(halves):
    pred, real = halves
    known = sorted(set(real.obs[COLUMN].astype(str)) - {CONTROL})[:3]
    train = real[real.obs[COLUMN].isin([*known, CONTROL])].copy()
    extra = ad.concat([train, ad.AnnData(np.ones((train.n_obs, 1)), obs=train.obs, var={"name": ["EXTRA"]})], axis=1)
    extra.var_names = [*train.var_names, "EXTRA"]
    extra.obs = train.obs
    order = np.random.default_rng(0).permutation(extra.n_vars)
    pair = pair_of(pred, real, LOGS, train=extra[:, order].copy())
    assert pair.train.labels == tuple(known)
    labels = train.obs[COLUMN].astype(str).to_numpy()
    for k, name in enumerate(known):
        np.testing.assert_allclose(pair.train.mean[k], logs(train)[labels == name].mean(0), rtol=1e-12)
    np.testing.assert_allclose(pair.train.control, logs(train)[labels == CONTROL].mean(0), rtol=1e-12)
    result = vcm.score(pred, real, preset=LOGS, train=train, **LABELS)
    assert result.notes == ("3 of 8 scored perturbations are in the training data: " + ", ".join(map(repr, known)),)
    with pytest.raises(DataError, match="1 of 299 genes of real are not in train"):
        vcm.score(pred, real, preset=LOGS, train=train[:, 1:].copy(), **LABELS)
    only = train[train.obs[COLUMN] == CONTROL].copy()
    with pytest.raises(DataError, match="every training cell is labelled"):
        vcm.score(pred, real, preset=LOGS, train=only, **LABELS)


def test_one_metric_listed_with_several_parameters(halves):
    result = vcm.score(*halves, preset=LOGS, **LABELS)
    values = result.aggregate_values
    assert values["mse"] != values["mse_top20"]
    assert values["norm_mse"] != values["norm_mse_50"]
    for name, genes in (("norm_mse", "top_effect:20"), ("norm_mse_50", "top_effect:50")):
        alone = replace(LOGS, profiles={"whole": (Member("norm_mse", "x", {"genes": genes}),)})
        # sums of logs alone are added up in another order than beside their squares
        assert vcm.score(*halves, preset=alone, **LABELS).aggregate_values["x"] == pytest.approx(
            values[name], rel=1e-12
        )


def test_every_preset_scores_as_it_does_alone(files):
    together = vcm.score(*files, preset=["vcc2026", LOGS, SHALLOW, "cell-eval2"], **LABELS)
    assert list(together) == ["vcc2026", "logs", "shallow", "cell-eval2"]
    for preset, result in together.items():
        alone = vcm.score(*files, preset={"logs": LOGS, "shallow": SHALLOW}.get(preset, preset), **LABELS)
        assert list(alone.aggregate_values) == list(result.aggregate_values)
        for metric, values in alone.contexts[0].values.items():
            assert values.tobytes() == result.contexts[0].values[metric].tobytes(), (preset, metric)


def test_the_cells_are_read_once(files, monkeypatch):
    passes = []
    gather = _core.gather

    def counted(*args):
        passes.append(args[5])
        return gather(*args)

    monkeypatch.setattr(_core, "gather", counted)
    vcm.score(*files, preset=["vcc2026", LOGS, SHALLOW], **LABELS)
    assert len(passes) == 1
    assert sum("rank" in fields for fields in passes) == 1
    passes.clear()
    vcm.score(*files, preset="all", **LABELS)
    assert len(passes) == 1


@pytest.mark.parametrize("threads", [2, 3, 7])
def test_the_same_bytes_for_every_number_of_threads(files, tmp_path, threads):
    for n in (1, threads):
        vcm.score(*files, preset=["vcc2026", LOGS, SHALLOW], n_threads=n, **LABELS).write(tmp_path / str(n))
    for name in ("verdicts.csv", "vcc2026/results.csv", "logs/results.csv", "shallow/scores.csv"):
        assert (tmp_path / "1" / name).read_bytes() == (tmp_path / str(threads) / name).read_bytes()


def test_verdicts_beside_the_mean_profile(halves):
    pred, real = halves
    result = vcm.score(pred, real, preset=[LOGS, SHALLOW], **LABELS)
    pair = pair_of(pred, real, LOGS)
    flat = np.broadcast_to(pair.real.mean.mean(0), pair.real.mean.shape)
    rows = result.verdicts.set_index(["preset", "metric"])
    want = ((flat - pair.real.mean) ** 2).mean(1).mean()
    np.testing.assert_allclose(rows.loc[("logs", "mse"), "baseline"], want, rtol=1e-12)
    assert set(rows["verdict"]) <= {"above", "below", "equal", "none"}
    # the mean itself is level with itself, and the truth above it
    values = dict(zip(pair.perturbations, flat, strict=True))
    labels = real.obs[COLUMN].astype(str).to_numpy()
    x = logs(real)
    of_mean = ad.AnnData(
        np.array([values.get(n, r) for n, r in zip(labels, x, strict=True)]), obs=real.obs, var=real.var
    )
    of_real = ad.AnnData(x, obs=real.obs, var=real.var)
    plain = replace(LOGS, profiles={"whole": (Member("squared_error", "mse"),)})
    level = vcm.score(of_mean, of_real, preset=[plain], **LABELS)
    assert list(level.verdicts["verdict"]) == ["equal"]
    assert vcm.score(of_real, of_real, preset=[plain], **LABELS).standings["logs"].verdict == "above"


def test_all_leaves_out_what_cannot_be_scored(files):
    result = vcm.score(*files, preset="all", **LABELS)
    assert set(result) | set(result.left_out) == set(list_presets())
    assert "another one" in result.left_out["cell-eval"]
    with pytest.raises(DataError, match="counts are required"):
        logged = []
        for path in files:
            data = ad.read_h5ad(path)
            logged.append(ad.AnnData(logs(data), obs=data.obs, var=data.var))
        vcm.score(*logged, preset=["vcc2026", LOGS], **LABELS)
    assert "counts are required" in vcm.score(*logged, preset="all", **LABELS).left_out["vcc2026"]


def test_metrics_of_cells_wait_for_a_word(files):
    cells = replace(LOGS, name="cells", profiles={"whole": (*LOGS.members()[:1], Member("cell_cov_corr", "cov"))})
    both = [cells, SHALLOW]
    result = vcm.score(*files, preset=both, **LABELS)
    assert "cov" not in result["cells"].aggregate_values
    assert any("cells are compared with cells" in note for note in result["cells"].notes)
    assert "cov" in vcm.score(*files, preset=both, cells=True, **LABELS)["cells"].aggregate_values
    assert "cov" in vcm.score(*files, preset=cells, **LABELS).aggregate_values


def test_what_goes_with_one_preset_only(files):
    with pytest.raises(ValueError, match="scale go with one preset only"):
        vcm.score(*files, preset=["vcc2026", LOGS], scale="auto", **LABELS)
    with pytest.raises(ValueError, match="asked for twice"):
        vcm.score(*files, preset=["vcc2026", replace(LOGS, name="vcc2026")], **LABELS)
    with pytest.raises(DataError, match="has no scaled scores"):
        vcm.score(*files, preset=replace(LOGS, policies={}), scale="baseline", **LABELS)
    with pytest.raises(DataError, match=r"needs batch_col= \(--batch-col\)"):
        vcm.score(*files, preset=replace(LOGS, inputs=("batch_col",)), **LABELS)


def test_command(files, tmp_path, capsys):
    options = ["--pert-col", COLUMN, "--control", CONTROL]
    out = tmp_path / "out"
    arguments = ["score", *map(str, files), *options, "--preset", "vcc2026,cell-eval2", "-o", str(out)]
    for _ in range(2):  # a second run writes over the first
        assert entry.run(arguments) == 0
    assert sorted(p.name for p in out.iterdir()) == ["cell-eval2", "vcc2026", "verdicts.csv"]
    assert sorted(p.name for p in (out / "vcc2026").iterdir()) == [
        "agg_results.csv",
        "results.csv",
        "run.json",
        "scores.csv",
    ]
    with open(out / "verdicts.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert {row["preset"] for row in rows} == {"vcc2026", "cell-eval2"}
    assert "above the mean baseline: vcc2026" in capsys.readouterr().out
    assert entry.run(["score", *map(str, files), *options, "--preset", "all", "--json"]) == 0
    record = json.loads(capsys.readouterr().out)
    assert set(record) == {"presets", "verdicts", "standings", "disagree", "left_out", "timings"}
    for wrong in (["--preset", "vcc2026,nope"], ["--preset", "vcc2026,cell-eval2", "--scale", "auto"]):
        assert entry.run(["score", *map(str, files), *wrong]) == 2
    assert "exclude each other" in capsys.readouterr().err


def test_presets_agree_on_the_control(files):
    result = vcm.score(*files, preset=["vcc2026", "broad-obesity-1"], pert_col=COLUMN)
    assert result["broad-obesity-1"].settings["control"] == CONTROL
    assert len({one.contexts[0].perturbations for one in result.values()}) == 1
