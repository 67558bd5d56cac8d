"""Reports to look at, from what the commands found."""

from __future__ import annotations

import datetime as dt
import json
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from meshlab.bench.report.run import Run
    from meshlab.diff.result import Result
    from meshlab.istio import Mesh
    from meshlab.page.drawing.graph import Graph
    from meshlab.page.report import Report

__all__ = ["write_diff_page", "write_reach_page", "write_test_page"]


def write_test_page(run: Run, code: int, file: Path, manifests: Sequence[str]) -> None:
    """Write a run of case files as a report.

    Raises:
        LabError: The file cannot be written.
    """
    from meshlab.bench.report.json_report import run_as_json
    from meshlab.page.of_test import matrices_as_json, report_of_run

    found = json.loads(run_as_json(run, code))
    about = _about("meshlab test", manifests)
    _write(file, report_of_run(found, matrices_as_json(run.case_files), _graph(run.mesh), about=about))


def write_reach_page(document: str, run: Run, code: int, file: Path, manifests: Sequence[str]) -> None:
    """Write who reaches what as a report.

    Args:
        document: The JSON document.
        run: The run of its requests.
        code: The exit code of the command.
        file: The file.
        manifests: What the command was given.

    Raises:
        LabError: The file cannot be written.
    """
    from meshlab.bench.report.json_report import run_as_json
    from meshlab.page.of_reach import report_of_reach

    sent = json.loads(run_as_json(run, code))
    about = _about("meshlab reach", manifests)
    _write(file, report_of_reach(json.loads(document), sent, _graph(run.mesh), about=about))


def write_diff_page(result: Result, code: int, file: Path) -> None:
    """Write a comparison as a report.

    Raises:
        LabError: The file cannot be written.
    """
    from meshlab.diff.report.as_json import result_as_json
    from meshlab.page.of_diff import report_of_diff

    found = json.loads(result_as_json(result, code))
    _write(file, report_of_diff(found, _graph(result.mesh), about=_about("meshlab diff")))


def _graph(mesh: Mesh | None) -> Graph | None:
    from meshlab.page.drawing.of_mesh import graph_of

    return graph_of(mesh) if mesh else None


def _write(file: Path, report: Report) -> None:
    from meshlab.page.document import document
    from meshlab.page.file import write_report

    write_report(file, document(report))


def _about(command: str, manifests: Sequence[str] = ()) -> tuple[str, ...]:
    """Return the command, its manifests and the time."""
    made = dt.datetime.now(dt.UTC).strftime("%d %b %Y %H:%M UTC").lstrip("0")
    return tuple(text for text in (command, ", ".join(manifests), made) if text)
