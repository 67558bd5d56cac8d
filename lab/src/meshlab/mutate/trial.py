"""A request that is asked again on a mesh and on a changed one, as often as chance has a say in it."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from meshlab.bench.verdicts.chance import host_of
from meshlab.diff.confirm import Answers
from meshlab.diff.effect import effect_of

if TYPE_CHECKING:
    from meshlab.bench.case import Case
    from meshlab.bench.verdicts.verdict import Outcome
    from meshlab.diff.effect import Effect
    from meshlab.mutate.group import ChangedMesh, Group

__all__ = ["Trial"]


class Trial:
    """A request that ended otherwise on a changed mesh, and is asked again on both.

    Args:
        group: The mesh.
        changed: The mesh with the change.
        effects: What became of the request on both.
        asked: What is sent, with an expectation or without one.

    Attributes:
        answers: What became of it each time.
    """

    def __init__(
        self, group: Group, changed: ChangedMesh, effects: tuple[Effect, Effect], asked: Case
    ) -> None:
        old, new = effects
        host = host_of(asked)
        self.answers = Answers(
            [old], [new], (group.odds.of(old.lines, host), changed.odds.of(new.lines, host))
        )
        self._group, self._changed, self._asked = group, changed, asked
        self._today: list[Outcome] = []
        self._then: list[Outcome] = []

    def ask(self, times: int) -> None:
        """Send the request so often to both meshes, and first to the changed one, which usually runs already."""
        copies = [replace(self._asked) for _ in range(times)]
        self._group.take(self._changed)
        then = [outcome for part in self._group.send(copies) for outcome in part]
        today = self._group.unchanged(copies)
        self._today += today
        self._then += then
        for outcome in today:
            self.answers.add(effect_of(outcome), is_new=False)
        for outcome in then:
            self.answers.add(effect_of(outcome), is_new=True)

    @property
    def shows_it(self) -> bool:
        """Whether the case passed each time today, and failed on the changed mesh."""
        passes = all(outcome.state == "passed" for outcome in self._today)
        return passes and any(outcome.state not in ("passed", "not judged") for outcome in self._then)
