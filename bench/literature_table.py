"""Every rule set on predictions that need no model: which of them can tell a replicate from a mean?

``python -m bench.literature_table -o FIGURE [--csv DIR] [SET ...]``

A set is NAME,FILE,pert_col,control[,column=value][,singles|doubles][,batch_col:COLUMN]; without any the packaged demo
set is used. The cells of every perturbation and of the control are halved: one half is the truth, the other the
replicate and the training data. ``doubles`` predicts the combinations of which a part was perturbed alone, from the
single perturbations; ``singles`` leaves combinations out. Everything is done for several splits. Prints one table a
data set, draws a panel.
"""

from __future__ import annotations

import argparse
import inspect
import time
import warnings
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import anndata
import numpy as np
import pandas as pd

import vcmetrics as vcm
from vcmetrics import baselines
from vcmetrics.datasets import demo
from vcmetrics.metrics import registry
from vcmetrics.presets.preset import get_preset

# prediction -> colour; mean and replicate are the two ends
PREDICTIONS = {
    "control": "#888888",
    "count-only": "#b5403a",
    "additive": "#2f6690",
    "interpolated duplicate": "#3a7d44",
}
OF_SPREAD = ("r2_variance",)  # reads the variance of the predicted cells, which a profile does not have
LOG_DEPTH = 1e4


@dataclass
class Study:
    """One split of a data set: the truth, what it was cut from, and what predicts it."""

    name: str
    truth: anndata.AnnData
    real: anndata.AnnData
    train: anndata.AnnData
    replicate: anndata.AnnData
    combined: bool
    seed: int
    how: dict[str, Any]

    @property
    def depths(self) -> pd.Series:
        """Totals of the cells of the truth."""
        return pd.Series(np.asarray(self.truth.X.sum(axis=1)).ravel(), index=self.truth.obs_names)

    def predictions(self, **space: Any) -> dict[str, anndata.AnnData]:
        """Every prediction; ``space`` and ``target_sum`` as the baselines take them."""
        how = {k: v for k, v in self.how.items() if k != "target_map"} | {"seed": self.seed, **space}
        made = {
            "mean": baselines.perturbed_mean(self.truth, train=self.train, **how),
            "replicate": self.replicate,
            "control": baselines.no_change(self.truth, **how),
            "count-only": baselines.nearest_by_depth(self.truth, train=self.train, **how),
            "interpolated duplicate": baselines.interpolated_duplicate(self.real, train=self.train, **how),
        }
        if self.combined:
            made["additive"] = baselines.additive(self.truth, train=self.train, **how)
        return made


def study(
    name: str,
    path: Path,
    pert_col: str,
    control: str,
    query: str | None,
    part: str | None,
    batch_col: str | None,
    seed: int,
) -> Study:
    """Halve the cells."""
    cells = anndata.read_h5ad(path)
    if query:
        column, _, value = query.partition("=")
        cells = cells[cells.obs[column].astype(str) == value].copy()
    labels = cells.obs[pert_col].astype(str)
    double, is_control = labels.str.contains("+", regex=False), labels == control
    seen = set(labels[~double])
    if part == "doubles":  # where no part was seen there is nothing to add
        double &= labels.map(lambda label: bool(seen & set(label.split("+"))))
    panel = is_control | {"doubles": double, "singles": ~double, None: True}[part]
    how = {"pert_col": pert_col, "control": control, "batch_col": batch_col}
    real = cells[panel.to_numpy()].copy()
    truth, again = baselines.halves(real, **how, seed=seed)
    train = again
    if part == "doubles":  # no combination is seen, and no control cell of the truth
        singles = cells[labels.isin(seen - {control}).to_numpy()]
        train = anndata.concat([again[again.obs[pert_col] == control], singles], join="inner")
    known = set(truth.var_names)
    targets = {x: x if x in known else None for x in labels.unique()}
    return Study(name, truth, real, train, again, part == "doubles", seed, how | {"target_map": targets})


def logged(cells: anndata.AnnData) -> anndata.AnnData:
    """The cells with logs of their shares in place of counts."""
    out = cells.copy()
    totals = np.asarray(cells.X.sum(axis=1), np.float64).ravel()
    out.X = cells.X.multiply(LOG_DEPTH / totals[:, None]).log1p().tocsr()
    return out


def scored(one: Study, preset: str, made: dict[str, anndata.AnnData]) -> dict[str, Any]:
    """Results of every prediction by one rule set."""
    takes = inspect.signature(vcm.score).parameters
    how = {k: v for k, v in {**one.how, "train": one.train}.items() if k in takes and v is not None}
    return {name: vcm.score(pred, one.truth, preset=preset, **how) for name, pred in made.items()}


