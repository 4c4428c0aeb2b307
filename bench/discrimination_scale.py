"""What discrimination gives on real data: a replicate, baselines without biology, and their scale.

``python -m bench.discrimination_scale -o FIGURE [NAME,FILE,pert_col,control,space[,column=value] ...]``

The cells of every perturbation and of the control are halved (seed 0): one half is the truth, the other the replicate
that predicts it. Without files the packaged demo set is used. Prints a table and draws the sweep over scales.
"""

from __future__ import annotations

import argparse
import warnings
from pathlib import Path

import anndata
import numpy as np
import pandas as pd

import vcmetrics as vcm
from vcmetrics.datasets import demo

METRICS = {"l1": "L1", "l2": "L2", "cosine": "cosine"}
COLOURS = {"l1": "#b5403a", "l2": "#2f6690", "cosine": "#3a7d44"}


def halves(cells: anndata.AnnData, pert_col: str) -> tuple[anndata.AnnData, anndata.AnnData]:
    """Two halves of every label's cells, disjoint."""
    rng = np.random.default_rng(0)
    labels = cells.obs[pert_col].astype(str).to_numpy()
    second = np.zeros(len(labels), bool)
    for label in np.unique(labels):
        chosen = rng.permutation(np.flatnonzero(labels == label))
        second[chosen[: len(chosen) // 2]] = True
    return cells[~second].copy(), cells[second].copy()


def effects(cells: anndata.AnnData, pert_col: str, control: str, space: str) -> tuple[pd.DataFrame, np.ndarray]:
    """Profiles of the perturbations, and of the control."""
    bulk = vcm.pseudobulk(cells, pert_col=pert_col, space=space)
    table = pd.DataFrame(bulk.X, index=bulk.obs_names, columns=bulk.var_names)
    return table.drop(control), table.loc[control].to_numpy()


def study(name: str, path: Path, pert_col: str, control: str, space: str, query: str | None) -> dict[str, object]:
    """Scores of one data set under three metrics, and the sweeps."""
    cells = anndata.read_h5ad(path)
    if query:
        column, _, value = query.partition("=")
        cells = cells[cells.obs[column].astype(str) == value].copy()
    first, second = halves(cells, pert_col)
    truth, truth_control = effects(first, pert_col, control, space)
    again, again_control = effects(second, pert_col, control, space)
    # each half against its own control: a shared one would make them alike
    real, replicate = truth - truth_control, again - again_control
    mean = pd.DataFrame(np.repeat(real.to_numpy().mean(0)[None], len(real), axis=0), real.index, real.columns)
    shrunk = 0.7 * mean + 0.3 * replicate
    how: dict[str, object] = {"reference": "none", "control": None, "exclude_targets": "panel"}
    predictions = {
        "replicate": replicate,
        "replicate × 0.1": 0.1 * replicate,
        "replicate × 10": 10 * replicate,
        "shrunk to the mean": shrunk,
        "mean response": mean,
        "mean response × 3": 3 * mean,
        "control": 0 * mean,
    }
    rows, curves = {}, {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", vcm.VcmetricsWarning)  # some targets are not measured
        if not set(real.index) & set(real.columns):
            how["exclude_targets"] = "none"
        for label, pred in predictions.items():
            rows[label] = [
                vcm.discrimination(pred, real, metric=metric, **how).attrs["aggregate"]["score"] for metric in METRICS
            ]
        for metric in METRICS:
            curves[metric] = {
                label: vcm.discrimination_sweep(predictions[label], real, metric=metric, **how)
                for label in ("replicate", "shrunk to the mean", "mean response")
            }
    table = pd.DataFrame.from_dict(rows, orient="index", columns=list(METRICS.values()))
    return {"name": name, "n": len(real), "n_genes": real.shape[1], "table": table, "curves": curves}


def draw(studies: list[dict[str, object]], path: Path) -> None:
    """One panel a data set: the score of the replicate over the scale of its effects."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt

    figure, axes = plt.subplots(1, len(studies), figsize=(4.1 * len(studies), 3.4), sharey=True, squeeze=False)
    for axis, found in zip(axes[0], studies, strict=True):
        for metric, name in METRICS.items():
            for label, style in (("replicate", "-"), ("shrunk to the mean", "--")):
                curve = found["curves"][metric][label]
                inner = curve.iloc[1:-1]
                axis.plot(inner.index, inner["score"], style, color=COLOURS[metric], lw=1.6,
                          label=f"{name}, {label}")  # fmt: skip
                if label == "replicate" and metric != "cosine":
                    ends = [inner.index[0] / 2, inner.index[-1] * 2]
                    axis.plot(ends, curve["score"].iloc[[0, -1]], "o", color=COLOURS[metric], ms=4, clip_on=False)
        axis.axhline(0.5, color="0.5", lw=1, ls=":")
        axis.axvline(1, color="0.85", lw=1, zorder=0)
        axis.text(0.98, 0.475, "mean response, control: 0.5 at every scale", fontsize=7, color="0.35", ha="right",
                  transform=axis.get_yaxis_transform())  # fmt: skip
        axis.set(xscale="log", xlabel="scale of the predicted effects", ylim=(0.46, 1.02), title=found["name"])
        axis.title.set_fontsize(9)
        axis.spines[["top", "right"]].set_visible(False)
    axes[0][0].set_ylabel("discrimination score")
    axes[0][-1].legend(fontsize=7, frameon=False, loc="center left", bbox_to_anchor=(1.01, 0.5))
    figure.tight_layout()
    figure.savefig(path, dpi=100)


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("-o", "--output", type=Path, required=True)
    parser.add_argument("sets", nargs="*", metavar="NAME,FILE,pert_col,control,space[,column=value]")
    options = parser.parse_args()
    packaged = demo()
    studies = [study("THP-1, 8 knock-outs", packaged.path, packaged.pert_col, packaged.control, "log_of_sums", None)]
    for text in options.sets:
        name, file, pert_col, control, space, *rest = text.split(",")
        studies.append(study(name, Path(file), pert_col, control, space, rest[0] if rest else None))
    for found in studies:
        print(f"\n{found['name']}: {found['n']} perturbations × {found['n_genes']} genes")
        print(found["table"].round(3))
        for metric, name in METRICS.items():
            marks = found["curves"][metric]["replicate"].attrs
            print(f"{name}: " + ", ".join(f"{k} {v:.3g}" for k, v in marks.items() if isinstance(v, float)))
    draw(studies, options.output)


if __name__ == "__main__":
    main()
