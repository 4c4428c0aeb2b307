"""Importing the package is quick and small, and works on a machine without a GPU."""

import importlib.metadata
import os
import re
import subprocess
import sys

import pytest

import vcmetrics

HEAVY = ("pandas", "anndata", "h5py", "zarr", "scipy", "pyarrow", "rich", "click", "cupy", "sklearn")


def run(code, **environment):
    return subprocess.run(
        [sys.executable, "-c", code], env=os.environ | environment, capture_output=True, text=True, check=False
    )


def test_import_pulls_in_nothing_heavy():
    code = f"import sys, vcmetrics; print([m for m in {HEAVY!r} if m in sys.modules])"
    done = run(code)
    assert done.stderr == ""
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("name", vcmetrics.__all__)
def test_every_public_name_resolves(name):
    assert getattr(vcmetrics, name) is not None
    assert name in dir(vcmetrics)


def test_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no_such_name"):
        vcmetrics.no_such_name  # noqa: B018


def test_public_names_have_docstrings():
    for name in vcmetrics.__all__:
        if name != "__version__":
            assert getattr(vcmetrics, name).__doc__, name


def test_version_is_the_distribution_version():
    try:
        installed = importlib.metadata.version("vcmetrics")
    except importlib.metadata.PackageNotFoundError:
        assert re.fullmatch(r"\d+\.\d+\.\d+", vcmetrics.__version__)
    else:
        assert installed == vcmetrics.__version__


def test_package_is_typed():
    from pathlib import Path

    assert (Path(vcmetrics.__file__).parent / "py.typed").exists()
