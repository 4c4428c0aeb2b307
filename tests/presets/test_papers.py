"""Every paper's rule set scores the packaged data, and its values are those of the references."""

from __future__ import annotations

import anndata as ad
import numpy as np
import pytest

import vcmetrics as vcm
from vcmetrics import datasets
from vcmetrics.metrics import registry
from vcmetrics.presets.names import MODULES
from vcmetrics.presets.preset import get_preset
from vcmetrics.scoring.compare import Request, gather_pairs
from vcmetrics.scoring.jobs import data_jobs
from vcmetrics.scoring.settings import resolve_settings
from vcmetrics.scoring.spaces import transformed
from vcmetrics.sources import open_cells

COLUMN, CONTROL = "perturbation", "non-targeting"
SCORERS = ("vcc2026", "vcc2025", "cell-eval2", "cell-eval2-v1", "cell-eval2-0.7.6", "cell-eval")
PAPERS = [name for name in MODULES if name not in SCORERS]
SIGNED = "open-problems-2023"


@pytest.fixture(scope="module")
def parts():
    """Prediction, reality and training data: disjoint cells of the demo, up to 24 of a label each, two batches."""
    data = datasets.demo().load()
    rng = np.random.default_rng(5)
    data.obs["batch"] = rng.choice(["b1", "b2"], data.n_obs)
    labels = data.obs[COLUMN].astype(str).to_numpy()
    taken = [[], [], []]
    for label in np.unique(labels):
        rows = rng.permutation(np.flatnonzero(labels == label))
        size = min(24, rows.size // 3)
        for k in range(3):
            taken[k].append(rows[k * size : (k + 1) * size])
    pred, real, train = (data[np.sort(np.concatenate(rows))].copy() for rows in taken)
    # pairs of knock-outs, so that there are interactions to score
    for part in (pred, real):
        names = part.obs[COLUMN].astype(str).to_numpy(object)
        for a, b in (("IFNGR1", "IFNGR2"), ("JAK2", "STAT1")):
            both = np.flatnonzero(names == a)[::2]
            names[both] = f"{a}+{b}"
        part.obs[COLUMN] = names
    # three knock-outs are known from training alone
    scored = [part[~part.obs[COLUMN].isin(["BRD4", "CUL3", "SMAD4"])].copy() for part in (pred, real)]
    return (*scored, train)


def signed(adata):
    """Signed -log10 p, one row a perturbation."""
    table = vcm.differential_expression(adata, pert_col=COLUMN, control=CONTROL)
    table["value"] = np.sign(table["log2_fold_change"]) * -np.log10(table["p_value"])
    wide = table.pivot(index="target", columns="feature", values="value")[list(adata.var_names)].fillna(0.0)
    return ad.AnnData(wide.to_numpy(), obs={COLUMN: list(wide.index)}, var=adata.var)


def components(parts):
    """Eight principal components of the logs, of unit variance: a space in which transport converges."""
    logs = [np.log1p(part.X.toarray() * (1e4 / part.X.sum(1)).A1[:, None]) for part in parts]
    centre = logs[1].mean(0)
    axes = np.linalg.svd(logs[1] - centre, full_matrices=False)[2][:8]
    spread = ((logs[1] - centre) @ axes.T).std()
    return tuple(ad.AnnData((x - centre) @ axes.T / spread, obs=p.obs) for x, p in zip(logs, parts, strict=True))


@pytest.fixture(scope="module")
def given(parts):
    """What a preset is given: cells, or tables or components where it takes those."""
    tables, scores = tuple(signed(part) for part in parts), components(parts)
    return lambda name: {SIGNED: tables, "cellflow": scores}.get(name, parts)


def rules(name):
    """The preset; CellFlow's takes principal components as they are."""
    return get_preset(name).replace(input_type="values") if name == "cellflow" else get_preset(name)


@pytest.mark.parametrize("name", PAPERS)
def test_scores_the_demo(name, given):
    pred, real, train = given(name)
    batch = None if name == SIGNED else "batch"
    for profile in get_preset(name).profiles:
        result = vcm.score(
            pred,
            real,
            preset=rules(name),
            profile=profile,
            pert_col=COLUMN,
            control=CONTROL,
            batch_col=batch,
            train=train,
        )
        assert list(result.aggregate_values) == [m.output for m in get_preset(name).members(profile)]
        assert not np.isnan(list(result.aggregate_values.values())).all()
        perfect = vcm.score(
            real,
            real,
            preset=rules(name),
            profile=profile,
            pert_col=COLUMN,
            control=CONTROL,
            batch_col=batch,
            train=train,
        )
        for member in get_preset(name).members(profile):
            spec = registry.get(member.metric)
            value = perfect.aggregate_values[member.output]
            worst = member.output in NOT_BEST or spec.best is None or np.isnan(value)
            assert worst or value == pytest.approx(spec.best, abs=2e-3), member.output


# what the truth itself does not reach: ranks from 1, targets that a response does not rank first, ranges of the cells
NOT_BEST = {
    *("ndcg", "target_rank", "partially_accurate", *(f"recall_{k}" for k in (1, 10, 100, 1000))),
    *("wasserstein_1", "wasserstein_2", "sinkhorn_div_1", "sinkhorn_div_10", "sinkhorn_div_100"),
    *("frac_in_range_25_75", "frac_in_range_40_60", "frac_in_range_45_55", "frac_sigma_below_1", "frac_sigma_below_2"),
    *("effect_detection_auroc", "effect_detection_ap", "interaction_tpr", "fc_targets_vs_non_targets"),
}


@pytest.mark.parametrize("name", PAPERS)
def test_values_are_those_of_the_references(name, given):
    pred, real, train = given(name)
    preset = rules(name)
    for profile in preset.profiles:
        settings = resolve_settings(
            preset,
            profile,
            None,
            overrides=None,
            target_map=None,
            embed_key=None,
            arithmetic="f64",
            n_threads=2,
            progress=None,
        )
        with open_cells(pred, name="pred") as p, open_cells(real, name="real") as r, open_cells(train) as t:
            how = {"batch_col": None if name == SIGNED else "batch", "train": t}
            (job,) = data_jobs(r, p, COLUMN, CONTROL, None, settings, None, **how)
            request = Request(job.real, job.pred, settings, settings.needs, cells=job.cells)
            pair = gather_pairs([request], job.genes)[0].pair
            for member in settings.members:
                spec = registry.get(member.metric)
                parameters = {**preset.settings(), **member.params}
                if "threshold" in spec.defaults:  # both sides of a comparison have to converge
                    parameters |= {"threshold": 1e-5, "max_iterations": 20_000}
                seen = transformed(pair, parameters["space"]) if "space" in parameters else pair
                fast, slow = (spec.evaluate(seen, parameters, slow=s) for s in (False, True))
                assert np.array_equal(np.ma.getmaskarray(fast), np.ma.getmaskarray(slow)), member.output
                np.testing.assert_allclose(
                    np.ma.filled(fast, 0.0),
                    np.ma.filled(slow, 0.0),
                    rtol=max(spec.parity.rtol, 1e-9 if "threshold" not in spec.defaults else 1e-3),
                    atol=max(spec.parity.atol, 1e-9),
                    err_msg=f"{name} {member.output}",
                )


@pytest.mark.parametrize(
    ("name", "metric", "words"),
    [
        ("ahlmann-eltze", "interaction_tpr", "no scored double"),
        ("presage", "phenocopy_auroc", "all training perturbations are scored ones"),
    ],
)
def test_a_metric_without_anything_to_score_does_not_refuse_its_rule_set(name, metric, words, parts):
    pred, real, _ = (part[~part.obs[COLUMN].str.contains("+", regex=False)].copy() for part in parts)
    how = {"preset": name, "pert_col": COLUMN, "control": CONTROL, "train": real}
    one = vcm.score(pred, real, **how)
    several = vcm.score(pred, real, **{**how, "preset": [name]})[name]
    for result in (one, several):
        assert np.isnan(result.aggregate_values[metric])
        assert result.contexts[0].reasons[metric].startswith(words)
        assert np.isfinite(list(result.aggregate_values.values())).sum() > 1
    with pytest.raises(vcm.DataError, match=words):
        vcm.score(pred, real, metrics=[metric], **how)
