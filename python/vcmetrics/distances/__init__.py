"""Distances between groups of cells: matrices, references, comparisons, bootstraps, permutation tests."""
