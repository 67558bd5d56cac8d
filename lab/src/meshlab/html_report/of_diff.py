"""A comparison of two meshes as a report.

It reads the JSON document that `diff.report.as_json` describes. Explanations of both sides come beside it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from meshlab.html_report.drawing.request_lines import Way, with_ways
from meshlab.html_report.of_case import sender_node
from meshlab.html_report.report import Block, Cell, Count, Entry, Fact, Report, Row, Section, Step, Table

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from meshlab.html_report.drawing.graph import Graph

    Json = Mapping[str, Any]

__all__ = ["report_of_diff"]

_TONES = {"now allowed": "opened", "now refused": "closed"}
_ORDER = ("opened", "closed", "changed", "error", "not_judged")
_PARTS = ("ending", "answerer", "policy", "reason")
_NOTHING = "–"  # noqa: RUF001 - a dash for nothing


def report_of_diff(
    found: Json,
    graph: Graph | None = None,
    *,
    about: Sequence[str] = (),
    explanations: Sequence[Sequence[Block]] = (),
) -> Report:
    """Return a comparison as a report.

    Args:
        found: The JSON document.
        graph: The new mesh.
        about: The command and its time, in short texts.
        explanations: What explanations say of the first differences, in their order. The others have none.
    """
    objects = found.get("objects", ())
    differing, unknown = list(found["differences"]), list(found["not_known"])
    said = [*explanations, *_not_explained(len(explanations), len(differing)), *((),) * len(unknown)]
    entries = [_entry(each, objects, parts) for each, parts in zip((*differing, *unknown), said, strict=True)]
    tones = [entry.tone for entry in entries]
    counts = tuple(Count(tone, tones.count(tone)) for tone in _ORDER if tone in tones)
    compared = found["counts"]["compared"]
    return Report(
        title=_headline(found),
        tone=counts[0].tone if counts else "passed",
        subtitle=(
            *about,
            f"{found['old']} → {found['new']}",
            f"{compared} request{'' if compared == 1 else 's'} compared",
            *_bound(len(explanations), len(differing)),
            f"{found['duration_s']:.1f} s",
        ),
        counts=counts,
        entries=tuple(entries),
        sections=tuple(_sections(differing, unknown)),
        graph=with_ways(graph, map(_way, differing)) if graph else None,
        unit="requests",
        remarks=(
            ("What differs in the manifests", tuple(map(_object_text, objects))),
            ("Not covered", tuple(found.get("not_covered", ()))),
            ("Neither side has the sender or the target", tuple(found.get("nowhere", ()))),
            ("Decided by chance on both sides", tuple(found.get("by_chance", ()))),
            ("Notes", tuple(found.get("notes", ()))),
        ),
    )


def _headline(found: Json) -> str:
    """Return the gravest kind of change in a sentence."""
    if found.get("same_configuration"):
        return "Nothing changes: every proxy is configured alike"
    kinds = [each["kind"] for each in found["differences"]]
    if kinds:
        count = kinds.count(kinds[0])
        more = f", and {len(kinds) - count} more changed" if len(kinds) > count else ""
        return f"{count} request{' is' if count == 1 else 's are'} {kinds[0]}{more}"
    unknown = len(found["not_known"])
    if unknown:
        return f"What changed is not known for {unknown} request{'' if unknown == 1 else 's'}"
    return "Nothing changes"


def _bound(explained: int, changed: int) -> list[str]:
    """Return in a sentence how many changes are explained, where not all are."""
    return [f"the first {explained} of {changed} changes are explained"] if 0 < explained < changed else []


def _not_explained(explained: int, changed: int) -> list[Sequence[Block]]:
    """Return what the panels of the changes say that are not explained."""
    bound = _bound(explained, changed)
    line = f"Only {', '.join(bound)}; meshlab explain does it for any request."
    parts = (Block("step by step", lines=(line,)),) if bound else ()
    return [parts] * (changed - explained)


def _entry(each: Json, objects: Sequence[Json], explanation: Sequence[Block] = ()) -> Entry:
    old, new = each["old"], each["new"]
    asked = [
        ("from", each["caller"]),
        ("to", each["target"]),
        ("request", each["request"]),
    ]
    if each.get("chance"):
        asked.append(("by chance", each["chance"]))
    parts = (
        Block(facts=tuple(Fact(label, str(value)) for label, value in asked)),
        Block("before and now", heads=("before", "now"), rows=tuple(_compared(old, new))),
        Block("what changed", lines=tuple(map(str, each.get("details", ())))),
        Block("because of", steps=tuple(_object(objects[number]) for number in each.get("because", ()))),
        *explanation,
        Block("not known", lines=tuple(map(str, (*old.get("unknown", ()), *new.get("unknown", ()))))),
    )
    return Entry(
        str(each["name"]),
        _tone(each),
        blocks=tuple(part for part in parts if part.facts or part.rows or part.lines or part.steps),
        nodes=_way(each).nodes,
        words=f"{each['caller']} {each['target']} {each['request']} {old['summary']} {new['summary']}",
    )


def _tone(each: Json) -> str:
    if "kind" not in each:
        return "error" if each.get("failed") else "not_judged"
    return _TONES.get(each["kind"], "changed")


def _compared(old: Json, new: Json) -> Iterator[tuple[str, str, str, bool]]:
    for part in _PARTS:
        was, now = _written(part, old), _written(part, new)
        if was or now:
            yield part, was or _NOTHING, now or _NOTHING, was == now
    was, now = _mtls(old), _mtls(new)
    if was != now:
        yield "mTLS", was or _NOTHING, now or _NOTHING, False


def _written(part: str, effect: Json) -> str:
    value = str(effect.get(part) or "")
    return "no ALLOW policy matched" if part == "policy" and value == "none" else value


def _mtls(effect: Json) -> str:
    peers = effect.get("mtls", ())
    return ", ".join(f"{peer['receiver']} saw {peer['identity'] or 'no certificate'}" for peer in peers)


def _object(changed: Json) -> Step:
    places = dict.fromkeys(place for place in (changed.get("old_place"), changed.get("new_place")) if place)
    facts = [Fact("at", " → ".join(places))] if places else []
    facts += [
        Fact("field", f"{field['path']}: {_value(field.get('old'))} → {_value(field.get('new'))}")
        for field in changed.get("fields", ())
    ]
    return Step(f"{changed['what']} {changed['object']}", "changed", tuple(facts))


def _object_text(changed: Json) -> str:
    place = changed.get("new_place") or changed.get("old_place")
    fields = ", ".join(str(field["path"]) for field in changed.get("fields", ()))
    more = f": {fields}" if fields else ""
    return f"{changed['what']} {changed['object']}{f' ({place})' if place else ''}{more}"


def _value(value: object) -> str:
    return "absent" if value is None else str(value)


def _sections(differing: Sequence[Json], unknown: Sequence[Json]) -> Iterator[Section]:
    kinds = dict.fromkeys(each["kind"] for each in differing)
    numbered = list(enumerate((*differing, *unknown)))
    tables = [_list(kind, [pair for pair in numbered if pair[1].get("kind") == kind]) for kind in kinds]
    if unknown:
        tables.append(_list("not known", numbered[len(differing) :]))
    if tables:
        yield Section("Requests that end otherwise", tuple(tables))


def _list(kind: str, numbered: Sequence[tuple[int, Json]]) -> Table:
    rows = [
        Row(
            each["caller"],
            (
                Cell(number, kind if "kind" in each else "failed" if each.get("failed") else "not judged"),
                each["target"],
                each["request_class"],
                each["old"]["summary"],
                each["new"]["summary"],
            ),
        )
        for number, each in numbered
    ]
    return Table(kind, "from", ("to", "request", "before", "now"), tuple(rows), listed=True)


def _way(each: Json) -> Way:
    """Return the way of a request in the new mesh."""
    new, sender = each["new"], each.get("from") or {}
    answerer = str(new.get("answerer") or "")
    nodes = [sender_node(sender), *map(str, new.get("way", ())), answerer]
    return Way(
        tuple(dict.fromkeys(name for name in nodes if name)),
        ended=bool(answerer) and not new.get("unknown"),
        stopped="" if new.get("allowed") else answerer,
        bypasses="bypass" in sender,
    )
