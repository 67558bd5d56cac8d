"""A comparison as one JSON document, for programs and for the report page.

Keys are stable: new ones may be added, and `version` counts changes that are not additions.

| key | value |
|---|---|
| `version` | 1 |
| `exit_code` | the exit code of the command |
| `old`, `new` | what the two inputs are called |
| `same_configuration` | whether every proxy is configured alike, so that nothing was started |
| `counts` | `compared`, `sent_again`, `not_judged`, `failed`, `nowhere`, `by_chance`, and `kinds`: kind to number |
| `duration_s` | seconds |
| `objects` | the objects that differ |
| `differences` | the requests that end otherwise, the gravest kind first |
| `not_known` | the requests of which it is not known what changed |
| `nowhere`, `by_chance` | names of requests: neither side has the sender or the target; varies alike on both sides |
| `not_covered`, `notes` | what was not asked, and what is to be known about the inputs, one sentence each |

An object has `what` (`added`, `removed` or `changed`), `object`, `old_place` and `new_place` (`FILE:LINE` or null) and
`fields`, each with `path`, `old`, `new` and `place`.

A difference has `name`, `from` (as case files write it), `caller`, `target`, `request_class`, `request`, `kind` (`now
allowed`, `now refused`, `answered by another workload`, `now without mTLS`, `now with mTLS`, `refused differently`,
`reaches the application differently`, `answered differently`), `kinds` with all of them, `details`, `chance`, `old` and
`new` (effects), and `because`: indices of `objects`. One of `not_known` has no kind, details and because, but `failed`.

An effect has `summary`, `ending` (the status, `answered`, `refused` or `not there`), `allowed`, `answerer`, `status`,
`mtls` (`receiver`, `identity`), `policy`, `reason`, `received` (`method`, `path`, `host`, `headers`, `sni`), `returned`
(response headers), `absent`, `unknown` and `way` (the workloads whose proxies it met; the first is its sender, or what
it was sent to). Headers are lists of name and value. Values of one run alone, such as tokens and ids, stand there as
words in angle brackets.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from meshlab.bench.report.json_report import sender_as_json
from meshlab.bench.report.outcome_texts import request
from meshlab.visible_text import json_text

if TYPE_CHECKING:
    from meshlab.diff.compare_meshes import Difference
    from meshlab.diff.effect import Effect
    from meshlab.diff.object_changes import ObjectChange
    from meshlab.diff.result import Finding, Result
    from meshlab.manifest import Manifest

__all__ = ["result_as_json"]

_VERSION = 1


def result_as_json(result: Result, exit_code: int) -> str:
    """Return a comparison as a JSON document.

    Args:
        result: The comparison.
        exit_code: The exit code of the command.
    """
    return json_text(
        {
            "version": _VERSION,
            "exit_code": exit_code,
            "old": result.old,
            "new": result.new,
            "same_configuration": result.is_same,
            "counts": {
                "compared": result.compared,
                "sent_again": result.sent_again,
                "not_judged": len(result.not_judged),
                "failed": len(result.failed),
                "nowhere": len(result.nowhere),
                "by_chance": len(result.by_chance),
                "kinds": {str(kind): number for kind, number in result.counts.items()},
            },
            "duration_s": round(result.duration_s, 3),
            "objects": [_object(change) for change in result.objects],
            "differences": [_finding(finding) for finding in result.findings],
            "not_known": [
                {**_asked(each), "failed": each in result.failed, **_effects(each)}
                for each in result.not_known
            ],
            "nowhere": [question.case.name for question in result.nowhere],
            "by_chance": [question.case.name for question in result.by_chance],
            "not_covered": list(result.not_covered),
            "notes": list(result.notes),
        }
    )


def _object(change: ObjectChange) -> dict[str, Any]:
    return {
        "what": change.what,
        "object": change.subject,
        "old_place": _place(change.old),
        "new_place": _place(change.new),
        "fields": [
            {"path": field.path, "old": field.old, "new": field.new, "place": field.place}
            for field in change.fields
        ],
    }


def _place(manifest: Manifest | None) -> str | None:
    if manifest is None:
        return None
    return f"{manifest.source}:{manifest.line}" if manifest.line else manifest.source


def _finding(finding: Finding) -> dict[str, Any]:
    difference, change = finding.difference, finding.difference.change
    return {
        **_asked(difference),
        "kind": str(finding.kind),
        "kinds": [str(kind) for kind in change.kinds] if change else [],
        "details": list(change.details) if change else [],
        "chance": difference.chance,
        **_effects(difference),
        "because": list(finding.because),
    }


def _asked(difference: Difference) -> dict[str, Any]:
    question = difference.question
    return {
        "name": question.case.name,
        "from": sender_as_json(question.case.sender),
        "caller": question.caller,
        "target": question.target,
        "request_class": question.request_class,
        "request": request(question.case),
    }


def _effects(difference: Difference) -> dict[str, Any]:
    return {"old": _effect(difference.old), "new": _effect(difference.new)}


def _effect(effect: Effect) -> dict[str, Any]:
    received = effect.received
    return {
        "summary": effect.summary,
        "ending": effect.ending,
        "allowed": effect.allowed,
        "answerer": effect.answerer,
        "status": effect.status,
        "mtls": [{"receiver": peer.receiver, "identity": peer.identity} for peer in effect.mtls],
        "policy": effect.policy,
        "reason": effect.reason,
        "received": {
            "method": received.method,
            "path": received.path,
            "host": received.host,
            "headers": [list(header) for header in received.headers],
            "sni": received.sni,
        }
        if received
        else None,
        "returned": [list(header) for header in effect.returned],
        "absent": effect.absent,
        "unknown": list(effect.unknown),
        "way": [str(ref) for ref in effect.way],
    }
