"""The parts of deploy/steps, and which of them may import which."""

from __future__ import annotations

import ast
from collections import defaultdict
from pathlib import Path

STEPS = Path(__file__).parents[2] / "deploy" / "steps"
TOOLS = {"arguments", "gcloud", "bq", "uv"}
# As docs/architecture.md has it; each may also import the tools, and `steps` itself.
ALLOWED = {
    "package": set(),
    "bridge": set(),
    "alerts": set(),
    "smoke": set(),
    "deploy": {"package"},
    "environment": {"deploy"},
    "dataflow": {"package", "deploy"},
    "cloud": {"deploy"},
    "verify": {"alerts", "cloud", "package", "deploy"},
    "grant": {"cloud", "deploy", "verify"},
    "rollback": {"cloud", "deploy", "verify"},
    "destroy": {"alerts", "cloud", "deploy", "verify"},
}


def imported(file: Path) -> set[str]:
    """The parts that a module imports, for type checkers too."""
    here = file.relative_to(STEPS).parts[:-1]
    found = set()
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.ImportFrom) and node.level:
            base = [*here[: len(here) - (node.level - 1)], *(node.module or "").split(".")]
            names = [part for part in base if part] or [alias.name for alias in node.names]
            found |= {names[0]} if base != [""] else set(names)
    return {name for name in found if (STEPS / name).is_dir() or (STEPS / f"{name}.py").exists()}


def test_imports_go_one_way() -> None:
    found: dict[str, set[str]] = defaultdict(set)
    for file in STEPS.rglob("*.py"):
        part = file.relative_to(STEPS).with_suffix("").parts[0]
        found[part] |= imported(file) - {part}
    assert {part: names - TOOLS for part, names in found.items() if part in ALLOWED} == ALLOWED
    assert set(found) == {*ALLOWED, *TOOLS, "__init__"}
    assert not set().union(*(found[tool] for tool in TOOLS)) - TOOLS
