"""cell-eval2's interface against stored runs of cell-eval2 0.20.0: files, columns, numbers, records."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest

from vcmetrics import DataError, DeviceError
from vcmetrics.compat.cell_eval2 import (
    EvalConfig,
    aggregate_metrics,
    aggregate_metrics_wide,
    build_generic_baseline,
    compute_ceiling,
    compute_lfc_nmae_reference,
    compute_metrics,
    score_metrics,
)

pytestmark = [
    pytest.mark.filterwarnings("ignore:preset .* is deprecated:FutureWarning"),
    pytest.mark.filterwarnings("ignore:bundle .* is for diagnosis"),
]

GOLDEN = Path(__file__).parents[1] / "golden" / "cell_eval2"
RUNS = [
    "a_noise.vcc2026.pdex",
    "a_noise.vcc2026.scanpy",
    "a_noise.v2.pdex",
    "a_noise.v1.pdex",
    "a_noise.cell-eval-0.7.6.pdex",
    "a_noise.v2cell.pdex",
    "a_loud.v2.pdex",
    "a_equal.vcc2026.pdex",
    "b_equal.vcc2026.pdex",
]


def cli(*words):
    from vcmetrics.cli.entry import run

    return run(["cell-eval2", *map(str, words)])


def inputs(run):
    data, pred = run.split(".")[0].split("_")
    real = GOLDEN / "inputs" / f"{data}_real.h5ad"
    return (real if pred == "equal" else GOLDEN / "inputs" / f"{data}_{pred}.h5ad"), real


def arguments(run):
    preset, engine = run[run.index(".") + 1 :].rsplit(".", 1)
    words = ["--profile", "cell"] if preset.endswith("cell") else []
    words += ["--preset", preset.removesuffix("cell")]
    return [*words, "--set", "device=cpu", "--set", "num_threads=1", "--set", f"de.backend={engine}"]


def limit(run):
    """cell_cov_ccc multiplies float32 matrices there."""
    return 1e-7 if "cell." in run else 1e-9


@pytest.mark.parametrize("run", RUNS)
def test_every_file_of_a_run(run, tmp_path, same_table):
    pred, real = inputs(run)
    assert cli("run", "-ap", pred, "-ar", real, "-o", tmp_path, *arguments(run)) == 0
    folder = GOLDEN / "runs" / run
    same_table(tmp_path / "results.csv", folder / "results.csv", ["perturbation", "metric"], tolerance=limit(run))
    same_table(tmp_path / "agg_results.csv", folder / "agg_results.csv", ["statistic"], tolerance=limit(run))
    assert (tmp_path / "metric_aggregation.csv").read_text() == (folder / "metric_aggregation.csv").read_text()
    got, want = (json.loads((x / "run_meta.json").read_text()) for x in (tmp_path, folder))
    assert got["cell_eval2_version"].startswith("0.20.0")
    assert set(got) == {*want, "created_utc", "source"}
    differing = {"cell_eval2_version", "environment"}
    assert {k: got[k] for k in want if k not in differing} == {k: want[k] for k in want if k not in differing}


def test_tables_of_differential_expression(tmp_path):
    import pandas as pd

    run = "a_noise.vcc2026.pdex"
    pred, real = inputs(run)
    assert cli("run", "-ap", pred, "-ar", real, "-o", tmp_path, "--write-degenes", *arguments(run)) == 0
    for side in ("real", "pred"):
        got, want = (pd.read_parquet(x / f"de_{side}.parquet") for x in (tmp_path, GOLDEN / "runs" / run))
        assert list(got.columns) == list(want.columns)
        got, want = (x.sort_values(["target", "feature"], ignore_index=True) for x in (got, want))
        assert got[["target", "feature"]].astype(str).equals(want[["target", "feature"]].astype(str))
        np.testing.assert_allclose(got["log2_fold_change"], want["log2_fold_change"], rtol=1e-9, atol=1e-9)


def test_document_and_its_replay(tmp_path):
    run = "a_noise.vcc2026.pdex"
    pred, real = inputs(run)
    first, second, third = (tmp_path / x for x in "abc")
    assert cli("run", "-ap", pred, "-ar", real, "-o", first, *arguments(run)) == 0
    got, want = (json.loads((x / "evaluation_results.json").read_text()) for x in (first, GOLDEN / "runs" / run))
    assert set(got) == set(want)
    assert list(got["metrics"]) == list(want["metrics"])
    for name, entry in want["metrics"].items():
        mine = got["metrics"][name]
        assert set(mine) == set(entry), name
        assert mine["facets"] == entry["facets"]
        assert mine["headline"]["statistic"] == entry["headline"]["statistic"]
        assert mine["headline"]["direction"] == entry["headline"]["direction"]
        assert set(mine["statistics"]) == set(entry["statistics"])
        for key, value in entry["statistics"].items():
            np.testing.assert_allclose(mine["statistics"][key], value, rtol=1e-9, atol=1e-12, err_msg=f"{name} {key}")
        if "values" in entry:
            a, b = (np.array(x["values"], float) for x in (mine, entry))
            np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-9)
    settings = {**want["suite"]["settings"]}
    assert got["suite"]["settings"].keys() == settings.keys()
    replay = ["--settings-from", first / "evaluation_results.json"]
    assert cli("run", "-ap", pred, "-ar", real, "-o", second, *replay) == 0
    assert (second / "results.csv").read_bytes() == (first / "results.csv").read_bytes()
    theirs = ["--settings-from", GOLDEN / "runs" / run / "evaluation_results.json"]
    assert cli("run", "-ap", pred, "-ar", real, "-o", third, *theirs) == 0
    assert (third / "results.csv").read_bytes() == (first / "results.csv").read_bytes()
    assert cli("run", "-ap", pred, "-ar", real, "-o", third, *replay, "--set", "de.p_adj_threshold=0.1") == 1


def test_estimates_from_the_reference_alone(tmp_path, same_table):
    real = GOLDEN / "inputs" / "a_real.h5ad"
    assert cli("run", "-ar", real, "-o", tmp_path, "--ceiling", "--lfc-nmae-ref", "--preset", "vcc2026") == 0
    folder = GOLDEN / "reference" / "anchor"
    same_table(tmp_path / "ceiling_agg.csv", folder / "ceiling_agg.csv", ["metric"], tolerance=1e-9)
    same_table(tmp_path / "lfc_nmae_ref.csv", folder / "lfc_nmae_ref.csv", ["perturbation"], tolerance=1e-9)
    same_table(tmp_path / "lfc_nmae_ref_agg.csv", folder / "lfc_nmae_ref_agg.csv", ["statistic"], tolerance=1e-9)
    key = ["perturbation", "metric"]
    same_table(tmp_path / "ceiling_results.csv", folder / "ceiling_results.csv", key, tolerance=1e-9)
    assert not (tmp_path / "results.csv").exists()
    results, aggregate = compute_ceiling(real, config=EvalConfig.from_preset("vcc2026"))
    assert list(results.columns) == ["perturbation", "metric", "value"]
    assert list(aggregate.columns) == ["metric", "ceiling"]
    assert list(compute_lfc_nmae_reference(real)[1].columns)[1] == "nmae_ref_raw"


def test_anchors_and_their_record(tmp_path):
    from pyarrow import parquet

    words = ["--preset", "vcc2026", "--set", "device=cpu", "--set", "de.backend=pdex"]
    assert cli("run", "-ar", GOLDEN / "inputs" / "a_real.h5ad", "-o", tmp_path, "--anchor", *words) == 0
    folder = GOLDEN / "reference" / "anchor"
    for name in ("anchor_agg.parquet", "anchor_splits.parquet"):
        got, want = (parquet.read_table(x / name) for x in (tmp_path, folder))
        assert got.schema.names == want.schema.names
        assert [str(t) for t in got.schema.types] == [str(t).replace("large_", "") for t in want.schema.types]
        for row, other in zip(got.to_pylist(), want.to_pylist(), strict=True):
            for key, value in other.items():
                if isinstance(value, float):
                    np.testing.assert_allclose(row[key], value, rtol=1e-9, atol=1e-9)
                else:
                    assert row[key] == value
    got, want = (json.loads((x / "anchor_meta.json").read_text()) for x in (tmp_path, folder))
    same = set(want) - {"cell_eval2_version", "config_hash"}  # its configuration names a number of threads
    assert set(got) == set(want)
    assert {k: got[k] for k in same} == {k: want[k] for k in same}


def test_baseline_files(tmp_path, same_table):
    real = GOLDEN / "inputs" / "a_real.h5ad"
    words = ["--preset", "vcc2026", "--set", "device=cpu", "--set", "num_threads=1", "--set", "de.backend=pdex"]
    assert cli("baseline", "-ar", real, "-o", tmp_path, "--save-pred", tmp_path / "b.h5ad", *words) == 0
    folder = GOLDEN / "reference" / "baseline"
    same_table(tmp_path / "baseline_agg.csv", folder / "baseline_agg.csv", ["statistic"], tolerance=1e-9)
    key = ["perturbation", "metric"]
    same_table(tmp_path / "baseline_results.csv", folder / "baseline_results.csv", key, tolerance=1e-9)
    got, want = (json.loads((x / "baseline_meta.json").read_text()) for x in (tmp_path, folder))
    for name in ("config_digest", "source_fingerprint", "n_excluded", "metrics", "comparator", "degenerate_metrics"):
        assert got[name] == want[name], name
    assert got["baseline_emission"]["genes_control_zero"] == want["baseline_emission"]["genes_control_zero"]
    import anndata

    made, stored = anndata.read_h5ad(tmp_path / "b.h5ad"), anndata.read_h5ad(GOLDEN / "reference/a_baseline_pred.h5ad")
    np.testing.assert_allclose(made.X.toarray(), stored.X.toarray(), rtol=1e-6)
    got = [(tmp_path / "run_params.yaml").read_text(), (folder / "run_params.yaml").read_text()]
    assert [line for line in got[0].splitlines() if "outdir" not in line] == [
        line for line in got[1].splitlines() if "outdir" not in line
    ]


@pytest.mark.parametrize("pred", ["noise", "constant", "loud", "paste", "equal"])
def test_scores(pred, tmp_path, same_table):
    run = f"a_{pred}.vcc2026.pdex"
    folder, stored = GOLDEN / "runs" / run, GOLDEN / "scores"
    user = ["--user-agg", folder / "agg_results.csv"]
    assert cli("score", *user, "--real-bundle", GOLDEN / "bundle", "-o", tmp_path / "s.csv") == 0
    same_table(tmp_path / "s.csv", stored / f"a_{pred}.bundle.csv", ["metric"], tolerance=1e-12)
    assert cli("score", *user, "--scale", "low-random_high-1_v10", "-o", tmp_path / "s.csv") == 0
    same_table(tmp_path / "s.csv", stored / f"a_{pred}.scale.csv", ["metric"], tolerance=1e-12)
    base = GOLDEN / "reference" / "baseline"
    words = ["--baseline-agg", base / "baseline_agg.csv", "-o", tmp_path / "s.csv"]
    with open(stored / f"a_{pred}.baseline.csv") as file:
        if "from_reference" in file.readline():
            words += ["--lfc-nmae-ref", GOLDEN / "reference" / "anchor" / "lfc_nmae_ref_agg.csv"]
    assert cli("score", *user, *words) == 0
    same_table(tmp_path / "s.csv", stored / f"a_{pred}.baseline.csv", ["metric"], tolerance=1e-12)


def test_bundle_of_the_competition_and_of_ones_own(tmp_path, same_table):
    run = "a_noise.vcc2026.pdex"
    real = inputs(run)[1]
    words = ["--preset", "vcc2026", "--set", "device=cpu", "--set", "de.backend=pdex"]
    arm = GOLDEN / "reference" / "a_baseline_pred.h5ad"
    assert cli("prep-real-bundle", "--real", real, "--baseline", arm, "-o", tmp_path / "golden-a", *words) == 0
    got, want = (json.loads((x / "manifest.json").read_text()) for x in (tmp_path / "golden-a", GOLDEN / "bundle"))
    other = {"cell_eval2_version", "anchor_config_hash", "anchor_digest", "created_utc"}
    assert set(got) == set(want)
    assert {k: v for k, v in got.items() if k not in other} == {k: v for k, v in want.items() if k not in other}
    user = GOLDEN / "runs" / run
    meta = json.loads((user / "run_meta.json").read_text())
    made = score_metrics(
        user / "agg_results.csv", real_bundle=tmp_path / "golden-a", user_meta=meta, output=tmp_path / "s.csv"
    )
    assert "real_bundle_id" in list(made.columns)
    same_table(
        tmp_path / "s.csv",
        GOLDEN / "scores" / "a_noise.bundle.csv",
        ["metric"],
        tolerance=1e-9,
        without=("anchor_digest", "real_bundle_digest"),
    )
    own = [*words, "--set", "de.p_adj_threshold=0.1", "--force"]
    assert cli("prep-real-bundle", "--real", real, "--baseline", arm, "-o", tmp_path / "golden-a", *own) == 0
    mine = json.loads((tmp_path / "golden-a" / "manifest.json").read_text())
    assert mine["rule_digest"] is None
    assert "settings" in mine["rule_mismatches"][0]
    with pytest.raises(DataError, match=r"does not belong to bundle.*config_digest"):
        score_metrics(user / "agg_results.csv", real_bundle=tmp_path / "golden-a", user_meta=meta)


def test_functions_and_overrides(tmp_path, same_table):
    pred, real = inputs("a_noise.v2.pdex")
    df = compute_metrics(pred, real, metrics="vcc2026", num_threads=1, de={"p_adj_threshold": 0.2})
    assert list(df.columns) == ["perturbation", "metric", "value"]
    small = aggregate_metrics(df)
    assert list(small.columns) == ["metric", "mean", "agg"]
    assert dict(zip(small["metric"], small["agg"], strict=True))["expr_mse_unbiased_capped_norm"] == "ratio_of_sums"
    wide = aggregate_metrics_wide(df)
    assert list(wide["statistic"]) == ["count", "null_count", "mean", "std", "min", "max", "median"]
    with open(GOLDEN / "runs" / "a_noise.v2+alpha0.2.pdex" / "agg_results.csv", newline="") as file:
        want = next(r for r in csv.DictReader(file) if r["statistic"] == "mean")
    for name, value in zip(small["metric"], small["mean"], strict=True):
        np.testing.assert_allclose(value, float(want[name]), rtol=1e-9, err_msg=name)
    with pytest.raises(ValueError, match="no setting nonsense"):
        compute_metrics(pred, real, nonsense=1)
    aliased = compute_metrics(pred, real, metrics=["mae", "expr_mae", "expr_mse_unbiased_capped_norm"])
    assert set(aliased["metric"]) == {"expr_mae", "expr_mse_unbiased_capped", "expr_distance_unbiased"}


def test_configurations(tmp_path):
    assert EvalConfig() == EvalConfig.v2() == EvalConfig.from_preset("corrected")
    config = EvalConfig.from_preset("vcc2026")
    assert (config.metrics, config.cache_strict, config.bulk_target_sum) == ("vcc2026", True, 5e4)
    file = tmp_path / "c.yaml"
    for one in (
        config,
        EvalConfig.v1(),
        EvalConfig(metrics=["mae", "pds_l1"], target_gene_map={"x y": "G", "*": None}),
    ):
        one.to_yaml(file)
        assert EvalConfig.from_yaml(file) == one
    with pytest.raises(ValueError, match="control_source must be one of pred, real"):
        EvalConfig(control_source="both")
    with pytest.raises(ValueError, match=r"no setting de\.nothing"):
        EvalConfig.from_dict({"de": {"nothing": 1}})


def test_yaml_without_pyyaml(tmp_path, monkeypatch):
    from vcmetrics.compat.cell_eval2 import yaml_text

    monkeypatch.setattr(yaml_text, "find_spec", lambda _: None)
    file = tmp_path / "c.yaml"
    for one in (
        EvalConfig.from_preset("vcc2026"),
        EvalConfig.v1(),
        EvalConfig(metrics=["mae", "pds_l1"], target_gene_map={"x y": "G", "*": None}),
    ):
        one.to_yaml(file)
        assert EvalConfig.from_yaml(file) == one
    file.write_text("# a comment\nde:\n  epsilon: 1.0e-06  # small\nmetrics:\n- mae\n")
    assert EvalConfig.from_yaml(file).de.epsilon == 1e-6
    assert [yaml_text.scalar(x) for x in ("null", "true", "0.25", "3", "word", "[1, 2]")] == [
        *(None, True, 0.25, 3, "word", [1, 2])
    ]


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (["--set", "device=cuda"], "needs cell-eval2 on a GPU"),
        (["--set", "de.backend=gpudge"], "needs cell-eval2 on a GPU"),
        (["--set", "de.backend=deseq2"], "is not available here"),
        (["--set", "de=1"], "is a group of settings"),
        (["--set", "nothing=1"], "no setting 'nothing'"),
        (["--preset", "v3"], "no preset 'v3'"),
        (["--profile", "nothing"], "no profile 'nothing'"),
    ],
)
def test_what_cannot_be_done_is_one_line(words, line, tmp_path, capsys):
    pred, real = inputs("a_noise.v2.pdex")
    assert cli("run", "-ap", pred, "-ar", real, "-o", tmp_path, *words) == 1
    text = capsys.readouterr().err.strip()
    assert line in text
    assert len(text.splitlines()) == 1


def test_names_that_are_not_here():
    with pytest.raises(ImportError, match="cell archives are read by cell-eval2 only"):
        from vcmetrics.compat.cell_eval2 import score_cellstream  # noqa: F401
    with pytest.raises(DeviceError):
        compute_metrics("a", "b", device="cuda")
    with pytest.raises(DataError, match="version v1"):
        build_generic_baseline("a", config=EvalConfig.v1())


def test_one_metric_under_two_names_is_refused(tmp_path):
    table = tmp_path / "agg.csv"
    table.write_text("statistic,expr_mae,mae\nmean,0.5,0.5\n")
    with pytest.raises(DataError, match="expr_mae under two names"):
        score_metrics(table, table)


FAILING = [
    ("run", "-ap", "{pred}", "-ar", "{real}", "--set", "discrimination.tie_policy=none"),
    ("run", "-ap", "{pred}", "-ar", "{real}", "--de-pred", "{real}"),
    ("baseline", "-ar", "{real}", "--control", "nobody"),
]


@pytest.mark.parametrize("words", FAILING, ids=" ".join)
def test_a_command_that_fails_leaves_its_folder_as_it_was(words, tmp_path, capsys):
    pred, real = inputs("a_noise.vcc2026.pdex")
    words = [word.format(pred=pred, real=real) for word in words]
    out = tmp_path / "new" / "out"
    assert cli(*words, "-o", out) == 1
    assert list(tmp_path.iterdir()) == []
    out.mkdir(parents=True)
    (out / "evaluation_results.json").write_text("{}")
    assert cli(*words, "-o", out) == 1
    assert [path.name for path in tmp_path.rglob("*")] == ["new", "out", "evaluation_results.json"]
    assert (out / "evaluation_results.json").read_text() == "{}"


def test_a_late_failure_leaves_the_folder_as_it_was(tmp_path, capsys, monkeypatch):
    from vcmetrics.compat.cell_eval2 import command

    def fails(*args, **options):
        msg = "too late"
        raise DataError(msg)

    monkeypatch.setattr(command, "compute_anchors", fails)
    pred, real = inputs("a_noise.vcc2026.pdex")
    assert (
        cli("run", "-ap", pred, "-ar", real, *arguments("a_noise.vcc2026.pdex"), "--anchor", "-o", tmp_path / "x") == 1
    )
    assert list(tmp_path.iterdir()) == []


def test_options_as_argparse_takes_them(tmp_path, capsys):
    pred, real = inputs("a_noise.vcc2026.pdex")
    words = ["--prof", "anndata", "--pres=vcc2026", "--contr", "non-targeting", "--pert-c=target"]
    assert cli("run", "--adata-p", pred, f"-ar={real}", f"-o={tmp_path / 'a'}", *words) == 0
    words = ["--profile", "anndata", "--preset", "vcc2026"]
    assert cli("run", "-ap", pred, "-ar", real, "-o", tmp_path / "b", *words) == 0
    assert (tmp_path / "a" / "results.csv").read_bytes() == (tmp_path / "b" / "results.csv").read_bytes()
    capsys.readouterr()
    assert cli("run", "-ap", pred, "-ar", real, "--pr", "anndata") == 2
    assert "ambiguous option: --pr could match --preset, --profile" in capsys.readouterr().err
    assert cli("run", "-a", pred) == 2
    assert cli("run", "-ap", pred, "-ar", real, "--anchor-sp", "x") == 2


def test_the_reference_of_fold_changes_checks_labels_and_tables(tmp_path, caplog):
    import anndata
    import pandas as pd

    _, real = inputs("a_noise.vcc2026.pdex")
    config = EvalConfig(num_threads=1)
    adata = anndata.read_h5ad(real)
    compute_metrics(adata, adata, config=config, outdir=str(tmp_path), write_de=True)
    table = pd.read_parquet(tmp_path / "de_real.parquet")
    whole, _ = compute_lfc_nmae_reference(adata, config=config, de_real=table)
    first = table["target"].iloc[0]
    with caplog.at_level("WARNING"):
        some, _ = compute_lfc_nmae_reference(adata, config=config, de_real=table[table["target"] != first])
    assert f"no row for 1 of the {table['target'].nunique()} perturbations ({first})" in caplog.text.replace("'", "")
    assert some.height == whole.height - 1 if hasattr(some, "height") else len(some) == len(whole) - 1
    with pytest.raises(DataError, match="de_real is empty"):
        compute_lfc_nmae_reference(adata, config=config, de_real=table[:0])
    with pytest.raises(DataError, match="no cells in the real data"):
        compute_lfc_nmae_reference(adata, config=config, de_real=table.replace({"target": {first: "GHOST"}}))
    adata.obs["target"] = adata.obs["target"].astype(object)
    adata.obs.iloc[:2, adata.obs.columns.get_loc("target")] = None
    with pytest.raises(DataError, match="2 cells have a null label in 'target'"):
        compute_lfc_nmae_reference(adata, config=config)
