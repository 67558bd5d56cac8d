"""What an example declares: it is enough for its code, it is what the tests run with, and it names no more."""

from __future__ import annotations

import ast
import functools
import sys
import tomllib
from importlib.metadata import packages_distributions, version
from typing import TYPE_CHECKING

import pytest
from packaging.requirements import Requirement

from tests.examples.conftest import EXAMPLES

if TYPE_CHECKING:
    from pathlib import Path

PROJECTS = sorted(path.parent.name for path in EXAMPLES.glob("*/pyproject.toml"))
NOT_IMPORTED = {"openapi-python-client", "pytest", "uvicorn"}
"""What is run as a command, or by a test alone."""
GENERATED = {"user_profile_client"}
OF_GENERATED_CODE = {"attrs", "httpx"}


def declared(name: str) -> list[Requirement]:
    project = tomllib.loads((EXAMPLES / name / "pyproject.toml").read_text())["project"]
    extras = project.get("optional-dependencies", {})
    return [Requirement(text) for texts in (project["dependencies"], *extras.values()) for text in texts]


_distributions = functools.cache(packages_distributions)


def imported(folder: Path) -> set[str]:
    """Return the distributions that the code of a folder imports."""
    modules: set[str] = set()
    for file in folder.glob("*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Import):
                modules |= {alias.name for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module:
                modules.add(node.module)
    own = {file.stem for file in folder.glob("*.py")} | GENERATED | set(sys.stdlib_module_names)
    found = _distributions()
    names: set[str] = set()
    for module in modules:
        top = module.partition(".")[0]
        if module.startswith("google.cloud.pubsub"):
            names.add("google-cloud-pubsub")  # one of many that share the namespace
        elif top not in own:
            names.add(found.get(top, [top])[0].lower())  # an editable distribution lists no modules
    return names


def test_there_are_six_projects_with_code() -> None:
    assert len(PROJECTS) == 6


@pytest.mark.parametrize("name", PROJECTS)
def test_what_runs_the_example_satisfies_what_it_declares(name: str) -> None:
    wrong = [
        f"{requirement} and {version(requirement.name)}"
        for requirement in declared(name)
        if not requirement.specifier.contains(version(requirement.name))
    ]
    assert wrong == []


@pytest.mark.parametrize("name", PROJECTS)
def test_an_example_declares_what_its_code_imports_and_nothing_else(name: str) -> None:
    names = {requirement.name for requirement in declared(name)}
    used = imported(EXAMPLES / name)
    if name == "openapi-client":
        used |= OF_GENERATED_CODE
    assert sorted(used - names) == []
    assert sorted(names - used - NOT_IMPORTED) == []


@pytest.mark.parametrize("name", PROJECTS)
def test_an_example_takes_meshpass_from_this_clone(name: str) -> None:
    document = tomllib.loads((EXAMPLES / name / "pyproject.toml").read_text())
    if any(requirement.name == "meshpass" for requirement in declared(name)):
        path = document["tool"]["uv"]["sources"]["meshpass"]["path"]
        assert (EXAMPLES / name / path / "pyproject.toml").is_file()
