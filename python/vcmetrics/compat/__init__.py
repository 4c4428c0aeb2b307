"""The interfaces of other tools on the formulas and kernels of this package; no formula lives here."""