def by_rules(one: Study, preset: str, counts: dict[str, anndata.AnnData]) -> pd.DataFrame:
    """Where each prediction lies by every metric of a rule set.

    Cells cannot have a wanted mean of counts and a wanted mean of logs at once. Where profiles are means of logs, the
    metrics of profiles are taken of predictions made in that space, as the tools' own baselines are; those of single
    cells, of their variances and of tests of whole counts with a spread. Rule sets that take values as they are get
    logs on both sides.
    """
    rules = get_preset(preset)
    if rules.input_type == "values":
        made = one.predictions(space="mean_of_logs", target_sum=LOG_DEPTH) | {"replicate": logged(one.replicate)}
        return placed(scored(replace(one, truth=logged(one.truth), train=logged(one.train)), preset, made), one.seed)
    table = placed(scored(one, preset, counts), one.seed)
    if rules.comparator not in ("lognorm", "mean_of_logs"):
        return table
    depths = one.depths
    if rules.target_sum == "median_real_control":
        depths = depths[(one.truth.obs[one.how["pert_col"]] == one.how["control"]).to_numpy()]
    target = float(depths.median()) if isinstance(rules.target_sum, str) else rules.target_sum
    made = one.predictions(space="mean_of_logs", target_sum=target)
    if getattr(rules, "log_base", "e") == "2":
        for name in made.keys() - {"replicate"}:  # the replicate holds counts
            made[name].X = made[name].X / np.log(2)
    try:
        logs = placed(scored(one, preset, made), one.seed)
    except vcm.DataError:  # rules that want counts on both sides
        return table
    specs = {m.output: registry.get(m.metric) for m in rules.members()}
    of_profiles = [
        not specs[m].needs & {"de", "cells"} and specs[m].name not in OF_SPREAD
        for m in table.index.get_level_values("metric")
    ]
    return table.where(~pd.Series(of_profiles, index=table.index), logs)


def placed(found: dict[str, Any], seed: int) -> pd.DataFrame:
    """Every metric with a direction: where each prediction lies between mean (0) and replicate (1)."""
    directed = [m for m, d in found["mean"].directions.items() if d in ("higher", "lower")]
    frames = {}
    for name in PREDICTIONS:
        if name in found:
            table = vcm.calibrate(found[name], found["mean"], found["replicate"], seed=seed)
            kept = table.loc[[m for m in directed if m in table.index]].copy()
            sign = np.array([-1 if found["mean"].directions[m] == "lower" else 1 for m in kept.index])
            kept["sign"], kept["ahead"] = sign, sign * kept["over_null"]
            kept["sure"] = (kept["over_null_lower"] > 0) | (kept["over_null_upper"] < 0)
            frames[name] = kept
    return pd.concat(frames, names=["prediction", "metric"])


def over_splits(tables: list[pd.DataFrame]) -> pd.DataFrame:
    """One table of several splits: means, and what most of them say.

    A metric tells replicate from mean where it does in most splits and on average. A verdict needs the same sign in
    every split and an interval without 0 in most.
    """
    both = pd.concat(tables, keys=range(len(tables)), names=["split"])
    grouped = both.groupby(level=["prediction", "metric"], sort=False)
    out = grouped[["value", "null", "ceiling"]].mean()
    out["calibrated"] = (out["value"] - out["null"]) / (out["ceiling"] - out["null"])
    # one split in which an unbounded metric breaks down can turn the mean span round
    right = grouped["sign"].first() * (out["ceiling"] - out["null"]) > 0
    out["usable"] = (grouped["usable"].mean() > 0.5) & right
    out["verdict"] = ""
    sure = grouped["sure"].mean() > 0.5
    for word, side in (("better", grouped["ahead"].min() > 0), ("worse", grouped["ahead"].max() < 0)):
        out.loc[side & sure, "verdict"] = word
    return out


def table_of(studies: list[Study]) -> tuple[pd.DataFrame, pd.DataFrame, list[str]]:
    """One row a rule set; every metric; and the rule sets that refuse these data."""
    rows, every, refused = {}, {}, []
    counts = [one.predictions() for one in studies]
    for preset in vcm.list_presets():
        start = time.perf_counter()
        tables = []
        for one, made in zip(studies, counts, strict=True):
            try:
                tables.append(by_rules(one, preset, made))
            except vcm.DataError as error:
                refused.append(f"{preset}: {error}")
                break
        if len(tables) < len(studies):
            continue
        every[preset] = over_splits(tables)
        control = every[preset].loc["control"]
        row: dict[str, Any] = {"metrics": len(control), "tell apart": int(control["usable"].sum())}
        for name in every[preset].index.get_level_values("prediction").unique():
            row[name] = spread(every[preset].loc[name])
        row["seconds"] = time.perf_counter() - start
        rows[preset] = row
    return pd.DataFrame.from_dict(rows, orient="index"), pd.concat(every, names=["preset"]), refused


def spread(table: pd.DataFrame) -> tuple[float, float, float, int, int]:
    """Median and quartiles over the usable metrics, and how many put the prediction above and below the mean."""
    kept = table.loc[table["usable"], "calibrated"].to_numpy(float)
    middle = np.quantile(kept, [0.5, 0.25, 0.75]) if kept.size else [np.nan] * 3
    return (*middle, int((table["verdict"] == "better").sum()), int((table["verdict"] == "worse").sum()))


