"""Batches add up to the epoch; frameworks are imported when they are used (here: stand-ins for them)."""

import contextlib
import subprocess
import sys
import types

import anndata
import numpy as np
import pandas as pd
import pytest

import vcmetrics as vcm
from vcmetrics.callbacks import Collector, evaluate, lightning_callback

GENES = [f"G{k}" for k in range(25)]


@pytest.fixture
def reference():
    rng = np.random.default_rng(0)
    labels = np.repeat(["non-targeting", "G1", "G4", "G9", "G12"], 20)
    obs = pd.DataFrame({"target": labels}, index=[f"c{k}" for k in range(labels.size)])
    x = rng.poisson(rng.gamma(2.0, 5.0, (5, 25)).repeat(20, 0)).astype(np.float32)
    return vcm.Reference(anndata.AnnData(x, obs=obs, var=pd.DataFrame(index=GENES)))


@pytest.fixture
def cells(reference):
    rng = np.random.default_rng(1)
    return rng.poisson(8.0, (90, 25)).astype(np.float32), rng.integers(0, 4, 90)


def test_batches_add_up(reference, cells):
    x, codes = cells
    collected = Collector(reference, counts=True)
    for round_ in range(2):
        for begin in range(0, 90, 7):
            collected.update(x[begin : begin + 7], codes[begin : begin + 7])
        expected = reference.score_arrays(x, codes, counts=True)
        assert collected.compute() == pytest.approx(expected, rel=1e-12), round_
        collected.reset()
    collected = Collector(reference)
    collected.update(reference.profiles, list(reference.perturbations))
    assert collected.compute()["expr_mae"] == 0.0
    assert set(collected.compute(per_perturbation=True)["pds_l1"]) == {1.0}
    with pytest.raises(ValueError, match="genes"):
        collected.update(x[:, 1:], codes)


class Model:
    training = True

    def eval(self):
        self.training = False

    def train(self, mode=True):
        self.training = mode

    def __call__(self, x):
        assert not self.training
        return x


@pytest.fixture
def torch(monkeypatch):
    module = types.ModuleType("torch")
    module.no_grad = contextlib.nullcontext
    module.from_numpy = lambda array: array
    monkeypatch.setitem(sys.modules, "torch", module)


def test_plain_loop(torch, reference, cells):
    x, codes = cells
    model = Model()
    batches = [(x[:40], codes[:40]), (x[40:], codes[40:])]
    found = evaluate(model, batches, reference, lambda model, batch: (model(batch[0]), batch[1]), counts=True)
    assert found == pytest.approx(reference.score_arrays(x, codes, counts=True), rel=1e-12)
    assert model.training
    with pytest.raises(ZeroDivisionError):
        evaluate(model, batches, reference, lambda model, batch: 1 / 0)
    assert model.training


class Gathered(np.ndarray):
    def cpu(self):
        return np.asarray(self)


class Module:
    def __init__(self):
        self.logged = []

    def log_dict(self, values, rank_zero_only):
        self.logged.append(values)

    def all_gather(self, array):  # two processes with the same predictions
        return np.stack([array, array]).view(Gathered)


@pytest.mark.parametrize("package", ["lightning.pytorch", "pytorch_lightning"])
@pytest.mark.parametrize("world_size", [1, 2])
def test_lightning(package, world_size, torch, monkeypatch, reference, cells):
    for name in ("lightning", "lightning.pytorch", "pytorch_lightning"):
        monkeypatch.setitem(sys.modules, name, None)
    fake = types.ModuleType(package)
    fake.Callback = type("Callback", (), {})
    if "." in package:
        monkeypatch.setitem(sys.modules, "lightning", types.ModuleType("lightning"))
    monkeypatch.setitem(sys.modules, package, fake)
    x, codes = cells
    watch = lightning_callback(
        reference, lambda module, outputs, batch: (outputs, batch), counts=True, every_n_epochs=2, prefix="v/"
    )
    assert isinstance(watch, fake.Callback)
    module, trainer = Module(), types.SimpleNamespace(sanity_checking=True, current_epoch=0, world_size=world_size)

    def validate():
        watch.on_validation_epoch_start(trainer, module)
        for k, begin in enumerate(range(0, 90, 30)):
            watch.on_validation_batch_end(trainer, module, x[begin : begin + 30], codes[begin : begin + 30], k)
        watch.on_validation_epoch_end(trainer, module)

    validate()
    assert module.logged == []
    trainer.sanity_checking = False
    for epoch in range(3):
        trainer.current_epoch = epoch
        validate()
    assert len(module.logged) == 2
    expected = {f"v/{name}": value for name, value in reference.score_arrays(x, codes, counts=True).items()}
    for values in module.logged:
        assert values == pytest.approx(expected, rel=1e-12)
    with pytest.raises(ValueError, match="every_n_epochs"):
        lightning_callback(reference, None, every_n_epochs=0)


def test_frameworks_are_imported_late(reference, monkeypatch):
    code = "import sys, vcmetrics.callbacks; print([n for n in ('torch', 'lightning', 'pandas') if n in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
    for name in ("torch", "lightning", "pytorch_lightning"):
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(ImportError, match="pip install torch"):
        evaluate(Model(), [], reference, None)
    with pytest.raises(ImportError, match=r"lightning\.pytorch or pytorch_lightning"):
        lightning_callback(reference, None)
