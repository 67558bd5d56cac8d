"""Findings as SARIF 2.1.0, which code scanning services read.

See https://docs.oasis-open.org/sarif/sarif/v2.1.0/sarif-v2.1.0.html.
"""

from __future__ import annotations

from pathlib import Path, PurePath
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from meshlab.lint.rule import Severity
from meshlab.lint.rules import RULES
from meshlab.visible_text import json_text

if TYPE_CHECKING:
    from meshlab.lint.rule import Finding, Rule
    from meshlab.lint.run import Linted

__all__ = ["as_sarif"]

_LEVELS = {Severity.ERROR: "error", Severity.WARNING: "warning", Severity.INFO: "note"}
_INDEX = {rule.code: number for number, rule in enumerate(RULES)}


def as_sarif(linted: Linted, version: str) -> str:
    """Return what was found as a SARIF document.

    Args:
        linted: What was found.
        version: The version of this tool.
    """
    driver = {"name": "meshlab lint", "version": version, "rules": [_rule(rule) for rule in RULES]}
    run = {
        "tool": {"driver": driver},
        "columnKind": "unicodeCodePoints",
        "results": [_result(finding) for finding in linted.findings],
    }
    return json_text(
        {"$schema": "https://json.schemastore.org/sarif-2.1.0.json", "version": "2.1.0", "runs": [run]}
    )


def _rule(rule: Rule) -> dict[str, Any]:
    return {
        "id": rule.code,
        "name": "".join(part.capitalize() for part in rule.name.split("-")),
        "shortDescription": {"text": f"{rule.summary[0].upper()}{rule.summary[1:]}."},
        "fullDescription": {"text": rule.why},
        "help": {"text": f"{rule.fix} Decided by: {rule.source}."},
        "defaultConfiguration": {"level": _LEVELS[rule.severity]},
    }


def _result(finding: Finding) -> dict[str, Any]:
    problem = finding.problem
    text = ": ".join(part for part in (problem.subject, problem.path, problem.text) if part)
    place: dict[str, Any] = {"artifactLocation": {"uri": _uri(problem.source)}}
    if problem.line:
        place["region"] = {"startLine": problem.line}
    result: dict[str, Any] = {
        "ruleId": finding.rule.code,
        "ruleIndex": _INDEX[finding.rule.code],
        "level": _LEVELS[finding.rule.severity],
        "message": {"text": text},
        "locations": [{"physicalLocation": place}],
    }
    if finding.suppressed:
        result["suppressions"] = [{"kind": "inSource", "justification": finding.suppressed}]
    return result


def _uri(source: str) -> str:
    path, here = PurePath(source), Path.cwd()
    if path.is_absolute() and path.is_relative_to(here):
        path = path.relative_to(here)
    return path.as_uri() if path.is_absolute() else quote(path.as_posix())
