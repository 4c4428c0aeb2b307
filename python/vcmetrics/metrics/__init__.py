"""The metrics: one registry row and one formula each."""
