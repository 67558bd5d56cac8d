"""Reports to look at, from what the commands found."""

from __future__ import annotations

import datetime as dt
import json
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from meshlab.bench.protocol import Sources
    from meshlab.bench.report.run import Run

__all__ = ["write_test_page"]


def write_test_page(run: Run, code: int, file: Path, given: Sources) -> None:
    """Write a run of case files as a report.

    Raises:
        LabError: The file cannot be written.
    """
    from meshlab.bench.report.json_report import run_as_json
    from meshlab.page.document import document
    from meshlab.page.drawing.of_mesh import graph_of
    from meshlab.page.file import write_report
    from meshlab.page.of_test import matrices_as_json, report_of_run

    report = report_of_run(
        json.loads(run_as_json(run, code)),
        matrices_as_json(run.case_files),
        graph_of(run.mesh) if run.mesh else None,
        about=_about("meshlab test", given),
    )
    write_report(file, document(report))


def _about(command: str, given: Sources) -> tuple[str, ...]:
    """Return the command, its manifests and the time."""
    made = dt.datetime.now(dt.UTC).strftime("%d %b %Y %H:%M UTC").lstrip("0")
    return command, ", ".join(given.paths), made
