"""Reports to look at, from what the commands found."""

from __future__ import annotations

import datetime as dt
import json
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from meshlab.bench.protocol import Bench
    from meshlab.bench.report.run import Run
    from meshlab.diff.result import Result
    from meshlab.html_report.drawing.graph import Graph
    from meshlab.html_report.report import Block, Report

    Explanations = dict[tuple[str, str], tuple[Block, ...]]

__all__ = ["write_diff_report", "write_reach_report", "write_test_report"]

_MOST_WITH_CHANGES = 5
"""Up to so many failed cases, changes are looked for that would let in those that were refused. Each takes seconds."""


def write_test_report(bench: Bench, run: Run, code: int, file: Path, manifests: Sequence[str]) -> None:
    """Write a run of case files as a report.

    Args:
        bench: The bench of the run. With `condition_probes`, each case is explained.
        run: The run.
        code: The exit code of the command.
        file: The file.
        manifests: What the command was given.

    Raises:
        LabError: The file cannot be written.
        BenchError: The bench itself failed.
    """
    from meshlab.bench.report.json_report import run_as_json
    from meshlab.html_report.of_test import matrices_as_json, report_of_run

    report = report_of_run(
        json.loads(run_as_json(run, code)),
        matrices_as_json(run.case_files),
        _graph(run),
        about=_about("meshlab test", manifests),
        explanations=_explanations(bench, run),
    )
    _write(file, report)


def write_reach_report(
    bench: Bench, document: str, run: Run, code: int, file: Path, manifests: Sequence[str]
) -> None:
    """Write who reaches what as a report.

    Args:
        bench: The bench of the run. With `condition_probes`, each request is explained.
        document: The JSON document of the command.
        run: The run of its requests.
        code: The exit code of the command.
        file: The file.
        manifests: What the command was given.

    Raises:
        LabError: The file cannot be written.
        BenchError: The bench itself failed.
    """
    from meshlab.bench.report.json_report import run_as_json
    from meshlab.html_report.of_reach import report_of_reach

    report = report_of_reach(
        json.loads(document),
        json.loads(run_as_json(run, code)),
        _graph(run),
        about=_about("meshlab reach", manifests),
        explanations={name: said for (_, name), said in _explanations(bench, run).items()},
    )
    _write(file, report)


def write_diff_report(result: Result, code: int, file: Path) -> None:
    """Write a comparison as a report.

    Args:
        result: The comparison.
        code: The exit code of the command.
        file: The file.

    Raises:
        LabError: The file cannot be written.
        BenchError: The changed requests could not be sent once more.
    """
    from meshlab.diff.report.as_json import result_as_json
    from meshlab.html_report.drawing.of_mesh import graph_of
    from meshlab.html_report.of_diff import report_of_diff

    found = json.loads(result_as_json(result, code))
    graph = graph_of(result.mesh) if result.mesh else None
    explanations = _explanations_of_both_sides(result)
    _write(file, report_of_diff(found, graph, about=_about("meshlab diff"), explanations=explanations))


def _explanations_of_both_sides(result: Result) -> list[tuple[Block, ...]]:
    """Return why the first changed requests ended as they did, on both sides."""
    from meshlab.bench.report.progress import Progress
    from meshlab.cli._open import open_bench
    from meshlab.explain.as_json import sides_as_json
    from meshlab.explain.changed_requests import MOST_EXPLAINED, explain_both_sides
    from meshlab.html_report.both_sides import both_sides

    if not result.findings:
        return []
    with open_bench(condition_probes=True) as bench, Progress(sys.stderr, what="requests") as bar:
        bar.began(2 * min(len(result.findings), MOST_EXPLAINED))
        found = explain_both_sides(bench, result, stepped=bar.step)
    return [both_sides(each) for each in sides_as_json(found)]


def _explanations(bench: Bench, run: Run) -> Explanations:
    """Return what each proxy, policy and rule did, by file and name of a case."""
    from meshlab.bench.local_bench import LocalBench, LocalMesh
    from meshlab.explain.as_json import explanations_as_json
    from meshlab.explain.run import explain_outcomes
    from meshlab.html_report.explained import explained

    if not (isinstance(bench, LocalBench) and isinstance(run.loaded, LocalMesh)):
        return {}
    failed = run.having("failed")
    few = failed if len(failed) <= _MOST_WITH_CHANGES else []
    pairs = list(
        explain_outcomes(
            bench, run.loaded, run.case_files, run.outcomes, with_changes=lambda outcome: outcome in few
        )
    )
    document = explanations_as_json([explanation for _, explanation in pairs])
    return {
        (outcome.case.place.file, outcome.case.name): explained(written)
        for (outcome, _), written in zip(pairs, document["explanations"], strict=True)
    }


def _graph(run: Run) -> Graph | None:
    """Return the mesh of a run, with the workloads that its case files declare: policies select them, too."""
    from meshlab.bench.local_bench import LocalMesh
    from meshlab.html_report.drawing.of_mesh import graph_of

    if run.loaded is None:
        return None
    declared = {ref: found for file in run.case_files for ref, found in file.workloads.items()}
    loaded = run.loaded
    return graph_of(loaded.with_workloads(declared) if isinstance(loaded, LocalMesh) else loaded.mesh)


def _write(file: Path, report: Report) -> None:
    from meshlab.html_report.document import document
    from meshlab.html_report.file import write_report

    write_report(file, document(report))


def _about(command: str, manifests: Sequence[str] = ()) -> tuple[str, ...]:
    """Return the command, its manifests and the time."""
    made = dt.datetime.now(dt.UTC).strftime("%d %b %Y %H:%M UTC").lstrip("0")
    return tuple(text for text in (command, ", ".join(manifests), made) if text)
