"""Table of what the bench reads, passes over and refuses; the command and the docs page show it.

The readers read small complete examples, and a recording notes what they know. So the table says what the code does.
"""

from __future__ import annotations

from importlib.resources import files
from typing import TYPE_CHECKING, Literal

from meshlab.istio.model.load import load_mesh
from meshlab.istio.read.object_kinds import NOT_ENFORCED, READ, REFUSED, WITHOUT_TRAFFIC
from meshlab.istio.read.outbound_fields import FIELDS_REFUSED
from meshlab.istio.read.pods import TEMPLATES
from meshlab.istio.read.recording import recorded_fields
from meshlab.manifest import parse_manifests
from meshlab.quick_dataclass import dataclass

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from meshlab.istio.read.recording import KnownMapping, Path, Recording
    from meshlab.manifest import Manifest

__all__ = ["CoverageRow", "complete_examples", "coverage_rows", "field_rows", "markdown_table"]

Disposition = Literal["read", "passed over", "some values refused", "refused", "not enforced"]

_OPERATOR = ("install.istio.io", "IstioOperator")
_MESH_CONFIG = ("spec", "meshConfig")


@dataclass(frozen=True)
class CoverageRow:
    """One line of the table.

    Attributes:
        kind: The kind with its group, such as `VirtualService (networking.istio.io)`.
        field: A field of it, such as `spec.http[].match`; `[]` stands for an element of a list, `*` for a key that the
            user chooses. Empty for the whole kind.
        disposition: How it is treated.
        reason: Why; empty where it is read.
    """

    kind: str
    field: str
    disposition: Disposition
    reason: str = ""


def complete_examples() -> list[Manifest]:
    """Return one of everything that is read, as manifests of one mesh."""
    directory = files("meshlab").joinpath("data/complete")
    return [
        manifest
        for file in sorted(directory.iterdir(), key=lambda entry: entry.name)
        for manifest in parse_manifests(file.read_text(encoding="utf-8"), file.name)
    ]


def coverage_rows() -> list[CoverageRow]:
    """Return the kinds, sorted within each disposition, and then the fields of every kind that is read."""
    elsewhere = "a cluster enforces it outside Envoy"
    without = "it never decides a request"
    return [
        *sorted((CoverageRow(_name(kind), "", "read") for kind in {*READ, _OPERATOR}), key=_order),
        *sorted(
            (CoverageRow(_name(kind), "", "refused", reason) for kind, reason in REFUSED.items()), key=_order
        ),
        *sorted(
            (CoverageRow(_name(kind), "", "not enforced", elsewhere) for kind in NOT_ENFORCED), key=_order
        ),
        *sorted(
            (CoverageRow(_name(kind), "", "passed over", without) for kind in WITHOUT_TRAFFIC), key=_order
        ),
        *field_rows(),
    ]


def field_rows() -> list[CoverageRow]:
    """Return the fields of every kind that is read, as its reader knows them."""
    with recorded_fields() as recording:
        load_mesh(complete_examples())
    found = [
        CoverageRow(kind, field, disposition, reason)
        for kind, mappings in sorted(_by_kind(recording).items())
        for path, known in sorted(mappings.items())
        for field, disposition, reason in _fields(path, known, mappings)
    ]
    return [_with_refused_values(row) for row in found]


def markdown_table(rows: list[CoverageRow]) -> str:
    """Return the rows as Markdown: the kinds, then a table of fields for each kind."""
    lines = ["| kind | | reason |", "|---|---|---|"]
    lines += [f"| {row.kind} | {row.disposition} | {_cell(row.reason)} |" for row in rows if not row.field]
    for kind in dict.fromkeys(row.kind for row in rows if row.field):
        lines += ["", f"### {kind}", "", "| at | fields | | reason |", "|---|---|---|---|"]
        for (place, disposition, reason), names in grouped(rows, kind).items():
            fields = ", ".join(f"`{name}`" for name in names)
            at = f"`{place}`" if place else "top"
            lines.append(f"| {at} | {fields} | {disposition} | {_cell(reason)} |")
    return "\n".join(lines) + "\n"


def grouped(rows: list[CoverageRow], kind: str) -> dict[tuple[str, Disposition, str], list[str]]:
    """Return the names of a kind's fields by place, disposition and reason."""
    found: dict[tuple[str, Disposition, str], list[str]] = {}
    for row in rows:
        if row.kind == kind and row.field:
            place, name = _parted(row.field)
            found.setdefault((place, row.disposition, row.reason), []).append(name)
    return found


def _with_refused_values(row: CoverageRow) -> CoverageRow:
    if row.disposition != "read":
        return row
    for kind, fields in FIELDS_REFUSED.items():
        for field, reason in fields.items():
            if row.kind == _name(kind) and row.field == f"spec.{field}":
                return CoverageRow(row.kind, row.field, "some values refused", reason)
    return row


def _by_kind(recording: Recording) -> dict[str, dict[Path, KnownMapping]]:
    """Return the mappings by the name of their kind; a MeshConfig stands for itself wherever it is written."""
    found: dict[str, dict[Path, KnownMapping]] = {}
    for kind, mappings in recording.mappings.items():
        for path, known in mappings.items():
            if kind == _OPERATOR and path[:2] == _MESH_CONFIG:
                found.setdefault("MeshConfig", {})[path[2:]] = known
            else:
                found.setdefault(_name(kind), {})[path] = known
    return found


def _fields(
    path: Path, known: KnownMapping, mappings: Mapping[Path, KnownMapping]
) -> Iterator[tuple[str, Disposition, str]]:
    if path in ((), ("metadata",)) and "metadata" in {*known.known, "metadata" if path else ""}:
        return  # what every object has around its spec
    for key in known.keys:
        yield _dotted((*path, key)), "read", ""
    if known.free:
        return
    for name in known.known:
        if name not in known.refused and not _has_fields((*path, name), mappings):
            yield _dotted((*path, name)), "read", ""
    for disposition, reasons in (("passed over", known.passed_over), ("refused", known.refused)):
        for name, reason in reasons.items():
            yield _dotted((*path, name)), disposition, reason  # type: ignore[misc]


def _has_fields(path: Path, mappings: Mapping[Path, KnownMapping]) -> bool:
    """Return whether the table has rows for what is below a path."""
    below = mappings.get(path)
    if below and below.free:
        return any(other[: len(path)] == path and len(other) > len(path) for other in mappings)
    return below is not None or (*path, "[]") in mappings


def _dotted(path: Path) -> str:
    # A label has dots itself, so it is quoted.
    parts = (part if part == "[]" else f'."{part}"' if "." in part else f".{part}" for part in path)
    return "".join(parts).removeprefix(".")


def _parted(field: str) -> tuple[str, str]:
    if field.endswith('"'):
        place, _, name = field[:-1].rpartition('."')
        return place, name
    place, _, name = field.rpartition(".")
    return place, name


def _name(kind: tuple[str, str]) -> str:
    group, name = kind
    if kind in TEMPLATES and kind != ("apps", "Deployment"):
        return f"{name} ({group}), as Deployment" if group else f"{name}, as Deployment"
    return f"{name} ({group})" if group else name


def _order(row: CoverageRow) -> tuple[str, str]:
    return row.kind, row.field


def _cell(text: str) -> str:
    return text.replace("|", "\\|")
