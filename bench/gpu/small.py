"""``python -m bench.gpu.small``: every case once at its small size, for compute-sanitizer."""

from __future__ import annotations

from bench.gpu.cases import FAMILIES
from vcmetrics.backend.gpu import engine


def main() -> None:
    """Run and compare."""
    found = engine()
    for family in FAMILIES.values():
        for case in family(found, True, 1):
            assert case.same(case.run(), case.cpu()), case.name
    print("every kernel ran at its small size")


if __name__ == "__main__":
    main()
