"""All rules. Each module here has one, as `RULE`; beside it lie a manifest with the mistake and one without."""

from __future__ import annotations

import importlib
import pkgutil
from pathlib import Path

from meshlab.lint.rule import Rule, Severity

__all__ = ["BAD_SUPPRESSION", "BY_CODE", "NOT_READ", "RULES", "examples"]

NOT_READ = Rule(
    code="ML000",
    name="not-read",
    severity=Severity.ERROR,
    summary="an object that is not read",
    why="Istio refuses it, or this tool does not know a part of it. What it asks for is not looked at.",
    fix="Correct the field that is named. `meshlab check` lists which traffic it can change.",
    source="Istio's validation, pkg/config/validation",
)

BAD_SUPPRESSION = Rule(
    code="ML003",
    name="bad-suppression",
    severity=Severity.WARNING,
    summary="a comment that suppresses nothing",
    why=(
        "A comment without a known code or without a reason has no effect. One for a finding that is gone "
        "would hide the next one."
    ),
    fix="Write `# meshlab: ignore=CODE reason` on the line of the finding or above it, or remove the comment.",
    source="this tool",
)


def _found() -> list[Rule]:
    modules = sorted(module.name for module in pkgutil.iter_modules(__path__))
    return [importlib.import_module(f"{__name__}.{name}").RULE for name in modules]


RULES: tuple[Rule, ...] = tuple(sorted([NOT_READ, BAD_SUPPRESSION, *_found()], key=lambda rule: rule.code))

BY_CODE = {rule.code: rule for rule in RULES}


def examples(rule: Rule) -> tuple[Path, Path] | None:
    """Return the manifests with and without the mistake of a rule; `None` for one without examples."""
    stem = Path(__file__).parent / rule.name.replace("-", "_")
    bad, good = stem.with_suffix(".bad.yaml"), stem.with_suffix(".good.yaml")
    return (bad, good) if bad.is_file() else None
