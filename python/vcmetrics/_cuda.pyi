"""
CUDA side of vcmetrics; importing it needs no driver.
"""
from __future__ import annotations
__all__: list[str] = ['device_count']
def device_count() -> tuple[int, str]:
    """
    Number of usable devices, and the reason where that is 0.
    """
