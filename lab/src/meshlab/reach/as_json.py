"""Who reaches what as one JSON document, for programs.

Keys are stable: new ones may be added, and `version` counts changes that are not additions.

| key | value |
|---|---|
| `version` | 1 |
| `exit_code` | the exit code of the command |
| `targets` | one object for each target |
| `not_covered` | what was not asked, one sentence each |
| `refusals` | what the compiler does not know in the manifests, one sentence each |
| `notes` | what was passed over or is old in the inputs |

Each target has `target` (`NAMESPACE/NAME` or a host), `reached_by` (the callers that get in), `unknown` (callers for
which that could not be judged), `blocks` and `questions`. A block is one way into the mesh: its `title`, and `rows` and
`columns`, which are the callers and the requests in groups that are treated alike.

Each question has `name`, `block` (the title of its block), `caller`, `also` (workloads that no condition distinguishes
from the caller), `request`, `access` (`allowed`, `refused`, `not judged` or `error`), `word` (the status, `refused` or
`answered`), `by` (who answered or refused), `elsewhere` (whether that is another application than the target's),
`policy` (who refused it; `none` where no ALLOW rule matched) and `reason`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from meshlab.visible_text import json_text

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from meshlab.reach.matrix import Matrix
    from meshlab.reach.outcome import Answer

__all__ = ["reach_as_json"]

_VERSION = 1


def reach_as_json(
    matrices: Iterable[Matrix],
    exit_code: int,
    *,
    not_covered: Sequence[str] = (),
    refusals: Sequence[str] = (),
    notes: Sequence[str] = (),
) -> str:
    """Return who reaches what as a JSON document."""
    return json_text(
        {
            "version": _VERSION,
            "exit_code": int(exit_code),
            "targets": [_target(matrix) for matrix in matrices],
            "not_covered": list(not_covered),
            "refusals": list(refusals),
            "notes": list(notes),
        }
    )


def _target(matrix: Matrix) -> dict[str, Any]:
    return {
        "target": matrix.target,
        "reached_by": list(matrix.reached_by),
        "unknown": list(matrix.unknown),
        "blocks": [
            {
                "title": block.title,
                "rows": [list(row) for row in block.rows],
                "columns": [list(column) for column in block.columns],
            }
            for block in matrix.blocks
        ],
        "questions": [_question(answer, block.title) for block in matrix.blocks for answer in block.answers],
    }


def _question(answer: Answer, block: str) -> dict[str, Any]:
    question = answer.question
    return {
        "name": question.case.name,
        "block": block,
        "caller": question.caller,
        "also": list(question.alike),
        "request": question.request_class,
        "access": answer.access,
        "word": answer.word,
        "by": answer.by,
        "elsewhere": answer.elsewhere,
        "policy": answer.policy,
        "reason": answer.reason,
    }
