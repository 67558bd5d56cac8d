"""Who reaches what as a report.

It reads the JSON document that `reach.as_json` describes, and the document of the run in which the requests were sent,
whose cases have the same names.
"""

from __future__ import annotations

from itertools import product
from typing import TYPE_CHECKING, Any

from meshlab.html_report.drawing.request_lines import with_ways
from meshlab.html_report.of_case import blocks_of, way_of
from meshlab.html_report.report import TONES, Block, Cell, Count, Entry, Fact, Report, Row, Section, Table

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from meshlab.html_report.drawing.graph import Graph

    Json = Mapping[str, Any]

__all__ = ["report_of_reach"]

_ORDER = ("allowed", "refused", "not_judged", "error")
_SHOWN = 3
"""How many names of a group stand in a heading; a click shows all."""


def report_of_reach(
    found: Json,
    run: Json,
    graph: Graph | None = None,
    *,
    about: Sequence[str] = (),
    explanations: Mapping[str, Sequence[Block]] | None = None,
) -> Report:
    """Return who reaches what as a report.

    Args:
        found: The JSON document of `reach`.
        run: The JSON document of the run of its requests.
        graph: The mesh.
        about: The command, its inputs and its time, in short texts.
        explanations: The name of a request to what an explanation says of it.
    """
    asked = [(target, question) for target in found["targets"] for question in target["questions"]]
    cases = {case["name"]: case for case in run["cases"]}
    said = explanations or {}
    entries = [
        _entry(target, question, cases.get(question["name"]), said.get(question["name"], ()))
        for target, question in asked
    ]
    numbers = {
        (target["target"], question["name"]): number for number, (target, question) in enumerate(asked)
    }
    tones = [entry.tone for entry in entries]
    counts = tuple(Count(tone, tones.count(tone)) for tone in _ORDER if tone in tones)
    return Report(
        title=f"{tones.count('allowed')} of {len(tones)} requests get in",
        tone="seen",
        subtitle=(*about, f"{len(found['targets'])} targets", f"{run['duration_s']:.1f} s"),
        counts=counts,
        entries=tuple(entries),
        sections=tuple(_section(target, numbers) for target in found["targets"]),
        graph=with_ways(graph, map(way_of, cases.values())) if graph else None,
        unit="groups of requests",
        remarks=(
            ("Not covered", tuple(found.get("not_covered", ()))),
            ("Not understood in the manifests", tuple(found.get("refusals", ()))),
            ("Notes", tuple(found.get("notes", ()))),
        ),
    )


def _entry(target: Json, question: Json, case: Json | None, explanation: Sequence[Block]) -> Entry:
    facts = [Fact("caller", question["caller"])]
    facts += [Fact("alike", ", ".join(question["also"]))] if question.get("also") else []
    facts.append(Fact("for", target["target"]))
    if case is None:
        facts.append(Fact("outcome", _outcome(question)))
    return Entry(
        f"{question['caller']}: {question['request']}",
        _tone(question),
        blocks=(Block(facts=tuple(facts)), *(blocks_of(case, explanation) if case else ())),
        nodes=way_of(case).nodes if case else (),
        words=f"{target['target']} {' '.join(question.get('also', ()))} {_outcome(question)}",
    )


def _tone(question: Json) -> str:
    return str(question["access"]).replace(" ", "_")


def _outcome(question: Json) -> str:
    who = f" by {question['by']}" if question.get("by") else ""
    why = f": {question['reason']}" if question.get("reason") else ""
    return f"{question['word']}{who}{why}"


def _section(target: Json, numbers: Mapping[tuple[str, str], int]) -> Section:
    callers = len(target["reached_by"])
    reached = "no caller" if not callers else f"{callers} caller{'' if callers == 1 else 's'}"
    return Section(
        f"{target['target']}, reached by {reached}",
        tuple(_table(target, block, numbers) for block in target["blocks"]),
    )


def _table(target: Json, block: Json, numbers: Mapping[tuple[str, str], int]) -> Table:
    title = block["title"]
    cells: dict[tuple[str, str], Json] = {}
    for question in target["questions"]:
        if question["block"] == title:
            cells.setdefault((question["caller"], question["request"]), question)

    def cell(row: Sequence[str], column: Sequence[str]) -> Cell | None:
        question = next((cells[key] for key in product(row, column) if key in cells), None)
        if question is None:
            return None
        return Cell(numbers[target["target"], question["name"]], _cell_text(question))

    return Table(
        title,
        "caller",
        tuple(_named(column) for column in block["columns"]),
        tuple(
            Row(
                _named(_short(title, caller) for caller in row),
                tuple(cell(row, column) for column in block["columns"]),
            )
            for row in block["rows"]
        ),
    )


def _cell_text(question: Json) -> str:
    word = TONES[_tone(question)].word
    if question["access"] in ("not judged", "error"):
        return word
    elsewhere = f" at {question['by']}" if question.get("elsewhere") else ""
    ending = f" {question['word']}" if question["word"] != word else ""
    return f"{word}{ending}{elsewhere}"


def _short(title: str, caller: str) -> str:
    """Return the name of a caller without what the title of its table says."""
    rest = caller.replace(" past its sidecar", "", 1).removeprefix(title).removeprefix(", ")
    return rest or "no token"


def _named(names: Iterable[str]) -> str:
    found = list(names)
    if len(found) == 1:
        return found[0]
    left_out = len(found) - _SHOWN + 1
    shown = found if left_out <= 1 else [*found[: _SHOWN - 1], f"and {left_out} more"]
    return "\n".join(f"· {name}" for name in shown)
