"""One run of case files whose coverage is recorded."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from meshlab.bench.case_coverage.recorder import CoverageRecorder
from meshlab.bench.local_bench import LocalMesh
from meshlab.bench.session import run_cases

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from meshlab.bench.case import CaseFile
    from meshlab.bench.protocol import LoadedMesh
    from meshlab.bench.report.run import Run
    from meshlab.bench.session import Choice
    from meshlab.bench.verdicts.verdict import Outcome

__all__ = ["run_with_coverage"]


def run_with_coverage(
    mesh: LoadedMesh,
    case_files: Sequence[CaseFile],
    choice: Choice,
    *,
    began: Callable[[int], None] = lambda _count: None,
    happened: Callable[[Outcome], None] = lambda _outcome: None,
) -> Run:
    """Run the cases of these files and record what they exercise; the arguments are those of `run_cases`.

    Args:
        mesh: The mesh, of a bench with probes of conditions.
        case_files: The files.
        choice: Which of their cases, and how.
        began: Called with the number of cases, before the first.
        happened: Called with each outcome, as soon as it is known.
    """
    if not isinstance(mesh, LocalMesh):
        raise TypeError("coverage needs the manifests of a real mesh")
    recorder = CoverageRecorder()

    def take(outcome: Outcome) -> None:
        recorder.happened(outcome)
        happened(outcome)

    run = run_cases(mesh, case_files, choice, began=began, started=recorder.started, happened=take)
    return replace(run, coverage=recorder.coverage(mesh.mesh))
