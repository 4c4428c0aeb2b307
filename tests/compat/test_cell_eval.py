"""cell-eval's interface against every stored run of cell-eval 0.8.2: files, columns, numbers."""

import csv
from pathlib import Path

import numpy as np
import pytest

pytestmark = [pytest.mark.filterwarnings("ignore:.*left out")]

GOLDEN = Path(__file__).parents[1] / "golden" / "cell_eval"
EXACT = ("overlap_", "precision_", "de_nsig", "discrimination_", "de_sig_genes", "de_direction")
NO_TARGETS = {f"discrimination_score_{d}": {"exclude_target_gene": False} for d in ("l1", "l2", "cosine")}
EMBEDDED = {
    **{m: {"embed_key": "X_emb"} for m in ("pearson_delta", "mse", "mae", "pearson_edistance", "clustering_agreement")},
    **{f"discrimination_score_{d}": {"embed_key": "X_emb"} for d in ("l1", "l2", "cosine")},
}
OPTIONS = {
    **NO_TARGETS,
    "overlap_at_N": {"fdr_threshold": 0.2},
    "de_direction_match": {"fdr_threshold": 0.2},
    "clustering_agreement": {"metric": "ari"},
}
# run → input, profile, arguments of the evaluator, arguments of the metrics
RUNS = {
    "base_full": ("base", "full", {}, {}),
    "base_minimal": ("base", "minimal", {}, {}),
    "base_vcc": ("base", "vcc", {}, {}),
    "base_anndata": ("base", "anndata", {}, {}),
    "base_pds": ("base", "pds", {"skip_de": True}, {}),
    "base_de": ("base", "de", {}, {}),
    "base_eps1e-9": ("base", "de", {"pdex_kwargs": {"epsilon": 1e-9}}, {}),
    "base_cpm2000": ("base", "de", {"pdex_kwargs": {"cpm_filter": 2000.0}}, {}),
    "base_arith": ("base", "de", {"pdex_kwargs": {"geometric_mean": False}}, {}),
    "base_options": ("base", "full", {}, OPTIONS),
    "dense64_full": ("dense64", "full", {}, {}),
    "dense64_embed": ("dense64", "anndata", {}, EMBEDDED),
    "tiny_full": ("tiny", "full", {}, {}),
    "counts_full": ("counts", "full", {}, {}),
    "counts_discrete": ("counts", "full", {"allow_discrete": True}, {}),
}


@pytest.fixture(autouse=True)
def fresh_registry():
    """Arguments of metrics persist in the registry; every test gets it as it was."""
    from vcmetrics.compat.cell_eval import metrics_registry

    before = {name: dict(info.kwargs) for name, info in metrics_registry.metrics.items()}
    yield
    for name in list(metrics_registry.metrics):
        if name in before:
            metrics_registry.metrics[name].kwargs = before[name]
        else:
            del metrics_registry.metrics[name]


def paths(name):
    return tuple(str(GOLDEN / "inputs" / f"{name}_{side}.h5ad") for side in ("pred", "real"))


def rows(path, key):
    with open(path, newline="") as file:
        found = list(csv.DictReader(file))
    return list(found[0]), {tuple(r[k] for k in key): r for r in found}


def limit(metric, single):
    if metric == "pearson_edistance":
        return 2e-4 if single else 1e-9
    if metric.startswith(EXACT):
        return 1e-12
    return 1e-5 if single else 1e-9


def evaluator(name, outdir, **more):
    from vcmetrics.compat.cell_eval import MetricsEvaluator

    pred, real = paths(name)
    return MetricsEvaluator(
        adata_pred=pred, adata_real=real, pert_col="target_gene", num_threads=1, outdir=str(outdir), **more
    )


