"""The examples in the docstrings run and print what they say."""

from __future__ import annotations

import doctest
import pkgutil
from importlib import import_module
from importlib.util import find_spec

import pytest

import vcmetrics

MODULES = [m.name for m in pkgutil.walk_packages(vcmetrics.__path__, "vcmetrics.") if ".cli" not in m.name]
if find_spec("distributed") is None:  # the extra `dask`
    MODULES = [name for name in MODULES if not name.startswith("vcmetrics.dask")]
WITH_EXAMPLES = [
    name
    for name in MODULES
    if not name.endswith(("._core", "._cuda", ".__main__"))
    and any(t.examples for t in doctest.DocTestFinder().find(import_module(name)))
]


@pytest.mark.parametrize("name", WITH_EXAMPLES)
def test_examples(name: str) -> None:
    found = doctest.testmod(import_module(name))
    assert found.attempted > 0
    assert found.failed == 0


def test_every_public_function_has_an_example() -> None:
    finder = doctest.DocTestFinder()
    for name in vcmetrics.__all__:
        thing = getattr(vcmetrics, name)
        if callable(thing) and not isinstance(thing, type):
            assert any(t.examples for t in finder.find(thing, name)), name
