"""The meaning of every kernel and metric: NumPy only, slow and obvious."""
