"""Scripts written for the peers, run twice: for the peer, and with only the import or the command name changed."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

pytestmark = [pytest.mark.parity, pytest.mark.filterwarnings("ignore")]

OF_CELL_EVAL = """
from cell_eval import MetricsEvaluator, score_agg_metrics
from cell_eval.data import build_random_anndata, downsample_cells

real = build_random_anndata(n_cells=600, n_genes=60)
pred = downsample_cells(real, fraction=0.6)
evaluator = MetricsEvaluator(
    adata_pred=pred, adata_real=real, control_pert="control", pert_col="perturbation", num_threads=1, outdir="out"
)
results, agg_results = evaluator.compute(skip_metrics=["clustering_agreement"])
assert results.height == 10, results
ceiling, ceiling_agg = evaluator.compute_ceiling(seed=3, profile="minimal")
agg_results.write_csv("agg.csv")
again, base = evaluator.compute(profile="anndata", skip_metrics=["clustering_agreement"], basename="base.csv")
score_agg_metrics("out/agg_base.csv", "out/agg_base.csv", "scores.csv")
"""
OF_CELL_EVAL2 = """
import polars as pl
from cell_eval2 import EvalConfig, aggregate_metrics, aggregate_metrics_wide, compute_metrics, score_metrics

config = EvalConfig.from_preset("vcc2026")
df = compute_metrics("pred.h5ad", "real.h5ad", config=config, pert_col="target")
df.sort("metric", "perturbation").write_csv("results.csv")
aggregate_metrics(df).write_csv("agg.csv")
wide = aggregate_metrics_wide(df)
wide.write_csv("wide.csv")
score_metrics(wide, scale="low-random_high-1_v10", output="scores.csv")
full = compute_metrics("pred.h5ad", "real.h5ad", config=EvalConfig(num_threads=1, de={"min_abs_log2fc": 0.2}))
full.filter(pl.col("metric").is_in(["expr_mae", "pds_l1", "de_wilcoxon_overlap"])).sort(
    "metric", "perturbation"
).write_csv("full.csv")
"""


def run(words, folder):
    done = subprocess.run([sys.executable, *map(str, words)], cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return done


@pytest.fixture
def screen():
    """Prediction and reality: 8 perturbations with effects, 80 genes, no two depths alike."""

    def make(seed, column="target"):
        import anndata
        import pandas as pd
        import scipy.sparse as sp

        rng = np.random.default_rng(seed)
        genes = [f"GENE{i:02d}" for i in range(80)]
        names = ["non-targeting", *genes[:8]]
        rate = rng.gamma(0.8, 8.0, 80)
        effect = np.where(rng.random((9, 80)) < 0.35, rng.normal(0.0, 1.1, (9, 80)), 0.0)
        effect[0] = 0.0
        sides = []
        for which in range(2):
            group = np.repeat(np.arange(9), np.array([90, *[36] * 8]))
            shown = effect if which else 0.7 * effect + rng.normal(0.0, 0.1, effect.shape) * (effect != 0)
            mean = rate * np.exp(shown[group]) * rng.lognormal(0.0, 0.3, (group.size, 1))
            counts = rng.negative_binomial(2.0, 2.0 / (2.0 + mean + 1e-12)).astype(np.float32)
            counts[:, 79] = rng.integers(20_000, 60_000, group.size)
            obs = pd.DataFrame({column: np.array(names)[group]}, index=[f"c{i}" for i in range(group.size)])
            obs["celltype"] = np.where(np.arange(group.size) % 2 == 0, "even", "odd")
            sides.append(anndata.AnnData(sp.csr_matrix(counts), obs=obs, var=pd.DataFrame(index=genes)))
        return sides

    return make


def write(folder, sides):
    folder.mkdir()
    for name, side in zip(("pred", "real"), sides, strict=True):
        side.write_h5ad(folder / f"{name}.h5ad")


def csv_files(folder):
    return sorted(str(p.relative_to(folder)) for p in Path(folder).rglob("*.csv"))


def test_a_script_for_cell_eval(tmp_path, same_table):
    for name, text in (
        ("peer", OF_CELL_EVAL),
        ("ours", OF_CELL_EVAL.replace("cell_eval", "vcmetrics.compat.cell_eval")),
    ):
        (tmp_path / name).mkdir()
        # a perfect baseline divides by zero there and is an error here
        script = text if name == "peer" else text.replace('score_agg_metrics("out', '# score_agg_metrics("out')
        (tmp_path / name / "script.py").write_text(script)
        run(["script.py"], tmp_path / name)
    found = [name for name in csv_files(tmp_path / "peer") if name != "scores.csv"]
    assert csv_files(tmp_path / "ours") == found
    for name in found:
        key = ["target", "feature"] if name.endswith("_de.csv") else None
        if key is None:
            key = [] if "agg_ceiling" in name else ["statistic"] if "agg" in name else ["perturbation"]
        same_table(tmp_path / "ours" / name, tmp_path / "peer" / name, key, tolerance=1e-9)


def test_a_script_for_cell_eval2(tmp_path, screen, same_table):
    for name, text in (
        ("peer", OF_CELL_EVAL2),
        ("ours", OF_CELL_EVAL2.replace("cell_eval2", "vcmetrics.compat.cell_eval2")),
    ):
        write(tmp_path / name, screen(11))
        (tmp_path / name / "script.py").write_text(text)
        run(["script.py"], tmp_path / name)
    assert csv_files(tmp_path / "ours") == csv_files(tmp_path / "peer")
    keys = {
        "results.csv": ["perturbation", "metric"],
        "full.csv": ["perturbation", "metric"],
        "wide.csv": ["statistic"],
    }
    for name in csv_files(tmp_path / "peer"):
        same_table(tmp_path / "ours" / name, tmp_path / "peer" / name, keys.get(name, ["metric"]), tolerance=1e-9)


def test_commands_of_cell_eval(tmp_path, screen, same_table):
    write(tmp_path / "data", screen(12, "target_gene"))
    pred, real = tmp_path / "data" / "pred.h5ad", tmp_path / "data" / "real.h5ad"
    programs = {"peer": ["-m", "cell_eval"], "ours": ["-m", "vcmetrics", "cell-eval"]}
    for name, program in programs.items():
        folder = tmp_path / name
        folder.mkdir()
        skip = ["--skip-metrics", "clustering_agreement"]
        words = ["run", "-ap", pred, "-ar", real, "-o", "u", "--celltype-col", "celltype", *skip, "--cpm-filter", "50"]
        run([*program, *words], folder)
        run([*program, "baseline", "-a", real, "-o", "b.h5ad", "-O", "b_de.csv"], folder)
        # one baseline for both: the peer lists the labels of its own in no fixed order
        base = tmp_path / "peer" / "b.h5ad"
        run([*program, "run", "-ap", base, "-ar", real, "-o", "v", "--profile", "vcc"], folder)
        run([*program, "run", "-ap", pred, "-ar", real, "-o", "w", "--profile", "vcc", "--ceiling"], folder)
        run([*program, "score", "-i", "w/agg_results.csv", "-I", "v/agg_results.csv", "-o", "s.csv"], folder)
    found = csv_files(tmp_path / "peer")
    assert csv_files(tmp_path / "ours") == found
    for name in found:
        key = ["target", "feature"] if name.endswith("_de.csv") else ["perturbation"]
        if "agg_" in name:
            key = [] if "ceiling" in name else ["statistic"]
        key = ["metric"] if name == "s.csv" else key
        close = 5e-4 if name.endswith(("results.csv", "s.csv")) else 2e-5
        same_table(tmp_path / "ours" / name, tmp_path / "peer" / name, key, tolerance=close)


def test_commands_of_cell_eval2_and_each_reads_the_other(tmp_path, screen, same_table):
    write(tmp_path / "data", screen(13))
    pred, real = tmp_path / "data" / "pred.h5ad", tmp_path / "data" / "real.h5ad"
    peer = ["-c", "from cell_eval2.cli import main; main()"]
    programs = {"peer": peer, "ours": ["-m", "vcmetrics", "cell-eval2"]}
    preset = ["--preset", "vcc2026"]
    for name, program in programs.items():
        folder = tmp_path / name
        folder.mkdir()
        words = ["run", "-ap", pred, "-ar", real, "-o", "u", "--ceiling", "--lfc-nmae-ref", "--anchor", *preset]
        run([*program, *words], folder)
        run([*program, "baseline", "-ar", real, "-o", "b", "--save-pred", "b.h5ad", *preset], folder)
        words = ["--real", real, "--baseline", tmp_path / "peer" / "b.h5ad", "-o", "bundle", *preset]
        run([*program, "prep-real-bundle", *words], folder)
        run([*program, "score", "--user-agg", "u/agg_results.csv", "--real-bundle", "bundle", "-o", "s.csv"], folder)
        words = ["--baseline-agg", "b/baseline_agg.csv", "--anchor", "u", "-o", "t.csv"]
        run([*program, "score", "--user-agg", "u/agg_results.csv", *words], folder)
    found = csv_files(tmp_path / "peer")
    assert csv_files(tmp_path / "ours") == found
    marks = ("anchor_digest", "real_bundle_digest")
    for name in found:
        key = ["perturbation", "metric"] if name.endswith(("/results.csv", "baseline_results.csv")) else ["metric"]
        key = ["statistic"] if name.endswith(("agg_results.csv", "baseline_agg.csv", "ref_agg.csv")) else key
        key = ["perturbation", "metric"] if name.endswith("ceiling_results.csv") else key
        key = ["perturbation"] if name.endswith("lfc_nmae_ref.csv") else key
        same_table(tmp_path / "ours" / name, tmp_path / "peer" / name, key, tolerance=1e-9, without=marks)
    # each scores the other's run against the other's bundle
    for name, other in (("peer", "ours"), ("ours", "peer")):
        for user, bundle in ((name, other), (other, name), (other, other)):
            words = [
                "--user-agg",
                tmp_path / user / "u" / "agg_results.csv",
                "--real-bundle",
                tmp_path / bundle / "bundle",
            ]
            run([*programs[name], "score", *words, "-o", tmp_path / "cross.csv"], tmp_path)
            same_table(tmp_path / "cross.csv", tmp_path / "peer" / "s.csv", ["metric"], tolerance=1e-9, without=marks)
    # a stored run of the peer is replayed here
    words = ["--settings-from", tmp_path / "peer" / "u" / "evaluation_results.json", "-o", "replay"]
    run([*programs["ours"], "run", "-ap", pred, "-ar", real, *words], tmp_path)
    assert (tmp_path / "replay" / "results.csv").read_text() == (tmp_path / "ours" / "u" / "results.csv").read_text()
    # and stored runs from here by the peer, where no table was computed: the document names what computed one
    for name, words in (
        ("profiles", ["--profile", "anndata"]),
        ("given", ["--de-pred", "ours/t/de_pred.parquet", "--de-real", "ours/t/de_real.parquet"]),
    ):
        run([*programs["ours"], "run", "-ap", pred, "-ar", real, "--write-degenes", "-o", "ours/t"], tmp_path)
        run([*programs["ours"], "run", "-ap", pred, "-ar", real, *words, "-o", f"mine-{name}"], tmp_path)
        replay = ["--settings-from", f"mine-{name}/evaluation_results.json", *words[2 * (name == "profiles") :]]
        run([*programs["peer"], "run", "-ap", pred, "-ar", real, *replay, "-o", f"theirs-{name}"], tmp_path)
        for file, key in (("results.csv", ["perturbation", "metric"]), ("agg_results.csv", ["statistic"])):
            same_table(tmp_path / f"mine-{name}" / file, tmp_path / f"theirs-{name}" / file, key, tolerance=1e-9)
