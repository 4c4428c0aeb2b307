"""Data that ship with the package."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import anndata

_HERE = Path(__file__).parent


@dataclass(frozen=True)
class Dataset:
    """A data file of the package and what is needed to score it."""

    path: Path
    pert_col: str
    control: str
    about: Path
    licence: Path

    def load(self) -> anndata.AnnData:
        """Read the file into memory, n_obs × n_vars."""
        import anndata

        return anndata.read_h5ad(self.path)


def demo() -> Dataset:
    """Eight knock-outs and their control: 6,962 THP-1 cells × 299 genes, UMI counts.

    From Papalexi et al., Nature Genetics 2021; ``.about`` is the file that says how it was made.

    Examples
    --------
    >>> from vcmetrics import datasets
    >>> datasets.demo().control
    'non-targeting'
    """
    folder = _HERE / "papalexi21"
    return Dataset(
        path=folder / "thp1_8_knockouts.h5ad",
        pert_col="perturbation",
        control="non-targeting",
        about=folder / "README.md",
        licence=folder / "LICENSE.txt",
    )
