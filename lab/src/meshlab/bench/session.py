"""One run of case files on a mesh: check names, choose cases, start what they touch, collect the outcomes."""

from __future__ import annotations

import time
from contextlib import closing
from dataclasses import replace
from typing import TYPE_CHECKING

from meshlab.bench.case import CasePlace, Mention
from meshlab.bench.case_file import CaseFileError, CaseProblem, check_against
from meshlab.bench.protocol import Setup
from meshlab.bench.report.run import Run
from meshlab.bench.selection import select
from meshlab.quick_dataclass import dataclass

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Sequence

    from meshlab.bench.case import AppSpec, Case, CaseFile
    from meshlab.bench.protocol import Engine, LoadedMesh
    from meshlab.bench.verdicts.verdict import Outcome

__all__ = ["Choice", "by_setup", "check_names", "run_cases", "setup_of", "with_apps"]


@dataclass(frozen=True)
class Choice:
    """Which cases to run, and how.

    Attributes:
        expression: As `-k`; empty for all.
        stop_at_first: Stop after the first case that fails.
        jobs: How many cases may be under way at once; 0 for the engine's own choice.
    """

    expression: str = ""
    stop_at_first: bool = False
    jobs: int = 0


_REFUSALS_SHOWN = 5


def run_cases(
    mesh: LoadedMesh,
    case_files: Sequence[CaseFile],
    choice: Choice,
    *,
    began: Callable[[int], None] = lambda _count: None,
    started: Callable[[Engine], None] = lambda _engine: None,
    happened: Callable[[Outcome], None] = lambda _outcome: None,
) -> Run:
    """Run the cases of these files.

    Args:
        mesh: The mesh.
        case_files: The files.
        choice: Which of their cases, and how.
        began: Called with the number of cases, before the first.
        started: Called with each engine; outcomes that are known before the next one are of it.
        happened: Called with each outcome, as soon as it is known.

    Returns:
        The run, with outcomes in the order of the cases.

    Raises:
        CaseFileError: A file names what the mesh does not have; holds the problems of all files.
        SelectionError: The expression cannot be read, or selects no case.
        BenchError: The bench itself failed.
    """
    began_at = time.monotonic()
    check_names(mesh, case_files)
    every = [case for case_file in case_files for case in case_file.cases]
    chosen = select(every, choice.expression) if choice.expression else every
    began(len(chosen))
    outcomes: list[Outcome] = []
    # Closed at once, not by the garbage collector: what was started ends here even after `-x`.
    with closing(_outcomes(mesh, case_files, chosen, choice.jobs, started)) as arriving:
        for outcome in arriving:
            outcomes.append(outcome)
            happened(outcome)
            if choice.stop_at_first and outcome.state in ("failed", "error"):
                break
    order = {(case.place.file, case.name): index for index, case in enumerate(every)}
    outcomes.sort(key=lambda outcome: order[outcome.case.place.file, outcome.case.name])
    return Run(
        case_files=case_files,
        outcomes=outcomes,
        left_out=len(every) - len(outcomes),
        refusals=mesh.refusals,
        notes=mesh.notes,
        files=mesh.files,
        duration_s=time.monotonic() - began_at,
        loaded=mesh,
    )


def with_apps(case_file: CaseFile, apps: Sequence[AppSpec]) -> CaseFile:
    """Return a case file whose applications are replaced by those of the command line."""
    if not apps:
        return case_file
    named = {app.target: app for app in (*case_file.apps, *apps)}
    mentions = (Mention("app", app.target, CasePlace("--app", 1, app.target)) for app in apps)
    return replace(case_file, apps=tuple(named.values()), mentions=(*case_file.mentions, *mentions))


def check_names(mesh: LoadedMesh, case_files: Sequence[CaseFile]) -> None:
    """Check that the mesh holds what the files name.

    Raises:
        CaseFileError: It does not; holds the problems of all files.
    """
    problems: list[CaseProblem] = []
    for case_file in case_files:
        try:
            check_against(case_file, mesh.names)
        except CaseFileError as error:
            problems += error.problems
    if problems and (lost := _unread(mesh.refusals)):
        # A workload that is not there may stand in what was refused.
        said = problems[0].message
        ended = said if said.endswith("?") else f"{said}."
        problems = [replace(problems[0], message=f"{ended} {lost}"), *problems[1:]]
    if problems:
        raise CaseFileError(problems)


def setup_of(case_file: CaseFile) -> Setup:
    """Return what the cases of a file need around them."""
    return Setup(
        case_file.workloads,
        case_file.apps,
        case_file.authorizers,
        case_file.authorities,
        case_file.addresses,
    )


def _unread(refusals: Sequence[str]) -> str:
    """Return what of the manifests was refused, in a sentence; empty where nothing was."""
    if not refusals:
        return ""
    shown = "; ".join(text.rstrip(".") for text in refusals[:_REFUSALS_SHOWN])
    more = f" and {len(refusals) - _REFUSALS_SHOWN} more" if len(refusals) > _REFUSALS_SHOWN else ""
    return f"It may be in what was refused of the manifests: {shown}{more}"


def _outcomes(
    mesh: LoadedMesh,
    case_files: Sequence[CaseFile],
    chosen: Sequence[Case],
    jobs: int,
    started: Callable[[Engine], None],
) -> Generator[Outcome]:
    """Yield the outcomes; files that need the same around them share one start of the mesh."""
    for setup, files in by_setup(case_files):
        cases = [case for case in chosen if case.place.file in files]
        if cases:
            with mesh.start(setup, cases, jobs=jobs) as engine:
                started(engine)
                yield from engine.run(cases)


def by_setup(case_files: Sequence[CaseFile]) -> list[tuple[Setup, set[str]]]:
    """Return the setups of the files, each with the paths of its files."""
    found: list[tuple[Setup, set[str]]] = []
    for case_file in case_files:
        setup = setup_of(case_file)
        files = next((files for known, files in found if known == setup), None)
        if files is None:
            found.append((setup, {str(case_file.path)}))
        else:
            files.add(str(case_file.path))
    return found
