"""A run of case files as a report."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from meshlab.html_report.drawing.request_lines import with_ways
from meshlab.html_report.of_case import cell_text, entry_of, outcome_text, way_of
from meshlab.html_report.of_coverage import coverage_section
from meshlab.html_report.report import TONES, Block, Cell, Count, Report, Row, Section, Table

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from meshlab.bench.case import CaseFile, Matrix
    from meshlab.html_report.drawing.graph import Graph

    Json = Mapping[str, Any]
    Key = tuple[str, str]

__all__ = ["headline", "matrices_as_json", "report_of_run"]

_STATES = ("failed", "error", "not_judged", "seen", "passed")


def matrices_as_json(case_files: Iterable[CaseFile]) -> list[dict[str, Any]]:
    """Return the tables of case files.

    Each has `name`, `file`, `rows`, `columns`, and `cells`: lists of a row, a column and the name of a case.
    """
    return [_matrix(str(found.path), matrix) for found in case_files for matrix in found.matrices]


def _matrix(file: str, matrix: Matrix) -> dict[str, Any]:
    cells = [[row, column, case] for (row, column), case in matrix.cells.items()]
    return {
        "name": matrix.name,
        "file": file,
        "rows": list(matrix.rows),
        "columns": list(matrix.columns),
        "cells": cells,
    }


def report_of_run(
    run: Json,
    matrices: Sequence[Json] = (),
    graph: Graph | None = None,
    *,
    about: Sequence[str] = (),
    explanations: Mapping[tuple[str, str], Sequence[Block]] | None = None,
) -> Report:
    """Return a run as a report.

    Args:
        run: The JSON document of `bench.report.json_report`.
        matrices: The tables of its case files, as `matrices_as_json` returns them.
        graph: The mesh.
        about: The command, its inputs and its time, in short texts.
        explanations: File and name of a case to what an explanation says of it.
    """
    cases = run["cases"]
    found = explanations or {}
    entries = [entry_of(case, found.get((case["file"], case["name"]), ())) for case in cases]
    counts = tuple(Count(state, run["counts"][state]) for state in _STATES if run["counts"].get(state))
    lasted = f"{run['duration_s']:.1f} s"
    left_out = [f"{run['counts']['left_out']} left out"] if run["counts"].get("left_out") else []
    return Report(
        title=headline(counts, len(cases)),
        tone=counts[0].tone if counts else "not_judged",
        subtitle=(*about, lasted, *left_out),
        counts=counts,
        entries=tuple(entries),
        sections=tuple(_sections(cases, matrices)),
        graph=with_ways(graph, map(way_of, cases)) if graph else None,
        further=(coverage_section(run["coverage"]),) if run.get("coverage") else (),
        remarks=(
            ("Not understood in the manifests", tuple(run.get("refusals", ()))),
            ("Notes", tuple(run.get("notes", ()))),
        ),
    )


def headline(counts: Sequence[Count], total: int) -> str:
    """Return the result of a run in one sentence: its worst state."""
    if not counts:
        return "No case was run"
    worst = counts[0]
    if worst.tone in ("passed", "seen"):
        every = "The only case" if total == 1 else f"All {total} cases"
        if worst.tone == "passed":
            return f"{every} passed"
        return "1 request was sent" if total == 1 else f"{total} requests were sent"
    return f"{worst.count} of {total} case{'' if total == 1 else 's'} {_verb(worst)}"


def _verb(count: Count) -> str:
    if count.tone == "not_judged":
        return "was not judged" if count.count == 1 else "were not judged"
    return TONES[count.tone].word


def _sections(cases: Sequence[Json], matrices: Sequence[Json]) -> Iterator[Section]:
    """Yield a section for each file: its matrices, then the cases that stand in none."""
    by_file: dict[str, dict[str, int]] = {}
    for number, case in enumerate(cases):
        by_file.setdefault(case["file"], {})[case["name"]] = number
    for file, numbers in by_file.items():
        own = [matrix for matrix in matrices if matrix["file"] == file]
        tables = [_table(matrix, numbers, cases) for matrix in own]
        inside = {name for matrix in own for _, _, name in matrix["cells"]}
        others = [number for name, number in numbers.items() if name not in inside]
        if others:
            tables.append(_list(others, cases))
        yield Section(file, tuple(table for table in tables if table.rows))


def _table(matrix: Json, numbers: Mapping[str, int], cases: Sequence[Json]) -> Table:
    places: dict[Key, int] = {
        (row, column): numbers[name] for row, column, name in matrix["cells"] if name in numbers
    }
    rows = [row for row in matrix["rows"] if any(place[0] == row for place in places)]
    columns = [column for column in matrix["columns"] if any(place[1] == column for place in places)]

    def cell(key: Key) -> Cell | None:
        return Cell(places[key], cell_text(cases[places[key]])) if key in places else None

    return Table(
        matrix["name"],
        "",
        tuple(columns),
        tuple(Row(row, tuple(cell((row, column)) for column in columns)) for row in rows),
    )


def _list(numbers: Sequence[int], cases: Sequence[Json]) -> Table:
    rows = []
    for number in numbers:
        case = cases[number]
        verdict = Cell(number, TONES[case["state"]].word)
        rows.append(Row(case["name"], (verdict, case["request"], outcome_text(case))))
    return Table("Cases", "case", ("request", "outcome"), tuple(rows), listed=True)