@pytest.mark.parametrize("run", RUNS)
def test_every_file_of_a_run(run, tmp_path, same_table):
    name, profile, arguments, configs = RUNS[run]
    single = run != "dense64_full"
    made = evaluator(name, tmp_path, **arguments)
    results, aggregate = made.compute(profile=profile, metric_configs=configs, break_on_error=True)
    folder = GOLDEN / "cell_eval_0.8.2" / run
    only = {"perturbation", "statistic", *results.columns} if run == "dense64_embed" else None
    same_table(
        tmp_path / "results.csv",
        folder / "results.csv",
        ["perturbation"],
        tolerance=lambda m: limit(m, single),
        only=only,
    )
    agg = lambda m: max(limit(m, single), 1e-12)  # noqa: E731
    same_table(tmp_path / "agg_results.csv", folder / "agg_results.csv", ["statistic"], tolerance=agg, only=only)
    assert next(iter(aggregate.columns)) == "statistic"
    for side in ("real", "pred"):
        if (folder / f"{side}_de.csv").exists():
            de = lambda c: 1e-5 if single and ("mean" in c or "change" in c) else 1e-9  # noqa: E731
            same_table(tmp_path / f"{side}_de.csv", folder / f"{side}_de.csv", ["target", "feature"], tolerance=de)
    assert (tmp_path / "real_de.csv").exists() == (not arguments.get("skip_de"))


def test_ceiling(tmp_path, same_table):
    made = evaluator("base", tmp_path)
    made.compute_ceiling()
    folder = GOLDEN / "cell_eval_0.8.2" / "base_full"
    same_table(
        tmp_path / "ceiling_results.csv",
        folder / "ceiling_results.csv",
        ["perturbation"],
        tolerance=lambda m: limit(m, True),
    )
    same_table(
        tmp_path / "agg_ceiling_results.csv", folder / "agg_ceiling_results.csv", [], tolerance=lambda m: limit(m, True)
    )


def test_ceiling_without_a_prediction(tmp_path):
    from vcmetrics.compat.cell_eval import MetricsEvaluator

    made = MetricsEvaluator(None, paths("base")[1], pert_col="target_gene", outdir=str(tmp_path))
    assert made.ceiling_only
    assert made.de_comparison is None
    assert made.anndata_pair.real is made.anndata_pair.pred
    with pytest.raises(ValueError, match="ceiling-only mode"):
        made.compute()
    made.compute_ceiling(profile="vcc")
    assert not (tmp_path / "real_de.csv").exists()


def test_scores_against_the_baseline(tmp_path, same_table):
    from vcmetrics.compat.cell_eval import score_agg_metrics

    folder = GOLDEN / "cell_eval_0.8.2"
    for profile in ("full", "vcc"):
        user = folder / f"base_{profile}" / "agg_results.csv"
        score_agg_metrics(str(user), str(folder / "baseline" / f"agg_{profile}_results.csv"), str(tmp_path / "s.csv"))
        same_table(
            tmp_path / "s.csv", folder / "baseline" / f"score_{profile}.csv", ["metric"], tolerance=lambda _: 1e-12
        )


def test_baseline_cells_and_their_scores(tmp_path, same_table):
    import anndata

    from vcmetrics.compat.cell_eval import MetricsEvaluator, build_base_mean_adata

    made = build_base_mean_adata(
        paths("base")[1], output_path=str(tmp_path / "b.h5ad"), output_de_path=str(tmp_path / "de.csv")
    )
    want = anndata.read_h5ad(GOLDEN / "inputs" / "base_baseline.h5ad")
    assert made.shape == want.shape
    assert made.obs["target_gene"].value_counts().to_dict() == want.obs["target_gene"].value_counts().to_dict()
    np.testing.assert_allclose(made.X.toarray().sum(0), want.X.toarray().sum(0), rtol=1e-6)
    assert made.obs_names[0] == "p.0"
    header, table = rows(tmp_path / "de.csv", ["target", "feature"])
    assert header[:4] == ["target", "feature", "target_mean", "ref_mean"]
    assert len(table) == 10 * 120
    run = MetricsEvaluator(
        str(tmp_path / "b.h5ad"), paths("base")[1], pert_col="target_gene", outdir=str(tmp_path / "o")
    )
    run.compute(profile="full")
    # every predicted group is the same: these compare rounding, and the order of tied matches
    noise = ("pearson_edistance", "clustering_agreement", "discrimination_score_l2")
    folder = GOLDEN / "cell_eval_0.8.2" / "baseline"
    same_table(
        tmp_path / "o" / "results.csv",
        folder / "full_results.csv",
        ["perturbation"],
        tolerance=lambda m: limit(m, True),
        without=noise,
    )


