"""`__all__` equals the documented names, and the reference says what the docstrings say."""

import importlib
import importlib.util
import re
import types
from pathlib import Path

import pytest

_DOCS = Path(__file__).parents[2] / "docs"
_PAGE = (_DOCS / "sdk-reference.md").read_text()
_PACKAGES = ("meshpass", "meshpass.keys", "meshpass.testing")


def generator() -> types.ModuleType:
    spec = importlib.util.spec_from_file_location("sdk_reference", _DOCS / "sdk_reference.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_reference_is_what_the_docstrings_say() -> None:
    assert generator().page() == _PAGE, "Run `python docs/sdk_reference.py`."


@pytest.mark.parametrize("package", _PACKAGES)
def test_the_documented_names_are_the_exported_ones(package: str) -> None:
    documented = re.findall(rf"^### {re.escape(package)}\.(\w+)$", _PAGE, re.MULTILINE)

    assert documented == list(importlib.import_module(package).__all__)


@pytest.mark.parametrize("package", _PACKAGES)
def test_every_public_name_says_what_it_is_for(package: str) -> None:
    module = importlib.import_module(package)

    for name in module.__all__:
        value = getattr(module, name)
        if isinstance(value, type | types.FunctionType):
            assert (value.__doc__ or "").strip(), f"{package}.{name} has no docstring"
            assert not (value.__doc__ or "").startswith(f"{name}("), (
                f"{package}.{name} has a generated docstring"
            )
