"""Coverage of the cases for programs: the key `coverage` of `meshlab test --coverage --json`.

| key | value |
|---|---|
| `exercised`, `total`, `percent` | of everything; percent is rounded down to a tenth |
| `kinds` | the same for each of `rule`, `condition`, `route` and `server` |
| `objects` | one for each object: `object`, `file`, `line` and, for each kind that it has, `exercised` and `total` |
| `missed` | what no case exercised: `kind`, `object`, `file`, `line`, `path`, `text` and `reason` |
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from meshlab.bench.case_coverage.items import KINDS

if TYPE_CHECKING:
    from meshlab.bench.case_coverage.coverage import Count, Coverage, Missed

__all__ = ["coverage_as_json"]


def coverage_as_json(coverage: Coverage) -> dict[str, Any]:
    """Return the coverage as values of a JSON document."""
    return {
        **_count(coverage.total),
        "kinds": {kind: _count(count) for kind, count in coverage.kinds.items()},
        "objects": [
            {
                "object": owner.object,
                "file": owner.file,
                "line": owner.line,
                **{
                    kind: {"exercised": count.exercised, "total": count.total}
                    for kind in KINDS
                    if (count := coverage.of(kind, owner)).total
                },
            }
            for owner in coverage.objects
        ],
        "missed": [_missed(each) for each in coverage.missed],
    }


def _count(count: Count) -> dict[str, Any]:
    return {"exercised": count.exercised, "total": count.total, "percent": count.percent}


def _missed(missed: Missed) -> dict[str, Any]:
    place = missed.item.place
    return {
        "kind": missed.item.kind,
        "object": place.object,
        "file": place.file,
        "line": place.line,
        "path": place.path,
        "text": missed.item.text,
        "reason": missed.reason,
    }