def cli(*words):
    from vcmetrics.cli.entry import run

    return run(["cell-eval", *map(str, words)])


def test_command_run_writes_the_same_files(tmp_path, same_table):
    pred, real = paths("celltype")
    out = tmp_path / "o"
    assert cli("run", "-ap", pred, "-ar", real, "--celltype-col", "celltype", "-o", out, "--profile", "full") == 0
    for kind in ("B", "T"):
        for file, key in (("results", "perturbation"), ("agg_results", "statistic")):
            same_table(
                out / f"{kind}_{file}.csv",
                GOLDEN / "cell_eval_0.8.2" / "celltype_cli" / f"{kind}_{file}.csv",
                [key],
                tolerance=lambda m: limit(m, True),
            )
        assert (out / f"{kind}_real_de.csv").exists()


def test_command_run_ceiling_and_skipped_metrics(tmp_path):
    _, real = paths("base")
    assert (
        cli("run", "-ar", real, "--ceiling", "-o", tmp_path, "--profile", "minimal", "--skip-metrics", "mse,mae") == 0
    )
    assert sorted(f.name for f in tmp_path.iterdir()) == ["agg_ceiling_results.csv", "ceiling_results.csv"]
    header, _ = rows(tmp_path / "ceiling_results.csv", ["perturbation"])
    assert "mse" not in header
    assert "pearson_delta" in header


def test_wrong_usage(tmp_path, capsys):
    assert cli("run", "-ar", paths("base")[1], "-o", tmp_path) == 2
    assert "--ceiling" in capsys.readouterr().err
    assert cli("run", "-ap", "absent.h5ad", "-ar", paths("base")[1], "-o", tmp_path) == 1


def test_command_baseline_and_score(tmp_path, same_table):
    out, de = tmp_path / "b.h5ad", tmp_path / "de.csv"
    counts = tmp_path / "n.csv"
    counts.write_text("target_gene,n_cells\nGENE003,3\nGENE010,2\nnon-targeting,9\n")
    assert cli("baseline", "-a", paths("base")[1], "-c", counts, "-o", out, "-O", de) == 0
    import anndata

    made = anndata.read_h5ad(out)
    got = made.obs["target_gene"].value_counts().to_dict()
    assert got == {"GENE003": 3, "GENE010": 2, "non-targeting": 60}
    folder = GOLDEN / "cell_eval_0.8.2"
    user, base = folder / "base_vcc" / "agg_results.csv", folder / "baseline" / "agg_vcc_results.csv"
    assert cli("score", "-i", user, "-I", base, "-o", tmp_path / "s.csv") == 0
    same_table(tmp_path / "s.csv", folder / "baseline" / "score_vcc.csv", ["metric"], tolerance=lambda _: 1e-12)


def test_command_prep_packs_what_the_stored_archive_held(tmp_path):
    """The stored archive was packed from the prediction of counts with its genes listed backwards."""
    import json
    import tarfile

    import anndata

    zstandard = pytest.importorskip("zstandard")
    pred, _ = paths("counts")
    names = list(anndata.read_h5ad(pred).var_names)[::-1]
    (tmp_path / "genes.csv").write_text("".join(f"{name}\n" for name in names))
    assert cli("prep", "-i", pred, "-g", tmp_path / "genes.csv", "-o", tmp_path / "p.vcc") == 0
    want = json.loads((GOLDEN / "cell_eval_0.8.2" / "prep" / "prep_info.json").read_text())
    with tarfile.open(tmp_path / "p.vcc") as archive:
        assert archive.getnames() == want["tar_members"]
        assert archive.extractfile("watermark.txt").read().decode() == want["watermark"]
        packed = archive.extractfile("pred.h5ad.zst").read()
    (tmp_path / "pred.h5ad").write_bytes(zstandard.ZstdDecompressor().decompressobj().decompress(packed))
    made = anndata.read_h5ad(tmp_path / "pred.h5ad")
    assert (made.X.format, str(made.X.dtype)) == (want["format"], want["dtype"])
    assert list(made.obs.columns) == want["obs_columns"]
    assert list(made.obs_names[:3]) == want["obs_names_head"]
    assert list(made.var_names[:3]) == want["var_names_head"]
    assert list(made.shape) == want["shape"]
    np.testing.assert_allclose([made.X.sum(), made.X.max()], [want["x_sum"], want["x_max"]], rtol=1e-6)


