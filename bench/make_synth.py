"""Write a pair of synthetic screens in the shape of a competition: ``real.h5ad`` and ``pred.h5ad``.

Counts are negative binomial around log-normal gene means; each perturbation moves some hundred genes and its own
target; the prediction has part of the effects, halved. The same numbers for the same seed on every machine with the
same NumPy.

usage: python -m bench.make_synth OUTDIR [--perturbations 50] [--cells 400] [--control 3000] [--genes 18533]
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

CONTROL = "non-targeting"
PERT_COL = "target_gene"
BLOCK = 256  # cells drawn at a time


@dataclass(frozen=True)
class Shape:
    """How large a screen is. 20,000 counts a cell over 18,533 genes store 24 % of the values."""

    perturbations: int = 50
    cells: int = 400
    control: int = 3000
    genes: int = 18533
    depth: float = 20000.0
    seed: int = 0

    @property
    def name(self) -> str:
        """Folder name of the pair."""
        return f"p{self.perturbations}_c{self.cells}_n{self.control}_g{self.genes}_s{self.seed}_l4"


@dataclass(frozen=True)
class Screen:
    """What both sides share: gene means, dispersions, targets, true effects."""

    base: NDArray[np.float64]
    size: NDArray[np.float64]
    targets: NDArray[np.int64]
    effects: NDArray[np.float64]
    shared: NDArray[np.float64]


def make_screen(shape: Shape, rng: np.random.Generator) -> Screen:
    """Draw the parameters of a screen."""
    base = rng.lognormal(0.0, 2.2, shape.genes)
    effects = np.zeros((shape.perturbations, shape.genes))
    targets = rng.choice(shape.genes, shape.perturbations, replace=False)
    for row, target in zip(effects, targets, strict=True):
        moved = min(int(rng.lognormal(5.0, 1.2)) + 5, shape.genes // 4)
        row[rng.choice(shape.genes, moved, replace=False)] = rng.normal(0.0, 0.8, moved)
        row[target] = -2.0
    return Screen(
        base=base / base.sum(),
        size=1.0 / rng.gamma(2.0, 0.15, shape.genes).clip(0.02),
        targets=targets,
        effects=effects,
        shared=rng.normal(0.0, 0.12, shape.genes) * (rng.random(shape.genes) < 0.3),
    )


def write_side(path: Path, shape: Shape, screen: Screen, effects: NDArray[np.float64], seed: int) -> None:
    """Draw the cells of one side in random order and write them as uncompressed CSR, float32."""
    import anndata
    import pandas as pd
    import scipy.sparse as sp

    rng = np.random.default_rng([shape.seed, seed])
    codes = np.concatenate([np.full(shape.control, -1), np.repeat(np.arange(shape.perturbations), shape.cells)])
    rng.shuffle(codes)
    lanes = np.char.add("lane", (np.arange(codes.size) % 4).astype(str))
    rates = np.vstack([effects, np.zeros(shape.genes)])  # code -1 is the last row
    rates = screen.base * np.exp(rates)
    rates /= rates.sum(1, keepdims=True)
    blocks = []
    for start in range(0, codes.size, BLOCK):
        part = codes[start : start + BLOCK]
        depth = rng.lognormal(np.log(shape.depth), 0.35, part.size)
        spread = rng.standard_gamma(np.broadcast_to(screen.size, (part.size, shape.genes))) / screen.size
        blocks.append(sp.csr_matrix(rng.poisson(depth[:, None] * rates[part] * spread).astype(np.float32)))
    genes = np.array([f"G{k:05d}" for k in range(shape.genes)])
    names = np.append(genes[screen.targets], CONTROL)
    anndata.AnnData(
        sp.vstack(blocks, format="csr"),
        obs=pd.DataFrame(
            {PERT_COL: pd.Categorical(names[codes]), "batch": pd.Categorical(lanes)},
            index=[f"c{k}" for k in range(codes.size)],
        ),
        var=pd.DataFrame(index=genes),
    ).write_h5ad(path)


def make_pair(folder: Path, shape: Shape) -> tuple[Path, Path]:
    """Write both sides into ``folder`` unless they are there; return (pred, real)."""
    pred, real = folder / "pred.h5ad", folder / "real.h5ad"
    if pred.exists() and real.exists():
        return pred, real
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng([shape.seed, 0])
    screen = make_screen(shape, rng)
    guessed = 0.5 * screen.effects * (rng.random(screen.effects.shape) < 0.6)
    guessed += screen.shared + rng.normal(0.0, 0.05, screen.effects.shape)
    for path, effects, seed in ((real, screen.effects + screen.shared, 1), (pred, guessed, 2)):
        unfinished = path.with_suffix(".part")
        write_side(unfinished, shape, screen, effects, seed)
        unfinished.rename(path)
    return pred, real


def make_submission(folder: Path, shape: Shape, contexts: tuple[str, ...]) -> tuple[Path, Path, Path]:
    """Write a submission without control cells: (``submission.h5ad``, its list of genes, its list of perturbations)."""
    import anndata
    import h5py
    import pandas as pd
    from anndata.io import write_elem

    made = folder / "submission.h5ad", folder / "gene_names.csv", folder / "pert_counts.csv"
    if all(path.exists() for path in made):
        return made
    folder.mkdir(parents=True, exist_ok=True)
    screen = make_screen(shape, np.random.default_rng([shape.seed, 0]))
    sides = [folder / f"{context}.part" for context in contexts]
    for k, side in enumerate(sides):
        write_side(side, shape, screen, screen.effects + screen.shared, 1 + k)
    stored = [anndata.read_h5ad(side, backed="r") for side in sides]
    lengths = [side.X.group["data"].shape[0] for side in stored]
    nnz, n_obs = sum(lengths), sum(side.n_obs for side in stored)
    unfinished = made[0].with_suffix(".part")
    with h5py.File(unfinished, "w") as file:
        x = file.create_group("X")
        x.attrs.update({"encoding-type": "csr_matrix", "encoding-version": "0.1.0", "shape": (n_obs, shape.genes)})
        # in chunks, as AnnData writes sparse matrices
        data, indices = (
            x.create_dataset(k, (nnz,), t, maxshape=(None,)) for k, t in (("data", "f4"), ("indices", "i4"))
        )
        indptr, at = [np.zeros(1, np.int64)], 0
        for side, length in zip(stored, lengths, strict=True):
            data[at : at + length], indices[at : at + length] = side.X.group["data"][:], side.X.group["indices"][:]
            indptr.append(side.X.group["indptr"][1:] + at)
            at += length
        x.create_dataset("indptr", data=np.concatenate(indptr))
        obs = pd.concat([side.obs.assign(context=name) for side, name in zip(stored, contexts, strict=True)])
        obs["context"] = pd.Categorical(obs["context"])
        obs.index = [f"c{k}" for k in range(n_obs)]
        write_elem(file, "obs", obs)
        write_elem(file, "var", stored[0].var)
    for side, path in zip(stored, sides, strict=True):
        side.file.close()
        path.unlink()
    made[1].write_text("\n".join(["gene_name", *(f"G{k:05d}" for k in range(shape.genes))]) + "\n")
    made[2].write_text("\n".join([PERT_COL, *(f"G{k:05d}" for k in screen.targets)]) + "\n")
    unfinished.rename(made[0])
    return made


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("outdir", type=Path)
    for name, kind in (("perturbations", int), ("cells", int), ("control", int), ("genes", int), ("depth", float)):
        parser.add_argument(f"--{name}", type=kind, default=getattr(Shape, name))
    parser.add_argument("--seed", type=int, default=0)
    given = vars(parser.parse_args())
    print(*make_pair(given.pop("outdir"), Shape(**given)), sep="\n")


if __name__ == "__main__":
    main()
