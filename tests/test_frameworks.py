"""PyTorch and Lightning themselves, where they are installed."""

import pickle

import numpy as np
import pytest

from vcmetrics import Reference, datasets
from vcmetrics.callbacks import Collector, evaluate, lightning_callback

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.filterwarnings("ignore")
METRICS = ["expr_mae", "delta_pearson", "pds_l1", "pds_cosine"]


@pytest.fixture(scope="module")
def ref():
    demo = datasets.demo()
    return Reference(demo.path, pert_col=demo.pert_col, control=demo.control, metrics=METRICS)


@pytest.fixture
def loader(ref):
    n = len(ref.perturbations)
    target = torch.from_numpy(np.tile(ref.profiles, (5, 1)).astype(np.float32))
    data = torch.utils.data.TensorDataset(torch.eye(n).repeat(5, 1), torch.arange(n).repeat(5), target)
    return torch.utils.data.DataLoader(data, batch_size=7)


def take(module, outputs, batch):
    return outputs["profile"].cpu(), batch[1]


class Rows:
    """A data set that holds the reference, as workers of a loader get it."""

    def __init__(self, ref):
        self.ref = ref

    def __len__(self):
        return len(self.ref.perturbations)

    def __getitem__(self, k):
        return torch.from_numpy(self.ref.profiles[k]), self.ref.codes([self.ref.perturbations[k]])[0]


def test_tensors(ref):
    n = len(ref.perturbations)
    torch.manual_seed(0)
    x = torch.nn.Linear(n, len(ref.genes))(torch.eye(n))
    codes = torch.arange(n)
    expected = ref.score_arrays(x.detach().numpy(), np.arange(n))
    assert ref.score_arrays(x, codes) == expected
    assert ref.score_arrays(x.T.contiguous().T, codes) == expected
    for dtype in (torch.float64, torch.bfloat16, torch.float16):
        narrowed = x.to(dtype)
        assert ref.score_arrays(narrowed, codes) == pytest.approx(
            ref.score_arrays(narrowed.detach().double().numpy(), np.arange(n)), rel=1e-6
        )


def test_loop(ref, loader):
    torch.manual_seed(0)
    net = torch.nn.Linear(len(ref.perturbations), len(ref.genes))
    steps = torch.optim.Adam(net.parameters(), lr=0.05)
    seen = []
    for _ in range(3):
        for x, _codes, y in loader:
            steps.zero_grad()
            ((net(x) - y) ** 2).mean().backward()
            steps.step()
        seen.append(evaluate(net, loader, ref, lambda model, batch: (model(batch[0]), batch[1]))["expr_mae"])
        assert net.training
    assert seen[0] > seen[1] > seen[2]


@pytest.mark.parametrize("start", ["fork", "spawn"])
def test_workers(ref, start):
    collected = Collector(ref)
    for x, codes in torch.utils.data.DataLoader(Rows(ref), 3, num_workers=1, multiprocessing_context=start):
        collected.update(x, codes)
    assert collected.compute() == {"expr_mae": 0.0, "delta_pearson": 1.0, "pds_l1": 1.0, "pds_cosine": 1.0}


def test_lightning(ref, loader, tmp_path):
    lightning = pytest.importorskip("lightning.pytorch")

    class Net(lightning.LightningModule):
        def __init__(self):
            super().__init__()
            self.layer = torch.nn.Linear(len(ref.perturbations), len(ref.genes))

        def training_step(self, batch, index):
            return ((self.layer(batch[0]) - batch[2]) ** 2).mean()

        def validation_step(self, batch, index):
            return {"profile": self.layer(batch[0])}

        def configure_optimizers(self):
            return torch.optim.Adam(self.parameters(), lr=0.05)

    torch.manual_seed(0)
    watch = pickle.loads(pickle.dumps(lightning_callback(ref, take)))
    best = lightning.callbacks.ModelCheckpoint(tmp_path, monitor="val/pds_cosine", mode="max", filename="best")
    trainer = lightning.Trainer(
        max_epochs=2,
        accelerator="cpu",
        callbacks=[watch, best],
        logger=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    net = Net()
    trainer.fit(net, loader, loader)
    expected = evaluate(net, loader, ref, lambda model, batch: (model.layer(batch[0]), batch[1]))
    logged = {name: float(trainer.callback_metrics[f"val/{name}"]) for name in METRICS}
    assert logged == pytest.approx(expected, rel=1e-6)
    assert (tmp_path / "best.ckpt").exists()
