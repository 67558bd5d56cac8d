"""Run of a battery on a mesh: each question with its answer."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from meshlab.bench.case import CaseFile
from meshlab.bench.session import Choice, run_cases
from meshlab.reach.outcome import answer_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from meshlab.battery.battery import Battery
    from meshlab.bench.protocol import LoadedMesh
    from meshlab.bench.report.run import Run
    from meshlab.bench.verdicts.verdict import Outcome
    from meshlab.reach.outcome import Answer

__all__ = ["ask"]

_FILE = Path("battery")


def ask(
    mesh: LoadedMesh,
    battery: Battery,
    *,
    jobs: int = 0,
    began: Callable[[int], None] = lambda _count: None,
    happened: Callable[[Outcome], None] = lambda _outcome: None,
) -> tuple[Run, tuple[Answer, ...]]:
    """Send the questions of a battery.

    Args:
        mesh: The mesh.
        battery: The questions.
        jobs: How many may be under way at once; 0 for the engine's own choice.
        began: Called with the number of questions, before the first.
        happened: Called with each outcome, as soon as it is known.

    Returns:
        The run, and the answers in the order of the questions.

    Raises:
        BenchError: The bench itself failed.
    """
    cases = tuple(question.case for question in battery.questions)
    setup = battery.setup
    file = CaseFile(
        _FILE,
        cases,
        setup.workloads,
        setup.apps,
        setup.authorizers,
        setup.authorities,
        addresses=setup.addresses,
    )
    run = run_cases(mesh, [file], Choice(jobs=jobs), began=began, happened=happened)
    outcomes = {outcome.case.name: outcome for outcome in run.outcomes}
    answers = (answer_of(question, outcomes[question.case.name]) for question in battery.questions)
    return run, tuple(answers)
