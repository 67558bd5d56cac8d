"""Sending of questions to the meshes that are compared, all by one bench."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from meshlab.bench.case import client_address
from meshlab.diff.effect import Effect, effect_of, not_there
from meshlab.diff.shared_setup import setup_for

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from meshlab.battery.battery import Question
    from meshlab.bench.case import Case
    from meshlab.bench.local_bench import LocalBench, LocalEngine
    from meshlab.bench.protocol import Setup
    from meshlab.bench.verdicts.verdict import Outcome
    from meshlab.diff.side import Side

__all__ = ["Asker"]


class Asker:
    """Sends questions to one mesh after the other. What runs is kept; what differs in its configuration is swapped.

    Args:
        bench: Runs the meshes.
        setup: What the questions need around them, the same for all meshes.
        questions: All questions that will ever be asked.
        jobs: How many may be under way at once; 0 for a default.
    """

    def __init__(
        self, bench: LocalBench, setup: Setup, questions: Sequence[Question], *, jobs: int = 0
    ) -> None:
        self._bench, self._setup, self._jobs = bench, setup, jobs
        self._from_addresses = [
            question.case for question in questions if client_address(question.case.sender) is not None
        ]

    def ask(
        self,
        side: Side,
        questions: Sequence[Question],
        *,
        in_turn: bool = False,
        happened: Callable[[Outcome], None] = lambda _outcome: None,
    ) -> list[Effect]:
        """Send questions to a mesh, and return what became of them in their order.

        Args:
            side: The mesh.
            questions: The questions. No case may occur twice as the same object.
            in_turn: Whether they are sent one after the other, so that none takes another's place in a pool.
            happened: Called with each outcome, as soon as it is known.

        Raises:
            BenchError: Something did not start.
        """
        found = [_unsent(question.case, side) for question in questions]
        waiting = [question.case for question, effect in zip(questions, found, strict=True) if effect is None]
        if not waiting:
            return [effect or not_there("nothing was sent") for effect in found]
        effects: dict[int, Effect] = {}
        with self.running(side, waiting, in_turn=in_turn) as engine:
            for outcome in engine.run(waiting):
                happened(outcome)
                effects[id(outcome.case)] = effect_of(outcome)
            # On a busy machine a line of evidence may come too late. What fails for another reason fails again.
            for outcome in engine.run([case for case in waiting if effects[id(case)].failed]):
                effects[id(outcome.case)] = effect_of(outcome)
        return [
            effect or effects[id(question.case)] for question, effect in zip(questions, found, strict=True)
        ]

    @contextmanager
    def running(
        self, side: Side, cases: Sequence[Case], *, in_turn: bool = False, bench: LocalBench | None = None
    ) -> Iterator[LocalEngine]:
        """Run a mesh for cases that can be sent to it.

        Args:
            side: The mesh.
            cases: The cases.
            in_turn: Whether they are sent one after the other.
            bench: Runs it in place of the bench of all other requests.

        Raises:
            BenchError: Something did not start.
        """
        # A gateway that shows the addresses of clients is set up so whether these questions need it or not.
        from_addresses = [case for case in self._from_addresses if not side.missing(case)]
        setup = setup_for(self._setup, side.loaded, side.mesh)
        jobs = 1 if in_turn else self._jobs
        runner = bench or self._bench
        with runner.running(side.loaded, setup, [*cases, *from_addresses], jobs) as engine:
            yield engine


def _unsent(case: Case, side: Side) -> Effect | None:
    """Return the effect of a request that cannot be sent; `None` where it can."""
    if refused := side.not_read(case):
        # It is there, and what it would do is not known.
        return Effect(unknown=(refused,))
    if missing := side.missing(case):
        return not_there(missing)
    if any(spec.issuer is None and spec.literal is None for spec in case.tokens):
        why = "a token names no issuer, and the manifests name none or several; write one down"
        return Effect(unknown=(why,), failed=True)
    return None
