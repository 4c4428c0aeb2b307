"""Challenge submissions: the upload contracts checked, the archives written."""

from vcmetrics.challenge.archive import pack
from vcmetrics.challenge.contract import Contract, Problem
from vcmetrics.challenge.panel import Panel, read_panel
from vcmetrics.challenge.validate import validate

__all__ = ["Contract", "Panel", "Problem", "pack", "read_panel", "validate"]
