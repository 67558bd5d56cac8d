"""Run of a battery on a mesh: each question with its answer."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from meshlab.bench.case import CaseFile
from meshlab.bench.session import Choice, run_cases
from meshlab.reach.by_chance import combined
from meshlab.reach.outcome import answer_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from meshlab.battery.battery import Battery, Question
    from meshlab.bench.protocol import Engine, LoadedMesh
    from meshlab.bench.report.run import Run
    from meshlab.bench.verdicts.verdict import Outcome
    from meshlab.reach.outcome import Answer

__all__ = ["ask"]

_FILE = Path("battery")
_REPEATS = 24
"""How often a request is sent again where chance decides: one of three servers is missed in 1 of 17,000 rounds."""


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
    doubtful: set[str] = set()
    run = _run(mesh, file, jobs, doubtful, began=began, happened=happened)
    questions = {question.case.name: question for question in battery.questions}
    outcomes = {outcome.case.name: outcome for outcome in run.outcomes}
    answers = {name: answer_of(question, outcomes[name]) for name, question in questions.items()}
    weighted = [question for question in battery.questions if question.answerers] if mesh.by_weight else []
    found: dict[str, list[list[Answer]]] = {name: [] for name in doubtful}
    found |= {question.case.name: [] for question in weighted}
    rest = [questions[name] for name in answers if name in doubtful and questions[name] not in weighted]
    for alone, asked in ((mesh, rest), *((each, weighted) for each in mesh.by_weight)):
        for name, several in _several(alone, asked, file, jobs).items():
            found[name].append(several)
    answers |= {name: combined(each) for name, each in found.items() if each}
    return run, tuple(answers.values())


def _several(
    mesh: LoadedMesh, questions: Sequence[Question], file: CaseFile, jobs: int
) -> dict[str, list[Answer]]:
    """Return the answers to some questions, by the case's name: several where chance has a say in them."""
    if not questions:
        return {}
    doubtful: set[str] = set()
    once = _run(mesh, replace(file, cases=tuple(question.case for question in questions)), jobs, doubtful)
    outcomes = {outcome.case.name: outcome for outcome in once.outcomes}
    found = {each.case.name: [answer_of(each, outcomes[each.case.name])] for each in questions}
    again = {
        f"{each.case.name} ({number})": each
        for each in questions
        if each.case.name in doubtful
        for number in range(_REPEATS)
    }
    if again:
        copies = tuple(replace(each.case, name=name) for name, each in again.items())
        for outcome in _run(mesh, replace(file, cases=copies), jobs, set()).outcomes:
            question = again[outcome.case.name]
            found[question.case.name].append(answer_of(question, outcome))
    return found


def _run(
    mesh: LoadedMesh,
    file: CaseFile,
    jobs: int,
    doubtful: set[str],
    *,
    began: Callable[[int], None] = lambda _count: None,
    happened: Callable[[Outcome], None] = lambda _outcome: None,
) -> Run:
    """Send the requests of a file, and collect the names of those that chance has a say in."""
    engines: list[Engine] = []

    def note(outcome: Outcome) -> None:
        if engines[-1].chances(outcome):
            doubtful.add(outcome.case.name)
        happened(outcome)

    return run_cases(mesh, [file], Choice(jobs=jobs), began=began, started=engines.append, happened=note)
