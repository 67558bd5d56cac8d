"""A run as one JSON document, for programs.

Keys are stable: new ones may be added, and `version` counts changes that are not additions.

| key | value |
|---|---|
| `version` | 1 |
| `exit_code` | the exit code of the command |
| `counts` | `passed`, `failed`, `error`, `not_judged`, `seen`, `left_out` |
| `duration_s` | seconds |
| `cases` | one object for each case, in their order |
| `refusals` | what the compiler does not know in the manifests, one sentence each |
| `notes` | what was passed over or is old in the inputs |
| `coverage` | with `--coverage`: what the cases exercised, see `bench/case_coverage/as_json.py` |

Each case has `name`, `file`, `line`, `state` (as in `counts`), `from` (as case files write it, without names of
`callers`), `request`, `tokens`, `expected`, `got` (status or ending, `app`, `proxy`, `subset`, `policy`, `rule`,
`reason`, `body`), `mismatches` (`part`, `expected`, `got`), `reasons`, `hops` and `duration_s`. `expected` and `got`
hold only what was written or seen. A token has `issuer`, `claims`, `flaw` and `in`; one that the case itself writes has
`literal: true`, and its text is left out.
"""

from __future__ import annotations

from dataclasses import fields, is_dataclass
from typing import TYPE_CHECKING, Any

from meshlab.bench.case import FromBypass, FromForeignMesh, FromOutside, FromWorkload
from meshlab.bench.case_coverage.as_json import coverage_as_json
from meshlab.bench.case_file import CaseProblem
from meshlab.bench.report.outcome_texts import request
from meshlab.istio.read.workload_ref import WorkloadRef
from meshlab.visible_text import json_text

if TYPE_CHECKING:
    from collections.abc import Iterable

    from meshlab.bench.case import Sender, TokenSpec
    from meshlab.bench.report.run import Run
    from meshlab.bench.verdicts.hop import Hop
    from meshlab.bench.verdicts.verdict import Outcome, Verdict

__all__ = ["error_as_json", "run_as_json", "sender_as_json"]

_VERSION = 1
_MAX_BODY = 2000


def run_as_json(run: Run, exit_code: int) -> str:
    """Return a run as a JSON document."""
    return json_text(
        {
            "version": _VERSION,
            "exit_code": exit_code,
            "counts": {
                **{_key(state): count for state, count in run.counts.items()},
                "left_out": run.left_out,
            },
            "duration_s": round(run.duration_s, 3),
            "cases": [_case(outcome) for outcome in run.outcomes],
            "refusals": list(run.refusals),
            "notes": list(run.notes),
            **({"coverage": coverage_as_json(run.coverage)} if run.coverage else {}),
        }
    )


def error_as_json(message: str, exit_code: int, problems: Iterable[object] = ()) -> str:
    """Return what stopped a run before its first case.

    The keys are `error.message`, and `error.problems` with `file`, `line`, `path` and `message`, where the problems are
    those of case files.
    """
    found = [
        {
            "file": problem.place.file,
            "line": problem.place.line,
            "path": problem.place.path,
            "message": problem.message,
        }
        for problem in problems
        if isinstance(problem, CaseProblem)
    ]
    return json_text(
        {"version": _VERSION, "exit_code": exit_code, "error": {"message": message, "problems": found}}
    )


def _case(outcome: Outcome) -> dict[str, Any]:
    case = outcome.case
    return {
        "name": case.name,
        "file": case.place.file,
        "line": case.place.line,
        "state": _key(outcome.state),
        "from": sender_as_json(case.sender),
        "request": request(case),
        "tokens": [_token(token) for token in case.tokens],
        "expected": _plain(case.expect),
        "got": _got(outcome.verdict) if outcome.verdict else None,
        "mismatches": [_plain(mismatch) for mismatch in outcome.mismatches],
        "reasons": list(outcome.reasons),
        "hops": [_hop(hop) for hop in outcome.verdict.hops] if outcome.verdict else [],
        "duration_s": round(outcome.duration_s, 4),
    }


def sender_as_json(sender: Sender) -> dict[str, Any]:
    """Return who sends, as `from` of a case file says it."""
    match sender:
        case FromOutside():
            found: dict[str, object] = {
                "outside": sender.gateway,
                "address": sender.address,
                "certificate": sender.certificate,
            }
        case FromWorkload():
            found = {"workload": sender.workload}
        case FromBypass():
            found = {"bypass": sender.workload or "none", "to": sender.to, "port": sender.port}
            found |= {"mode": sender.mode, "address": sender.address}
        case FromForeignMesh():
            found = {"mesh": sender.identity, "authority": sender.authority}
            found |= {"to": sender.to, "port": sender.port, "address": sender.address}
    return _set_only(found)


def _token(token: TokenSpec) -> dict[str, Any]:
    """Return how a token is made. A literal one may be real, and is left out."""
    if token.literal is not None:
        return {"literal": True, "in": token.placement}
    return _set_only(
        {"issuer": token.issuer, "claims": dict(token.claims), "flaw": token.flaw, "in": token.placement}
    )


def _got(verdict: Verdict) -> dict[str, Any]:
    policy = verdict.decisive.policy if verdict.decisive else None
    return _set_only(
        {
            "status": verdict.reply.status,
            "refused": not verdict.answered,
            "answered": verdict.answered and verdict.reply.status is None,
            "app": verdict.app,
            "proxy": verdict.proxy,
            "subset": verdict.subset or verdict.version,
            "policy": policy.name if policy else None,
            "rule": policy.rule if policy else None,
            "reason": verdict.reason or verdict.reply.failure,
            "body": verdict.reply.text[:_MAX_BODY],
        }
    )


def _hop(hop: Hop) -> dict[str, Any]:
    line = hop.line
    return _set_only(
        {
            "proxy": hop.workload,
            "direction": hop.direction,
            "port": hop.port,
            "status": line.status or None,
            "reason": hop.reason,
            "listener": line.listener,
            "filter_chain": line.chain,
            "route": line.route,
            "cluster": line.cluster,
            "upstream": hop.upstream_name,
            "client_certificate": line.peer,
            "details": line.details,
        }
    )


def _set_only(values: dict[str, object]) -> dict[str, Any]:
    return {name: _plain(value) for name, value in values.items() if not _is_unset(value)}


def _key(state: str) -> str:
    return state.replace(" ", "_")


def _plain(value: object) -> Any:  # noqa: ANN401 - JSON
    """Return a dataclass without what is not set; workloads are written `NAMESPACE/NAME`."""
    if isinstance(value, WorkloadRef):
        return str(value)
    if is_dataclass(value) and not isinstance(value, type):
        return _set_only({field.name: getattr(value, field.name) for field in fields(value)})
    if isinstance(value, tuple | list):
        return [_plain(item) for item in value]
    return dict(value) if isinstance(value, dict) else value


def _is_unset(value: object) -> bool:
    # Not `in`: 0 equals False, and a rule may have the index 0.
    return value is None or value is False or value == "" or value == () or value == {}
