"""A run of mutants as one JSON document.

| key | value |
|---|---|
| `version` | 1 |
| `exit_code` | the exit code of the command |
| `counts` | `survived`, `caught`, `equivalent`, `same_configuration`, `not_judged` |
| `cases` | how many cases there are |
| `duration_s`, `per_second` | seconds that the mutants took, and mutants a second |
| `left_out` | `only_break`, `sampled_out`, and the `seed` of the sample |
| `not_covered` | what the battery of requests does not ask, one sentence each |
| `mutants` | one object for each mutant, in the order of the objects |

A mutant has `file`, `line`, `kind`, `namespace`, `name`, `field`, `change`, `weakens` (whether it may let more in),
`state` (as in `counts`), and where there is one `caught_by` (the name of a case), `reason`, `effect` (what a survivor
makes of the request that shows it), `case`, the missing case as an entry of `cases` in a case file, and `needs`, what
that file must hold beside it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from meshlab.visible_text import json_text

if TYPE_CHECKING:
    from meshlab.mutate.mutated import Mutated
    from meshlab.mutate.results import Result

__all__ = ["as_json"]


def as_json(mutated: Mutated, exit_code: int) -> str:
    """Return a run as a JSON document."""
    return json_text(
        {
            "version": 1,
            "exit_code": exit_code,
            "counts": {_key(state): count for state, count in mutated.counts.items()},
            "cases": mutated.cases,
            "duration_s": round(mutated.duration_s, 3),
            "per_second": round(mutated.per_second, 1),
            "left_out": {
                "only_break": mutated.chosen.only_break,
                "sampled_out": mutated.chosen.sampled_out,
                "seed": mutated.chosen.seed,
            },
            "not_covered": list(mutated.not_covered),
            "mutants": [_mutant(result) for result in mutated.results],
        }
    )


def _mutant(result: Result) -> dict[str, Any]:
    mutant = result.mutant
    found: dict[str, Any] = {
        "file": mutant.manifest.source,
        "line": mutant.line,
        "kind": mutant.kind,
        "namespace": mutant.namespace,
        "name": mutant.name,
        "field": mutant.field,
        "change": mutant.change,
        "weakens": mutant.weakens,
        "state": _key(result.state),
    }
    further = {"caught_by": result.caught_by, "reason": result.reason, "effect": result.effect}
    if result.missing:
        further |= {"case": result.missing.text, "needs": result.missing.needs}
    return found | {name: value for name, value in further.items() if value}


def _key(state: str) -> str:
    return state.replace(" ", "_")
