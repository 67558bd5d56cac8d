"""Choice of tests for changed files. It is made from a map, so it can be explained, and it says what it leaves out."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tools.check import imports

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

STEPS = 2
"""Imports between a changed file and a test that still runs: the test imports it, or what imports it."""

# What no import shows: the beginning of a path, and the tests that read such files. The longest beginning counts.
_READ = {
    ".ci/": ("tests/release",),
    ".devcontainer/": ("tests/release",),
    ".github/": ("tests/release",),
    ".pre-commit-": ("tests/release", "tests/docs/test_pre_commit_hooks.py"),
    "CHANGELOG.md": ("tests/release/test_changelog.py", "tests/docs/test_docs_complete.py"),
    "Makefile": ("tests/release/test_workflows.py", "tests/docs/test_docs_links.py"),
    "deploy/": ("tests/deploy/test_deploy_packages.py", "tests/deploy/test_package_script.py"),
    "docs/": ("tests/docs/test_docs_links.py", "tests/docs/test_docs_complete.py"),
    "function/": ("tests/function/test_function_readme.py", "tests/function/test_function_pipeline_file.py"),
    "infra/contract": ("tests/infra/contract",),
    "infra/mesh/": ("tests/infra/test_manifests.py", "tests/infra/test_lint.py", "tests/infra/generator"),
    "infra/policy-tests/": ("tests/infra/test_who_gets_in.py", "tests/infra/test_who_reaches_what.py"),
    "infra/terraform/": ("tests/infra/terraform",),
    "lab/": ("tests/lab/test_layers.py",),
    "pyproject.toml": ("tests/release/test_versions.py",),
    "sdk/": ("tests/sdk/test_sdk_readme.py", "tests/sdk/test_sdk_public_surface.py"),
    "tools/check/": ("tests/release/test_check.py",),
    "tools/release/": ("tests/release",),
    "uv.lock": ("tests/release/test_versions.py",),
}
_ANY_PAGE = ("tests/docs/test_docs_links.py",)
# They start the whole lab, minutes each; a change of theirs runs them all the same.
_WHOLE_SYSTEM = ("tests/e2e/", "tests/bench/")


@dataclass
class Choice:
    """Tests for a change.

    Attributes:
        tests: files and folders that are run, each with why.
        left: test files that reach the change by more imports, and are left to ``make test``.
        unknown: changed files for which there is no test in the map.
    """

    tests: dict[str, str] = field(default_factory=dict)
    left: list[str] = field(default_factory=list)
    unknown: list[str] = field(default_factory=list)


def choose(root: Path, changed: Sequence[str], map_: Mapping[str, set[str]] | None = None) -> Choice:
    """Return the tests for changed files.

    Args:
        root: the top of the repository.
        changed: paths from there; a path that was removed counts too.
        map_: who imports whom; read from the sources where it is not given.
    """
    map_ = imports.importers(root) if map_ is None else map_
    choice = Choice()
    for path in changed:
        before = len(choice.tests) + len(choice.left)
        known = False
        if path.endswith(".py"):
            for name, steps in imports.reached(map_, [path]).items():
                if _is_test(name) and (root / name).is_file():
                    known = True
                    _take(choice, name, path, steps)
        for test in _readers(path):
            if (root / test).exists():
                known = True
                choice.tests.setdefault(test, f"reads {path}")
        if not known and len(choice.tests) + len(choice.left) == before:
            choice.unknown.append(path)
    choice.left = sorted({name for name in choice.left if not _is_covered(name, choice.tests)})
    return choice


def _take(choice: Choice, name: str, path: str, steps: int) -> None:
    if steps == 0:
        choice.tests[name] = "changed"
    elif steps > STEPS or name.startswith(_WHOLE_SYSTEM):
        choice.left.append(name)
    else:
        choice.tests.setdefault(name, f"imports {path}" if steps == 1 else f"imports what imports {path}")


def _readers(path: str) -> tuple[str, ...]:
    beginning = max((each for each in _READ if path.startswith(each)), key=len, default="")
    found = _READ.get(beginning, ())
    return (*found, *_ANY_PAGE) if path.endswith(".md") else found


def _is_test(name: str) -> bool:
    return name.startswith("tests/") and name.rpartition("/")[2].startswith("test_")


def _is_covered(name: str, tests: Mapping[str, str]) -> bool:
    return any(name == test or name.startswith(f"{test}/") for test in tests)