def test_own_metrics_join_the_pipeline(tmp_path):
    from vcmetrics.compat.cell_eval import MetricBestValue, MetricPipeline, MetricType

    made = evaluator("base", tmp_path)
    pipeline = MetricPipeline(profile=None)
    pipeline.add_metrics(["mae", "de_nsig_counts"])
    pipeline.add_metric(
        "largest_error",
        MetricType.ANNDATA_PAIR,
        "largest error of a profile",
        lambda pair: {b.key: float(abs(b.pert_real - b.pert_pred).max()) for b in pair.iter_bulk_arrays()},
        MetricBestValue.ZERO,
    )
    pipeline.compute_de_metrics(made.de_comparison)
    pipeline.compute_anndata_metrics(made.anndata_pair)
    results = pipeline.get_results()
    assert list(results.columns) == [
        "perturbation", "de_nsig_counts_real", "de_nsig_counts_pred", "mae", "largest_error"
    ]  # fmt: skip
    assert (np.asarray(results["largest_error"]) >= np.asarray(results["mae"])).all()


def test_ready_tables_give_the_same_scores(tmp_path):
    evaluator("base", tmp_path / "a").compute(profile="de")
    evaluator(
        "base",
        tmp_path / "b",
        de_real=str(tmp_path / "a" / "real_de.csv"),
        de_pred=str(tmp_path / "a" / "pred_de.csv"),
    ).compute(profile="de")
    assert (tmp_path / "a" / "results.csv").read_text() == (tmp_path / "b" / "results.csv").read_text()
    assert not (tmp_path / "b" / "real_de.csv").exists()


def test_frames_without_polars(tmp_path, monkeypatch, same_table):
    import pandas as pd

    from vcmetrics.compat import frames
    from vcmetrics.compat.cell_eval import differential

    monkeypatch.setattr(frames, "has_polars", lambda: False)
    monkeypatch.setattr(differential, "has_polars", lambda: False)
    made = evaluator("base", tmp_path)
    results, aggregate = made.compute(profile="de")
    assert isinstance(results, pd.DataFrame)
    assert isinstance(made.de_comparison.real.data, pd.DataFrame)
    folder = GOLDEN / "cell_eval_0.8.2" / "base_full"
    de = lambda c: 1e-5 if "mean" in c or "change" in c else 1e-9  # noqa: E731
    same_table(tmp_path / "real_de.csv", folder / "real_de.csv", ["target", "feature"], tolerance=de)
    same_table(
        tmp_path / "results.csv",
        folder.parent / "base_de" / "results.csv",
        ["perturbation"],
        tolerance=lambda m: limit(m, True),
    )
    assert aggregate["statistic"].tolist()[:3] == ["count", "null_count", "mean"]


def test_the_callers_counts_are_left_alone(tmp_path):
    import anndata

    from vcmetrics.compat.cell_eval import MetricsEvaluator

    pred, real = (anndata.read_h5ad(p) for p in paths("counts"))
    before = real.X.data.copy()
    made = MetricsEvaluator(pred, real, pert_col="target_gene", outdir=str(tmp_path))
    assert made.anndata_pair.real.X.max() < 15
    assert (real.X.data == before).all()