def shown(table: pd.DataFrame) -> str:
    """The table as Markdown."""
    names = [n for n in PREDICTIONS if n in table.columns]
    head = ["rule set", "metrics", "tell replicate from mean", *names]
    lines = [head, ["---"] * len(head)]
    for preset, row in table.iterrows():
        middle = {n: "–" if np.isnan(row[n][0]) else f"{round(row[n][0], 2) + 0.0:.2f}" for n in names}
        cells = [f"{middle[n]} ({row[n][3]}↑ {row[n][4]}↓)" for n in names]
        lines.append([f"`{preset}`", str(row["metrics"]), str(row["tell apart"]), *cells])
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def draw(found: dict[str, pd.DataFrame], path: Path) -> None:
    """One panel a data set, one row a rule set; medians over metrics with their quartiles."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt

    presets = list(dict.fromkeys(p for table in found.values() for p in table.index))
    height = 1.3 + 0.42 * len(presets)
    figure, axes = plt.subplots(1, len(found), figsize=(1.6 + 3.3 * len(found), height), sharey=True, squeeze=False)
    low, high = -0.8, 1.35
    for axis, (name, table) in zip(axes[0], found.items(), strict=True):
        for end, text in ((0, "mean"), (1, "replicate")):
            axis.axvline(end, color="0.6", lw=1, zorder=0)
            axis.annotate(text, (end, 1.0), xycoords=("data", "axes fraction"), xytext=(0, 3),
                          textcoords="offset points", ha="center", fontsize=7, color="0.35")  # fmt: skip
        for k, (kind, colour) in enumerate(PREDICTIONS.items()):
            shift = (k - 1.5) * 0.16
            for y, preset in enumerate(presets):
                if preset not in table.index or not isinstance(table.get(kind), pd.Series):
                    continue
                middle, left, right, *_ = table.loc[preset, kind]
                axis.plot(np.clip([left, right], low, high), [y + shift] * 2, color=colour, lw=1.5, alpha=0.6)
                outside = not low < middle < high
                mark = {True: "<" if middle <= low else ">", False: "o"}[outside]
                axis.plot(np.clip(middle, low, high), y + shift, mark, color=colour, ms=5,
                          label=kind if y == 0 else None, clip_on=False)  # fmt: skip
        axis.set(xlim=(low, high), title=name, xlabel="calibrated score, median over metrics")
        axis.set_title(name, fontsize=9, pad=14)
        axis.spines[["top", "right"]].set_visible(False)
    axes[0][0].set_yticks(range(len(presets)), presets)
    axes[0][0].invert_yaxis()
    by_label = {t: h for a in axes[0] for h, t in zip(*a.get_legend_handles_labels(), strict=True)}
    figure.legend(by_label.values(), by_label.keys(), loc="lower center", ncol=4, fontsize=8, frameon=False)
    figure.tight_layout(rect=(0, 0.35 / height, 1, 1))
    figure.savefig(path, dpi=110)


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-o", "--output", type=Path, required=True)
    parser.add_argument("--splits", type=int, default=5, help="number of halvings of the cells")
    parser.add_argument("--csv", type=Path, help="folder for a table of every metric, a file a data set")
    parser.add_argument("sets", nargs="*", metavar="SET")
    options = parser.parse_args()
    packaged = demo()
    wanted = [("THP-1, 8 knock-outs", packaged.path, packaged.pert_col, packaged.control, None, None, None)]
    if options.sets:
        wanted = []
        for text in options.sets:
            name, file, pert_col, control, *rest = text.split(",")
            query = next((r for r in rest if "=" in r), None)
            part = next((r for r in rest if r in ("singles", "doubles")), None)
            batch = next((r.partition(":")[2] for r in rest if r.startswith("batch_col:")), None)
            wanted.append((name, Path(file), pert_col, control, query, part, batch))
    found = {}
    for arguments in wanted:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", vcm.VcmetricsWarning)  # targets that are not measured
            studies = [study(*arguments, seed) for seed in range(options.splits)]
            table, every, refused = table_of(studies)
        one = studies[0]
        found[one.name] = table
        sizes = one.truth.obs[one.how["pert_col"]].value_counts().drop(one.how["control"])
        print(f"\n{one.name}: {len(sizes)} perturbations of {sizes.min()} to {sizes.max()} cells a half, "
              f"{one.truth.n_vars} genes, {len(studies)} splits; {table['seconds'].sum():.1f} s\n")  # fmt: skip
        print(shown(table))
        for line in refused:
            print(f"refused by {line}")
        if options.csv:
            options.csv.mkdir(parents=True, exist_ok=True)
            every.to_csv(options.csv / f"{one.name.replace(' ', '_').replace(',', '')}.csv")
    draw(found, options.output)


if __name__ == "__main__":
    main()
