"""Run of a battery on a mesh: each question with its answer."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from meshlab.bench.case import CaseFile
from meshlab.bench.session import Choice, run_cases
from meshlab.reach.by_weight import combined
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
    answers = {
        question.case.name: answer_of(question, outcomes[question.case.name])
        for question in battery.questions
    }
    answers |= _by_weight(mesh, battery, file, jobs)
    return run, tuple(answers.values())


def _by_weight(mesh: LoadedMesh, battery: Battery, file: CaseFile, jobs: int) -> dict[str, Answer]:
    """Return the answers, by the case's name, to questions that one of several destinations answers, each asked."""
    doubtful = [question for question in battery.questions if question.answerers]
    if not doubtful:
        return {}
    asked = replace(file, cases=tuple(question.case for question in doubtful))
    found: dict[str, list[Answer]] = {question.case.name: [] for question in doubtful}
    for alone in mesh.by_weight:
        run = run_cases(alone, [asked], Choice(jobs=jobs))
        outcomes = {outcome.case.name: outcome for outcome in run.outcomes}
        for question in doubtful:
            found[question.case.name].append(answer_of(question, outcomes[question.case.name]))
    return {name: combined(answers) for name, answers in found.items() if answers}
