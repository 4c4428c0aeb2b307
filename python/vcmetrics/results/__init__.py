"""Labelled results: tables, files, terminal."""
