"""Map of who imports whom, read from the sources: nothing is imported to make it."""

from __future__ import annotations

import ast
import re
from collections import defaultdict
from typing import TYPE_CHECKING

from tools.release import git

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

_ROOTS = (
    "sdk/src/",
    "lab/src/",
    "infra/contract/src/",
    "infra/generator/src/",
    "function-aws/",
    "function/",
    "",
)
"""Folders that modules are named from, those inside another one first."""

# Only these are parsed: whole files take ten times as long.
_STATEMENT = re.compile(
    r"^[ \t]*((?:from[ \t]+[.\w]+[ \t]+import[ \t]+(?:\([^)]*\)|.+))|import[ \t]+.+)", re.MULTILINE
)


def importers(root: Path) -> Mapping[str, set[str]]:
    """Return for each file the files that import it, or a name from it.

    Imports for type checkers and inside functions count. A file also depends on the ``conftest.py`` of its
    folder and of those above it.
    """
    listed = git.run(root, "ls-files", "--cached", "--others", "--exclude-standard", "-z", "*.py").split("\0")
    files = [name for name in listed if name and not name.startswith("beam/") and (root / name).is_file()]
    by_module = {module_of(name): name for name in files}
    found: dict[str, set[str]] = defaultdict(set)
    for name in files:
        for module in _imported(
            (root / name).read_text(encoding="utf-8"), module_of(name), name.endswith("__init__.py")
        ):
            if (target := by_module.get(module)) and target != name:
                found[target].add(name)
    for name in files:
        if name.endswith("conftest.py"):
            folder = name.removesuffix("conftest.py")
            found[name] |= {other for other in files if other.startswith(folder) and other != name}
    return found


def module_of(name: str) -> str:
    """Return the dotted name of a file's module."""
    stem = next(name.removeprefix(root) for root in _ROOTS if name.startswith(root)).removesuffix(".py")
    return stem.removesuffix("/__init__").replace("/", ".")


def reached(map_: Mapping[str, set[str]], changed: Iterable[str]) -> dict[str, int]:
    """Return the files that import a changed one, by any number of steps, each with the least number; 0 for itself."""
    distance = dict.fromkeys(changed, 0)
    waiting = list(distance)
    for name in waiting:
        for other in sorted(map_.get(name, ())):
            if other not in distance:
                distance[other] = distance[name] + 1
                waiting.append(other)
    return distance


def _imported(text: str, module: str, is_package: bool) -> set[str]:
    found: set[str] = set()
    for statement in _STATEMENT.findall(text):
        try:
            tree = ast.parse(statement)
        except SyntaxError:
            continue  # a line of a docstring
        for node in tree.body:
            if isinstance(node, ast.Import):
                found |= {alias.name for alias in node.names}
            elif isinstance(node, ast.ImportFrom):
                base = node.module or ""
                if node.level:
                    above = module.split(".")[: len(module.split(".")) - node.level + is_package]
                    base = ".".join([*above, *([node.module] if node.module else [])])
                found |= {base, *(f"{base}.{alias.name}" for alias in node.names)}
    return found
