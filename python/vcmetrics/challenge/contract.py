"""What a submission must be, and what is said where it is not."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from vcmetrics._errors import DataError


@dataclass(frozen=True)
class Contract:
    """The upload contract of the 2026 challenge; every limit is a setting, None lifts it.

    Attributes
    ----------
    pert_col, context_col, celltype_col
        Columns of ``obs`` with the perturbation, the context and (optionally, copied as it is) the cell type.
    control
        Label of control cells. They are held out: a submission has none (``with_control`` demands them instead).
    cells_per_pert
        Cells of every perturbation in every context, where the list of perturbations states no number.
    n_genes
        Genes expected in the gene list; another number is told, not refused.
    max_cells, max_stored, max_counts_per_cell
        Most cells, stored values, and counts in one cell that scoring accepts.
    encoding
        Bits of a value in the archive, 32 or 64. Values are judged as they will be written.
    """

    pert_col: str = "target_gene"
    context_col: str = "context"
    celltype_col: str | None = None
    control: str = "non-targeting"
    with_control: bool = False
    cells_per_pert: int | None = 400
    check_cell_counts: bool = True
    n_genes: int | None = 18_533
    max_cells: int | None = 400_000
    max_stored: int | None = 4_750_000_000
    max_counts_per_cell: float | None = 1e6
    encoding: int = 32

    def __post_init__(self) -> None:
        if self.encoding not in (32, 64):
            msg = f"encoding must be 32 or 64, not {self.encoding!r}"
            raise ValueError(msg)
        for name in ("cells_per_pert", "n_genes", "max_cells", "max_stored", "max_counts_per_cell"):
            value = getattr(self, name)
            if value is not None and value < 1:
                msg = f"{name} must be 1 or more, or None for no limit; not {value!r}"
                raise ValueError(msg)


@dataclass(frozen=True)
class Problem:
    """One reason why a submission would be refused.

    Attributes
    ----------
    code
        Short name of the rule, for machines.
    text
        One line: what is wrong, the first examples, the way out.
    count
        How many cells, values, genes or labels it concerns.
    """

    code: str
    text: str
    count: int = 1

    def __str__(self) -> str:
        return self.text

    def as_dict(self) -> dict[str, Any]:
        """Fields by name."""
        return {"code": self.code, "count": self.count, "text": self.text}


class ContractError(DataError):
    """A submission breaks its contract; ``problems`` lists all that is wrong."""

    def __init__(self, name: str, problems: list[Problem]) -> None:
        self.problems = problems
        more = f" (and {len(problems) - 1} more; `vcmetrics validate` lists all)" if len(problems) > 1 else ""
        super().__init__(f"{name}: {problems[0]}{more}")
