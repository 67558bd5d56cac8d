"""Coverage of the cases as a table of a report.

It reads the key `coverage` of a run's JSON document, which `bench.case_coverage.as_json` describes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from meshlab.html_report.report import Row, Section, Table

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    Json = Mapping[str, Any]

__all__ = ["coverage_section"]

_KINDS = {"rule": "rules", "condition": "conditions", "route": "routes", "server": "servers"}


def coverage_section(coverage: Json) -> Section:
    """Return how many parts of each object cases exercised, and below it what no case did.

    Args:
        coverage: The coverage, see `bench.case_coverage.as_json`.
    """
    if not coverage["total"]:
        return Section("Coverage of the cases: the manifests have no part that a case can exercise", ())
    heading = f"Coverage of the cases: {coverage['percent']:g} %, {_count(coverage)}"
    return Section(heading, tuple(_tables(coverage)))


def _tables(coverage: Json) -> Iterator[Table]:
    objects = [Row(found["object"], tuple(_object_cells(found))) for found in coverage["objects"]]
    yield Table("By object", "object", (*_KINDS.values(), "at"), tuple(objects))
    if missed := coverage["missed"]:
        rows = tuple(_missed(each) for each in missed)
        yield Table("What no case exercises", "object", ("part", "why", "at"), rows)


def _object_cells(found: Json) -> Sequence[str]:
    counts = (_count(found[kind]) if kind in found else "" for kind in _KINDS)
    return [*counts, _place(found)]


def _missed(missed: Json) -> Row:
    text = f": {missed['text']}" if missed["text"] else ""
    part = f"{missed['kind']} {missed['path']}{text}"
    return Row(missed["object"], (part, missed["reason"], _place(missed)))


def _count(found: Json) -> str:
    return f"{found['exercised']} of {found['total']}"


def _place(found: Json) -> str:
    return f"{found['file']}:{found['line']}"
