"""Choice of tests for changed files. It is made from a map, so it can be explained, and it says what it leaves out.

The nearest tests come first, until they have cost a minute: changed tests, tests that import a changed file, tests
with its name, tests that read it, tests that import what imports it. Among equals the cheap ones come first.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tools.check import imports, measure

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

STEPS = 2
"""Imports between a changed file and a test that still runs: the test imports it, or what imports it."""

BUDGET_S = 60
"""Processor seconds that the chosen tests may cost together, besides those that changed themselves. Two processes
share them, on a machine that may be slower than the one that measured."""

_SMALL_S = 1  # a file that costs too little to be in the table

_SAME_START = 4

# How near a test is to a change, the nearest first.
_CHANGED, _IMPORTS, _NAMED_ALIKE, _READS, _REACHES = range(5)

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
        left: test files that reach the change, too, and are left to ``make test``: they are farther away, or cost more
            than the budget has.
        unknown: changed files for which there is no test in the map.
    """

    tests: dict[str, str] = field(default_factory=dict)
    left: list[str] = field(default_factory=list)
    unknown: list[str] = field(default_factory=list)


def choose(
    root: Path,
    changed: Sequence[str],
    map_: Mapping[str, set[str]] | None = None,
    seconds: Mapping[str, int] | None = None,
) -> Choice:
    """Return the tests for changed files.

    Args:
        root: the top of the repository.
        changed: paths from there; a path that was removed counts too.
        map_: who imports whom; read from the sources where it is not given.
        seconds: what test files cost; as measured last where it is not given.
    """
    map_ = imports.importers(root) if map_ is None else map_
    seconds = measure.table() if seconds is None else seconds
    choice = Choice()
    found: dict[str, tuple[int, str]] = {}
    for path in changed:
        near = list(_near(root, path, map_))
        for test, nearness, why in near:
            if test not in found or nearness < found[test][0]:
                found[test] = nearness, why
        if not near:
            choice.unknown.append(path)
    left_s = BUDGET_S
    for test, (nearness, why) in sorted(
        found.items(), key=lambda each: (each[1][0], _cost_s(each[0], seconds))
    ):
        cost_s = 0 if nearness == _CHANGED else _cost_s(test, seconds)
        if nearness > _REACHES or cost_s > left_s:
            choice.left.append(test)
        else:
            left_s -= cost_s
            choice.tests[test] = why
    choice.left = sorted(name for name in choice.left if not _is_covered(name, choice.tests))
    return choice


def _near(root: Path, path: str, map_: Mapping[str, set[str]]) -> Iterator[tuple[str, int, str]]:
    """Yield tests for a changed file, each with how near it is, and why."""
    if path.endswith(".py"):
        for name, steps in imports.reached(map_, [path]).items():
            if _is_test(name) and (root / name).is_file():
                yield (name, *_nearness(name, path, steps))
    for test in _readers(path):
        if (root / test).exists():
            yield test, _READS, f"reads {path}"


def _nearness(test: str, path: str, steps: int) -> tuple[int, str]:
    if steps == 0:
        return _CHANGED, "changed"
    if test.startswith(_WHOLE_SYSTEM):
        return _REACHES + 1, "starts the whole system"
    if steps == 1:
        return _IMPORTS, f"imports {path}"
    if _is_named_alike(test, path):
        return _NAMED_ALIKE, f"has the name of {path}"
    return _REACHES + max(0, steps - STEPS), f"imports what imports {path}"


def _is_named_alike(test: str, path: str) -> bool:
    """Return whether a test has a word of the module's name, as test_sdk_retries.py of retry.py."""
    beginnings = {word[:_SAME_START] for word in _words(path) if len(word) >= _SAME_START}
    return bool(beginnings & {word[:_SAME_START] for word in _words(test)})


def _words(path: str) -> list[str]:
    return re.split(r"[_.]+", path.rpartition("/")[2].removesuffix(".py").removeprefix("test_"))


def _cost_s(test: str, seconds: Mapping[str, int]) -> int:
    return (
        seconds.get(test, 0) + sum(s for name, s in seconds.items() if name.startswith(f"{test}/"))
        or _SMALL_S
    )


def _readers(path: str) -> tuple[str, ...]:
    beginning = max((each for each in _READ if path.startswith(each)), key=len, default="")
    found = _READ.get(beginning, ())
    return (*found, *_ANY_PAGE) if path.endswith(".md") else found


def _is_test(name: str) -> bool:
    return name.startswith("tests/") and name.rpartition("/")[2].startswith("test_")


def _is_covered(name: str, tests: Mapping[str, str]) -> bool:
    return any(name == test or name.startswith(f"{test}/") for test in tests)
