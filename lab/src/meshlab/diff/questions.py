"""What to ask two meshes: requests derived from the manifests of both, and those of case files."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from meshlab.battery.battery import Question
from meshlab.bench.case import FromBypass, FromForeignMesh, FromOutside, FromWorkload, client_address
from meshlab.bench.case_file import CaseFileError, check_against
from meshlab.bench.planning.destination import destination_of
from meshlab.bench.protocol import MeshNames, Setup
from meshlab.bench.report.outcome_texts import request
from meshlab.errors import LabError
from meshlab.quick_dataclass import dataclass
from meshlab.visible_text import in_words

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from meshlab.battery.battery import Battery
    from meshlab.bench.case import Case, CaseFile, TokenSpec
    from meshlab.bench.case_file import CaseProblem

__all__ = ["Group", "check_names", "groups_of", "question_of"]


@dataclass(frozen=True)
class Group:
    """Questions that need the same around them.

    Attributes:
        setup: What they need.
        questions: The questions. The names of their cases are unique in the group.
    """

    setup: Setup
    questions: tuple[Question, ...]


def groups_of(battery: Battery, case_files: Sequence[CaseFile]) -> list[Group]:
    """Return all questions, those with one setup together.

    Args:
        battery: What is derived from the manifests.
        case_files: The case files; their expectations do not count.
    """
    found: list[tuple[Setup, list[Question]]] = [(battery.setup, list(battery.questions))]
    for file in case_files:
        setup = Setup(file.workloads, file.apps, file.authorizers, file.authorities, file.addresses)
        questions = next((questions for known, questions in found if known == setup), None)
        if questions is None:
            found.append((setup, questions := []))
        questions += map(question_of, file.cases)
    return [Group(setup, tuple(_each_once(questions))) for setup, questions in found if questions]


def question_of(case: Case) -> Question:
    """Return a case of a file as a question."""
    return Question(replace(case, expect=None), _caller(case), _target(case), request(case))


def check_names(case_files: Iterable[CaseFile], old: MeshNames, new: MeshNames) -> None:
    """Check that one of two meshes has what case files name.

    Raises:
        CaseFileError: Neither has it; holds the problems of all files.
    """
    either = old.either(new)
    problems: list[CaseProblem] = []
    for file in case_files:
        try:
            check_against(file, either)
        except CaseFileError as error:
            problems += error.problems
    if problems:
        raise CaseFileError(problems)


def _each_once(questions: Iterable[Question]) -> Iterable[Question]:
    """Yield questions whose requests differ, with names that are unique."""
    seen: dict[str, None] = {}
    names: set[str] = set()
    for question in questions:
        case = question.case
        sent = repr((case.sender, case.request, case.tokens))
        if sent in seen:
            continue
        seen[sent] = None
        name = case.name if case.name not in names else f"{case.name} ({case.place.file}:{case.place.line})"
        names.add(name)
        yield question if name == case.name else replace(question, case=replace(case, name=name))


def _caller(case: Case) -> str:
    sender = case.sender
    address = client_address(sender)
    at = [f"from {address}"] if address else []
    match sender:
        case FromOutside(gateway=gateway, certificate=certificate):
            words = [f"outside {gateway}", *at]
            words += [f"certificate of {certificate.authority}"] if certificate else []
        case FromWorkload(workload=workload):
            words = [str(workload)]
        case FromBypass(workload=workload, mode=mode):
            words = [f"{workload or 'a stranger'} past its sidecar, {mode}", *at]
        case FromForeignMesh(identity=identity):
            words = [f"another mesh's {identity}", *at]
    return ", ".join([*words, *map(_token, case.tokens)])


def _token(spec: TokenSpec) -> str:
    if spec.literal is not None:
        return "a token written out"
    flaw = f"{spec.flaw} " if spec.flaw else ""
    of = f" of {spec.issuer}" if spec.issuer else ""
    claims = ", ".join(f"{name} {in_words(value)}" for name, value in spec.claims.items())
    return f"{flaw}token{of}{f' ({claims})' if claims else ''}"


def _target(case: Case) -> str:
    if isinstance(case.sender, FromBypass | FromForeignMesh):
        return str(case.sender.to)
    try:
        return destination_of(case.request).host
    except LabError:
        return ""
