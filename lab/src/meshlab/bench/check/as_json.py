"""Result of a check as one JSON document.

Keys are stable: new ones may be added, and `version` counts changes that are not additions.

| key | value |
|---|---|
| `version` | 1 |
| `exit_code` | the exit code of the command |
| `objects` | how many objects were found |
| `refusals` | `problems`, and `not_judged`: the traffic, in phrases |
| `notes` | problems that are legal in Istio |
| `passed_over` | objects and files that decide nothing, one sentence each |
| `not_enforced` | what only a cluster can do, one sentence each |

Of inputs apart: `inputs` with `name`, `state`, `objects` and `problems`; `totals` with `inputs`, `policies` and
`applications` by state; `reasons` with `count` and `reason`. A problem has `file`, `line`, `object`, `field`, `text`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from meshlab.bench.check.refusal_texts import traffic
from meshlab.visible_text import json_text

if TYPE_CHECKING:
    from collections.abc import Sequence

    from meshlab.bench.check.checked import Checked
    from meshlab.bench.check.each import CheckedInput, Totals
    from meshlab.manifest import Problem

__all__ = ["checked_as_json", "each_as_json"]

_VERSION = 1


def checked_as_json(checked: Checked, exit_code: int) -> str:
    """Return what was checked as a JSON document."""
    return json_text(
        {
            "version": _VERSION,
            "exit_code": exit_code,
            "objects": len(checked.objects),
            "refusals": [
                {
                    "problems": [_problem(problem) for problem in refusal.problems],
                    "not_judged": list(traffic(refusal)),
                }
                for refusal in checked.refusals
            ],
            "notes": [_problem(note) for note in checked.notes],
            "passed_over": [
                *map(str, checked.mesh.passed_over),
                *(f"{file.file}: {file.reason}" for file in checked.inputs.passed_over),
            ],
            "not_enforced": list(checked.not_enforced),
        }
    )


def each_as_json(checked: Sequence[CheckedInput], counted: Totals, exit_code: int) -> str:
    """Return inputs that were checked apart as a JSON document."""
    return json_text(
        {
            "version": _VERSION,
            "exit_code": exit_code,
            "totals": {
                name: {state: getattr(counted, name)[state] for state in ("read", "refused", "template")}
                for name in ("inputs", "policies", "applications")
            },
            "reasons": [{"count": count, "reason": why} for why, count in counted.reasons],
            "inputs": [
                {
                    "name": found.name,
                    "state": found.state,
                    "objects": found.objects,
                    "problems": [_problem(problem) for problem in found.problems],
                }
                for found in checked
            ],
        }
    )


def _problem(problem: Problem) -> dict[str, Any]:
    return {
        "file": problem.source,
        "line": problem.line,
        "object": problem.subject,
        "field": problem.path,
        "text": problem.text,
    }
