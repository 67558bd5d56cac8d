"""Run of cases for explanations."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from meshlab.bench.selection import select
from meshlab.bench.session import by_setup, check_names
from meshlab.explain.explained_outcome import explain
from meshlab.explain.tried_changes import suggested_changes

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from meshlab.bench.case import Case, CaseFile
    from meshlab.bench.local_bench import LocalBench, LocalMesh
    from meshlab.bench.verdicts.verdict import Outcome
    from meshlab.explain.explanation import Explanation

__all__ = ["cases_of", "explain_cases", "explain_outcomes"]


def cases_of(case_files: Sequence[CaseFile], expression: str = "") -> list[Case]:
    """Return the cases that an expression selects, as `-k` does; all without one.

    Raises:
        SelectionError: The expression cannot be read, or selects no case.
    """
    every = [case for case_file in case_files for case in case_file.cases]
    return select(every, expression) if expression else every


def explain_cases(
    bench: LocalBench,
    loaded: LocalMesh,
    case_files: Sequence[CaseFile],
    chosen: Sequence[Case],
    *,
    with_changes: bool = True,
    with_widening: bool = True,
) -> Iterator[Explanation]:
    """Send the cases and yield the explanation of each.

    Args:
        bench: A bench with `condition_probes`.
        loaded: The mesh.
        case_files: The files.
        chosen: Which of their cases, see `cases_of`.
        with_changes: Whether changes are looked for that would let refused requests in.
        with_widening: Whether it is found out what else a change of manifests would let in.

    Raises:
        CaseFileError: A file names what the mesh does not have.
        BenchError: The bench itself failed.
    """
    check_names(loaded, case_files)
    for setup, files in by_setup(case_files):
        cases = [case for case in chosen if case.place.file in files]
        if not cases:
            continue
        with bench.running(loaded, setup, cases, 0) as engine:
            outcomes = list(engine.run(cases))
            mesh, under_test = engine.mesh, engine.under_test
        for outcome in outcomes:
            found = explain(outcome, mesh, under_test)
            refused = found.decision is not None and not found.decision.allowed
            if with_changes and refused and not found.doubts:
                changes = suggested_changes(
                    bench, loaded, setup, outcome, mesh, under_test, with_widening=with_widening
                )
                found = replace(found, changes=changes)
            yield found


def explain_outcomes(
    bench: LocalBench,
    loaded: LocalMesh,
    case_files: Sequence[CaseFile],
    outcomes: Sequence[Outcome],
    *,
    with_changes: Callable[[Outcome], bool] = lambda _outcome: False,
) -> Iterator[tuple[Outcome, Explanation]]:
    """Yield outcomes that this bench has just had, each with its explanation. Without changes, no request is sent.

    Args:
        bench: The bench, with `condition_probes`. Its proxies still run with the configurations of the outcomes.
        loaded: The mesh that was run.
        case_files: The files of the cases.
        outcomes: The outcomes.
        with_changes: Whether changes are looked for that would let a refused request in.

    Raises:
        BenchError: Something that had ended did not start again.
    """
    for setup, files in by_setup(case_files):
        own = [outcome for outcome in outcomes if outcome.case.place.file in files]
        if not own:
            continue
        with bench.running(loaded, setup, [outcome.case for outcome in own], 0) as engine:
            mesh, under_test = engine.mesh, engine.under_test
        for outcome in own:
            found = explain(outcome, mesh, under_test)
            refused = found.decision is not None and not found.decision.allowed
            if refused and not found.doubts and with_changes(outcome):
                changes = suggested_changes(bench, loaded, setup, outcome, mesh, under_test)
                found = replace(found, changes=changes)
            yield outcome, found
