"""Findings as one JSON document.

| key | value |
|---|---|
| `version` | 1 |
| `exit_code` | the exit code of the command |
| `objects` | how many objects were looked at |
| `findings` | one object for each finding |

A finding has `rule`, `name`, `severity`, `file`, `line`, `object`, `field`, `text`, `fix`, and `suppressed`: the reason
of the comment that suppresses it, or null.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from meshlab.visible_text import json_text

if TYPE_CHECKING:
    from meshlab.lint.run import Linted

__all__ = ["as_json"]


def as_json(linted: Linted, exit_code: int) -> str:
    """Return what was found as a JSON document."""
    return json_text(
        {
            "version": 1,
            "exit_code": exit_code,
            "objects": linted.objects,
            "findings": [
                {
                    "rule": found.rule.code,
                    "name": found.rule.name,
                    "severity": found.rule.severity.value,
                    "file": found.problem.source,
                    "line": found.problem.line,
                    "object": found.problem.subject,
                    "field": found.problem.path,
                    "text": found.problem.text,
                    "fix": found.rule.fix,
                    "suppressed": found.suppressed or None,
                }
                for found in linted.findings
            ],
        }
    )
