"""Comparison of two meshes: the same questions are sent to both, and what became of them is compared.

One bench runs both meshes one after the other. Its proxies stay; what differs in their configuration is swapped. A
question that ends otherwise is asked again on both sides before it counts, so that chance is not taken for a change.
"""

from __future__ import annotations

from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING

from meshlab.bench.verdicts.chance import host_of
from meshlab.diff.ask import Asker
from meshlab.diff.confirm import Answers
from meshlab.diff.shared_setup import pinned, shared_setup
from meshlab.diff.side import Addresses, Side
from meshlab.quick_dataclass import dataclass

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from meshlab.battery.battery import Question
    from meshlab.bench.local_bench import LocalBench, LocalMesh
    from meshlab.bench.protocol import Setup
    from meshlab.bench.verdicts.verdict import Outcome
    from meshlab.diff.effect import Change, Effect
    from meshlab.istio.read.workload_ref import WorkloadRef

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
        answered: Those of them that an application or a host outside answered on the old mesh.
        nowhere: The questions that neither mesh has the sender or the target for.
        by_chance: The questions whose effects vary in the same way on both sides.
        sides: The two meshes, with their configurations.
    """

    sides: tuple[Side, Side]

    differences: tuple[Difference, ...] = ()
    asked: int = 0
    sent_again: int = 0
    answered: tuple[Question, ...] = ()
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
    """What became of questions on one mesh, to compare others with. They are sent once, when that is first needed.

    Args:
        bench: Runs the meshes.
        old: The mesh that others are compared with.
        questions: What to ask.
        setup: What the questions need around them.
        others: Meshes that will be compared with it, as far as they are known: what they name counts for tokens and
            authorities, and proxies need not start anew.
        jobs: How many questions may be under way at once; 0 for a default.
        happened: Called with each outcome on the old mesh, as soon as it is known.

    Attributes:
        questions: The questions as they are sent: what a token takes from the manifests is written down.
        asker: Sends them.
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
        self._happened = happened
        self._setup = shared_setup(setup, meshes)
        self._addresses = Addresses()
        self._cases = [question.case for question in questions]
        self._old = self._side(old)
        self.questions = pinned(questions, meshes)
        self.asker = Asker(bench, self._setup, self.questions, jobs=jobs)

    @cached_property
    def effects(self) -> list[Effect]:
        """What became of the questions, in their order.

        Raises:
            BenchError: Something did not start.
        """
        return self.asker.ask(self._old, self.questions, happened=self._happened)

    def can_differ(self, new: LocalMesh) -> bool:
        """Return whether a request could end otherwise on another mesh, by the configurations; nothing is started.

        Args:
            new: The mesh to compare.
        """
        return self._old.differs_from(self._side(new))

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
        effects = self.asker.ask(side, [self.questions[index] for index in again])
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
        return Compared(
            (self._old, side),
            tuple(differing),
            len(self.questions),
            len(again),
            tuple(self.questions[index] for index in again if self.effects[index].allowed),
            tuple(nowhere),
            tuple(by_chance),
        )

    def _side(self, loaded: LocalMesh) -> Side:
        return Side(loaded, self._setup, self._addresses, self._cases)

    def _can_differ(self, new: Side) -> list[int]:
        """Return the numbers of the questions that meet something that differs, or of which that is not known."""
        old = self._old
        if new.refused != old.refused:
            return list(range(len(self.questions)))  # another part of the mesh is not judged

        def is_changed(ref: WorkloadRef) -> bool:
            return old.text(ref) != new.text(ref)

        return [
            number
            for number, (question, effect) in enumerate(zip(self.questions, self.effects, strict=True))
            if effect.failed
            or effect.absent
            or any(map(is_changed, {*effect.way, *old.foreseen(question.case)}))
            or old.resolved(question.case) != new.resolved(question.case)
        ]

    def _odds(self, index: int, new: Side, effect: Effect) -> tuple[str, str]:
        """Return what chance has a say in on both sides."""
        host = host_of(self.questions[index].case)
        return self._old.odds(self.effects[index], host), new.odds(effect, host)

    def _ask_again(self, new: Side, doubtful: Sequence[int], answers: Mapping[int, Answers]) -> None:
        """Ask questions again on both sides; the new one runs already."""
        for side in (new, self._old):
            rounds = [index for index in doubtful for _ in range(answers[index].repeats)]
            copies = [_copy(self.questions[index]) for index in rounds]
            effects = self.asker.ask(side, copies, in_turn=len(rounds) <= _MOST_IN_TURN)
            for index, effect in zip(rounds, effects, strict=True):
                answers[index].add(effect, is_new=side is new)


def _copy(question: Question) -> Question:
    """Return the same question with a case of its own, so that each of its outcomes is found by its case."""
    return replace(question, case=replace(question.case))
