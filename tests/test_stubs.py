"""The committed stubs are what the compiled modules say. ``python tests/test_stubs.py`` rewrites them."""

import ast
import importlib
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

MODULES = ("_core", "_cuda")
SOURCE = Path(__file__).parents[1] / "python" / "vcmetrics"


def generate(module):
    """Text of the stub of one compiled module."""
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run(
            [sys.executable, "-m", "pybind11_stubgen", f"vcmetrics.{module}", "--exit-code", "-o", folder],
            check=True,
            capture_output=True,
            text=True,
        )
        return (Path(folder) / "vcmetrics" / f"{module}.pyi").read_text()


def signatures(stub):
    """Function -> (parameters with defaults, docstring); how types are spelt differs between pybind11 releases."""
    found = {}
    for node in ast.parse(stub).body:
        if isinstance(node, ast.FunctionDef):
            for argument in (*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs):
                argument.annotation = None
            found[node.name] = (ast.unparse(node.args), ast.get_docstring(node))
    return found


@pytest.mark.parametrize("module", MODULES)
def test_stub_is_current(module):
    pytest.importorskip("pybind11_stubgen")
    pytest.importorskip(f"vcmetrics.{module}", reason=f"vcmetrics was built without {module}")
    committed = (SOURCE / f"{module}.pyi").read_text()
    assert signatures(committed) == signatures(generate(module)), "run: python tests/test_stubs.py"


if __name__ == "__main__":
    for name in MODULES:
        importlib.import_module(f"vcmetrics.{name}")
        (SOURCE / f"{name}.pyi").write_text(generate(name))
