"""Distances between two groups of cells, one row of a registry each."""
