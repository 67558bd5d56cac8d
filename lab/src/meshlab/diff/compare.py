"""Comparison of two meshes: the same questions are sent to both, and what became of them is compared.

One bench runs both meshes one after the other. Its proxies stay; what differs in their configuration is swapped. A
question that ends otherwise is asked again on both sides before it counts, so that chance is not taken for a change.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from meshlab.bench.case import FromOutside, HttpRequest
from meshlab.bench.planning.destination import destination_of
from meshlab.diff.chance import odds
from meshlab.diff.confirm import Answers
from meshlab.diff.effect import Effect, effect_of, not_there
from meshlab.diff.side import Addresses, Side
from meshlab.diff.steady import pinned, setup_for, shared_setup, without_outlier_detection
from meshlab.errors import LabError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from meshlab.battery.battery import Question
    from meshlab.bench.case import Case
    from meshlab.bench.local_bench import LocalBench, LocalMesh
    from meshlab.bench.protocol import Setup
    from meshlab.bench.verdicts.verdict import Outcome
    from meshlab.diff.effect import Change
    from meshlab.istio.read.names import WorkloadRef

__all__ = ["Baseline", "Compared", "Difference", "differences"]

_MOST_IN_TURN = 60
"""How many requests are sent one after the other when questions are asked again."""


@dataclass(frozen=True)
class Difference:
    """A question that ends otherwise, or of which that is not known.

    Attributes:
        question: The question. Its case sends the same to both meshes.
        old: What became of it on the old mesh.
        new: What becomes of it on the new one.
        change: How the two differ; `None` where one of them is not judged or failed, which its `unknown` says.
        chance: Where chance decides, how often the new effect was seen, in words; empty otherwise.
    """

    question: Question
    old: Effect
    new: Effect
    change: Change | None
    chance: str = ""


@dataclass(frozen=True)
class Compared:
    """The result of a comparison.

    Attributes:
        differences: What ends otherwise, and what is not known, in the order of the questions.
        asked: How many questions there were.
        sent_again: How many were sent to the new mesh; all others meet nothing that differs.
        nowhere: The questions that neither mesh has the sender or the target for.
        by_chance: The questions whose effects vary in the same way on both sides.
    """

    differences: tuple[Difference, ...] = ()
    asked: int = 0
    sent_again: int = 0
    nowhere: tuple[Question, ...] = ()
    by_chance: tuple[Question, ...] = ()


def differences(
    bench: LocalBench,
    old: LocalMesh,
    new: LocalMesh,
    questions: Sequence[Question],
    setup: Setup,
) -> list[Difference]:
    """Return the questions that end otherwise on the new mesh, and those of which that is not known.

    Args:
        bench: Runs both meshes, one after the other.
        old: The mesh before.
        new: The mesh now.
        questions: What to ask.
        setup: What the questions need around them.

    Raises:
        BenchError: Something did not start.
    """
    return list(Baseline(bench, old, questions, setup, others=(new,)).against(new).differences)


class Baseline:
    """What became of questions on one mesh, to compare others with. The questions are sent when it is made.

    Args:
        bench: Runs the meshes.
        old: The mesh that others are compared with.
        questions: What to ask.
        setup: What the questions need around them.
        others: Meshes that will be compared with it, as far as they are known: what they name counts for tokens and
            authorities, and proxies need not start anew.
        jobs: How many questions may be under way at once; 0 for a default.
        happened: Called with each outcome, as soon as it is known.

    Raises:
        BenchError: Something did not start.
    """

    def __init__(
        self,
        bench: LocalBench,
        old: LocalMesh,
        questions: Sequence[Question],
        setup: Setup,
        *,
        others: Sequence[LocalMesh] = (),
        jobs: int = 0,
        happened: Callable[[Outcome], None] = lambda _outcome: None,
    ) -> None:
        meshes = [old.mesh, *(other.mesh for other in others)]
        self._bench, self._jobs, self._happened = bench, jobs, happened
        self._setup = shared_setup(setup, meshes)
        self._addresses = Addresses()
        self._old = self._side(old)
        self.questions = pinned(questions, meshes)
        self._from_addresses = [
            question.case
            for question in self.questions
            if isinstance(question.case.sender, FromOutside) and question.case.sender.address is not None
        ]
        self.effects = self._ask(self._old, self.questions)

    def changed_proxies(self, new: LocalMesh) -> frozenset[WorkloadRef]:
        """Return the workloads that only one of the meshes has, or whose configuration differs; nothing is started.

        Args:
            new: The mesh to compare.
        """
        return changed_workloads(self._old, self._side(new))

    def against(self, new: LocalMesh, *, confirm: bool = True) -> Compared:
        """Send the questions that can have changed to another mesh, and compare what becomes of them.

        Args:
            new: The mesh to compare.
            confirm: Whether a question that ends otherwise is asked again on both sides.

        Raises:
            BenchError: Something did not start.
        """
        side = self._side(new)
        again = self._can_differ(side)
        effects = self._ask(side, [self.questions[index] for index in again])
        answers = {
            index: Answers([self.effects[index]], [effect], self._odds(index, side, effect))
            for index, effect in zip(again, effects, strict=True)
        }
        if confirm:
            self._ask_again(side, [index for index, each in answers.items() if each.is_doubtful], answers)
        differing: list[Difference] = []
        by_chance: list[Question] = []
        nowhere: list[Question] = []
        for index, each in answers.items():
            question, found = self.questions[index], each.judgement
            if found.change is not None or found.old.unknown or found.new.unknown:
                differing.append(Difference(question, found.old, found.new, found.change, found.chance))
            elif found.varies:
                by_chance.append(question)
            elif found.old.absent and found.new.absent:
                nowhere.append(question)
        return Compared(tuple(differing), len(self.questions), len(again), tuple(nowhere), tuple(by_chance))

    def _side(self, loaded: LocalMesh) -> Side:
        steady = loaded.with_inputs(without_outlier_detection(loaded.inputs))
        return Side(steady, self._setup, self._addresses)

    def _can_differ(self, new: Side) -> list[int]:
        """Return the numbers of the questions that meet something that differs, or of which that is not known."""
        old = self._old
        if _refusals(new) != _refusals(old):
            return list(range(len(self.questions)))  # another part of the mesh is not judged
        changed = changed_workloads(old, new)
        return [
            number
            for number, (question, effect) in enumerate(zip(self.questions, self.effects, strict=True))
            if effect.unknown
            or effect.absent
            or not changed.isdisjoint((*effect.way, *old.foreseen(question.case)))
            or old.resolved(question.case) != new.resolved(question.case)
        ]

    def _odds(self, index: int, new: Side, effect: Effect) -> tuple[str, str]:
        """Return what chance has a say in on both sides."""
        host = _host(self.questions[index].case)
        before = odds(self._old.configurations, self.effects[index], host)
        return before, odds(new.configurations, effect, host)

    def _ask(self, side: Side, questions: Sequence[Question], *, jobs: int | None = None) -> list[Effect]:
        """Send questions to a mesh, and return what became of them in their order."""
        found = [_unsent(question.case, side) for question in questions]
        waiting = [question.case for question, effect in zip(questions, found, strict=True) if effect is None]
        if not waiting:
            return [effect or not_there("nothing was sent") for effect in found]
        # A gateway that shows the addresses of clients is set up so whether these questions need it or not.
        from_addresses = [case for case in self._from_addresses if not side.missing(case)]
        outcomes: dict[int, Effect] = {}
        setup = setup_for(self._setup, side.loaded, side.mesh)
        count = self._jobs if jobs is None else jobs
        with self._bench.running(side.loaded, setup, [*waiting, *from_addresses], count) as engine:
            for outcome in engine.run(waiting):
                self._happened(outcome)
                outcomes[id(outcome.case)] = effect_of(outcome)
        return [
            effect or outcomes[id(question.case)] for question, effect in zip(questions, found, strict=True)
        ]

    def _ask_again(self, new: Side, doubtful: Sequence[int], answers: Mapping[int, Answers]) -> None:
        """Ask questions again on both sides; the new one runs already."""
        for side in (new, self._old):
            rounds = [index for index in doubtful for _ in range(answers[index].repeats)]
            # One after the other, so that no request takes the other's place in a connection pool.
            jobs = 1 if len(rounds) <= _MOST_IN_TURN else self._jobs
            copies = [_copy(self.questions[index]) for index in rounds]
            for index, effect in zip(rounds, self._ask(side, copies, jobs=jobs), strict=True):
                answers[index].add(effect, is_new=side is new)


def changed_workloads(old: Side, new: Side) -> frozenset[WorkloadRef]:
    """Return the workloads that only one side has, or whose proxy or ports are others on the other one."""
    return frozenset(ref for ref in old.workloads | new.workloads if old.text(ref) != new.text(ref))


def _refusals(side: Side) -> frozenset[tuple[str, str, str]]:
    """Return what is refused of the manifests, without the lines that it stands on."""
    problems = (problem for refusal in side.mesh.refusals for problem in refusal.problems)
    return frozenset((problem.subject, problem.path, problem.text) for problem in problems)


def _unsent(case: Case, side: Side) -> Effect | None:
    """Return the effect of a request that cannot be sent; `None` where it can."""
    if missing := side.missing(case):
        return not_there(missing)
    if any(spec.issuer is None and spec.literal is None for spec in case.tokens):
        why = "a token names no issuer, and the manifests name none or several; write one down"
        return Effect(unknown=(why,), failed=True)
    return None


def _copy(question: Question) -> Question:
    """Return the same question with a case of its own, so that each of its outcomes is found by its case."""
    return replace(question, case=replace(question.case))


def _host(case: Case) -> str | None:
    """Return the Host of a request in lower case, `None` where it has none or writes it in another place."""
    request = case.request
    if not isinstance(request, HttpRequest) or (
        request.target is not None and not request.target.startswith("/")
    ):
        return None
    written = [value for name, value in request.headers if name.lower() == "host"]
    try:
        return (written[0] if written else destination_of(request).host).lower()
    except LabError:
        return None
