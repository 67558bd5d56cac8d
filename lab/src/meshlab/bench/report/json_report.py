"""A run as one JSON document, for programs.

Keys are stable: new ones may be added, and `version` counts changes that are not additions.

| key | value |
|---|---|
| `version` | 1 |
| `exit_code` | the exit code of the command |
| `counts` | `passed`, `failed`, `error`, `not_judged`, `left_out` |
| `duration_s` | seconds |
| `cases` | one object for each case, in their order |
| `refusals` | what the compiler does not know: `where`, `problem`, `proxies` |
| `notes` | what was passed over or is old in the inputs |

Each case has `name`, `file`, `line`, `status`, `request`, `expected`, `observed`, `answered_by`, `mismatches`,
`reasons`, `hops` and `duration_s`. `expected` and `observed` hold only what was written or seen.
"""

from __future__ import annotations

import json
from dataclasses import fields, is_dataclass
from typing import TYPE_CHECKING, Any

from meshlab.bench.report.words import request
from meshlab.istio.read.kubernetes import WorkloadRef

if TYPE_CHECKING:
    from collections.abc import Iterable

    from meshlab.bench.case_file import Problem
    from meshlab.bench.outcome import Outcome
    from meshlab.bench.report.run import Run

__all__ = ["error_as_json", "run_as_json"]

_VERSION = 1


def run_as_json(run: Run, exit_code: int) -> str:
    """Return a run as a JSON document."""
    return _dump(
        {
            "version": _VERSION,
            "exit_code": exit_code,
            "counts": {**run.counts, "left_out": run.left_out},
            "duration_s": round(run.duration_s, 3),
            "cases": [_case(outcome) for outcome in run.outcomes],
            "refusals": [_plain(refusal) for refusal in run.refusals],
            "notes": list(run.notes),
        }
    )


def error_as_json(message: str, exit_code: int, problems: Iterable[Problem] = ()) -> str:
    """Return what stopped a run before its first case: `error.message`, and `error.problems` of a case file."""
    found = [
        {
            "file": problem.place.file,
            "line": problem.place.line,
            "path": problem.place.path,
            "message": problem.message,
        }
        for problem in problems
    ]
    return _dump(
        {"version": _VERSION, "exit_code": exit_code, "error": {"message": message, "problems": found}}
    )


def _case(outcome: Outcome) -> dict[str, Any]:
    case = outcome.case
    return {
        "name": case.name,
        "file": case.place.file,
        "line": case.place.line,
        "status": outcome.status,
        "request": request(case),
        "expected": _plain(case.expect),
        "observed": _plain(outcome.observed),
        "answered_by": outcome.answered_by or None,
        "mismatches": list(outcome.mismatches),
        "reasons": list(outcome.reasons),
        "hops": [_plain(hop) for hop in outcome.hops],
        "duration_s": round(outcome.duration_s, 4),
    }


def _plain(value: object) -> Any:  # noqa: ANN401 - JSON
    """Return a dataclass without what is not set; workloads are written `NAMESPACE/NAME`."""
    if isinstance(value, WorkloadRef):
        return str(value)
    if is_dataclass(value) and not isinstance(value, type):
        held = {field.name: getattr(value, field.name) for field in fields(value)}
        return {name: _plain(found) for name, found in held.items() if not _is_unset(found)}
    if isinstance(value, tuple | list):
        return [_plain(item) for item in value]
    return dict(value) if isinstance(value, dict) else value


def _is_unset(value: object) -> bool:
    # Not `in`: 0 equals False, and a rule may have the index 0.
    return value is None or value is False or value == "" or value == () or value == {}


def _dump(document: dict[str, Any]) -> str:
    return json.dumps(document, indent=2)
