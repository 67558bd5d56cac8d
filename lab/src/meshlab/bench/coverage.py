"""What of Istio and Kubernetes the bench reads, passes over and refuses; the command and the docs page show it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from meshlab.istio.read.kinds import NOT_ENFORCED, READ, REFUSED, WITHOUT_TRAFFIC
from meshlab.istio.read.outbound_fields import FIELDS_PASSED_OVER, FIELDS_REFUSED

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

__all__ = ["CoverageRow", "coverage_rows"]


@dataclass(frozen=True)
class CoverageRow:
    """One line of the table.

    Attributes:
        kind: The kind with its group, such as `VirtualService (networking.istio.io)`.
        field: A field of it; empty for the whole kind.
        disposition: `read`, `refused`, `not enforced` or `passed over`.
        reason: Why; empty where it is read.
    """

    kind: str
    field: str
    disposition: str
    reason: str = ""


def coverage_rows() -> list[CoverageRow]:
    """Return the table, sorted within each disposition."""
    refused = [CoverageRow(_name(kind), "", "refused", reason) for kind, reason in REFUSED.items()]
    refused += _fields(FIELDS_REFUSED, "refused")
    elsewhere = [
        CoverageRow(_name(kind), "", "not enforced", "a cluster enforces it outside Envoy")
        for kind in NOT_ENFORCED
    ]
    return [
        *sorted((CoverageRow(_name(kind), "", "read") for kind in READ), key=_order),
        *sorted(refused, key=_order),
        *sorted(elsewhere, key=_order),
        *sorted(
            [
                *(
                    CoverageRow(_name(kind), "", "passed over", "it never decides a request")
                    for kind in WITHOUT_TRAFFIC
                ),
                *_fields(FIELDS_PASSED_OVER, "passed over"),
            ],
            key=_order,
        ),
    ]


def _fields(table: Mapping[tuple[str, str], Mapping[str, str]], disposition: str) -> Iterator[CoverageRow]:
    for kind, fields in table.items():
        for field, reason in fields.items():
            yield CoverageRow(_name(kind), field, disposition, reason.removesuffix("."))


def _name(kind: tuple[str, str]) -> str:
    group, name = kind
    return f"{name} ({group})" if group else name


def _order(row: CoverageRow) -> tuple[str, str]:
    return row.kind, row.field
