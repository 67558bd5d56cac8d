"""Requests that show a mutant: a battery is sent to both meshes, and one that ends otherwise becomes a case."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from meshlab.battery.derive import derive
from meshlab.bench.case import CasePlace
from meshlab.diff.effect import Kind, change_of, effect_of
from meshlab.diff.steady import pinned
from meshlab.mutate.group import Group, case_key
from meshlab.mutate.missing import MissingCase, expectation_of, needs, readable

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from meshlab.battery.battery import Battery, Question
    from meshlab.bench.case import Case
    from meshlab.bench.protocol import Setup
    from meshlab.bench.verdicts.verdict import Outcome
    from meshlab.diff.effect import Change, Effect
    from meshlab.mutate.group import ChangedMesh
    from meshlab.mutate.mutants import Mutant
    from meshlab.mutate.objects import Objects

__all__ = ["Finder", "Found"]

_GRAVE = (Kind.NOW_ALLOWED, Kind.WITHOUT_MTLS)
_MOST_TRIED = 5
_FILE = "missing-cases.yaml"


@dataclass(frozen=True)
class Found:
    """What a battery says about a mutant.

    Attributes:
        differs: Whether some request ends otherwise.
        missing: The case that shows it.
        reason: Why there is no case although a request differs, or what could not be judged.
        effect: What changes, where a request differs.
    """

    differs: bool
    missing: MissingCase | None = None
    reason: str = ""
    effect: str = ""


@dataclass(frozen=True)
class _Difference:
    question: Question
    old: Outcome
    new: Outcome
    effects: tuple[Effect, Effect]
    change: Change


class Finder:
    """Finds a request that ends otherwise on a changed mesh. `close` ends what runs.

    Args:
        objects: The mesh without a change.
        base: The group of cases whose applications, authorizers and declared workloads the requests meet.
    """

    def __init__(self, objects: Objects, base: Group) -> None:
        self.not_covered: dict[str, None] = {}
        self._objects = objects
        self._base = base
        self._mesh = base.mesh(objects)
        self._sides: list[_Side] = []

    def close(self) -> None:
        """End what runs."""
        for side in self._sides:
            side.group.close()

    def find(self, mutant: Mutant, objects: Objects, first: Callable[[Sequence[Case]], list[Case]]) -> Found:
        """Return what a battery of both meshes says about a change.

        Args:
            mutant: The change.
            objects: The mesh with it.
            first: Puts requests first that are likely to show it.

        Raises:
            BenchError: Something did not start.
            LabError: The changed mesh cannot be run.
        """
        changed_mesh = self._base.mesh(objects)
        battery = derive([self._mesh, changed_mesh])
        self.not_covered |= dict.fromkeys(battery.not_covered)
        side = self._side(battery)
        changed = side.group.changed(objects)
        if changed.same:
            return Found(differs=False)
        questions = pinned(battery.questions, (self._mesh, changed_mesh))
        side.learn(questions)
        if refused := side.group.take(changed):
            return Found(differs=True, reason=refused)
        differences, unjudged = side.differences(mutant, changed, questions, first)
        if not differences:
            reason = f"{unjudged} requests of the battery were not judged" if unjudged else ""
            return Found(differs=False, reason=reason)
        for difference in differences[:_MOST_TRIED]:
            if missing := self._case(side, changed, difference):
                return Found(differs=True, missing=missing, effect=missing.effect)
        change = differences[0].change
        request = f"{differences[0].question.caller}: {differences[0].question.request_class}"
        details = "; ".join(change.details) or change.kind.value
        return Found(
            differs=True, reason=f"no word of a case says it: {request}: {details}", effect=change.kind.value
        )

    def _side(self, battery: Battery) -> _Side:
        setup = _joined(self._base.setup, battery.setup)
        for side in self._sides:
            if side.group.setup == setup:
                return side
        self._sides.append(_Side(Group(self._objects, setup, ())))
        return self._sides[-1]

    def _case(self, side: _Side, changed: ChangedMesh, difference: _Difference) -> MissingCase | None:
        """Return the case that shows a difference, once it has passed without the change and failed with it."""
        today, then = difference.old.verdict, difference.new.verdict
        if today is None:
            return None
        expect = expectation_of(today, then, *difference.effects)
        if expect is None:
            return None
        question = difference.question
        name = f"{question.caller}: {question.request_class}"
        case = replace(question.case, name=name, place=CasePlace(_FILE, 1), expect=expect)
        needed = needs(case, side.group.setup, self._base.setup)
        text = readable(case, needed)
        if text is None:
            return None
        (passed,) = side.group.unchanged([case])
        side.group.take(changed)
        (failed,) = side.group.send([case])
        if passed.state != "passed" or failed.state in ("passed", "not judged"):
            return None
        return MissingCase(case, text, difference.change.kind.value, needed)


class _Side:
    """A group that batteries are sent to, with what became of their requests without a change."""

    def __init__(self, group: Group) -> None:
        self.group = group
        self._today: dict[str, Outcome] = {}

    def learn(self, questions: Sequence[Question]) -> None:
        """Send what has not been sent to the mesh without a change."""
        unknown = {case_key(each.case): each.case for each in questions}
        unknown = {key: case for key, case in unknown.items() if key not in self._today}
        if unknown:
            for outcome in self.group.unchanged(list(unknown.values())):
                self._today[case_key(outcome.case)] = outcome

    def differences(
        self,
        mutant: Mutant,
        changed: ChangedMesh,
        questions: Sequence[Question],
        first: Callable[[Sequence[Case]], list[Case]],
    ) -> tuple[list[_Difference], int]:
        """Return what ends otherwise, the gravest first, and how many requests could not be judged.

        The rest is not sent once a request is let in that was refused.
        """
        by_key = {case_key(each.case): each for each in questions}
        cases = first(self.group.meeting(changed, mutant, [each.case for each in by_key.values()]))
        found: list[_Difference] = []
        unjudged = 0
        for outcome in self.group.send(cases):
            key = case_key(outcome.case)
            old, new = effect_of(self._today[key]), effect_of(outcome)
            unjudged += bool(old.unknown or new.unknown)
            change = change_of(old, new)
            if change is not None:
                found.append(_Difference(by_key[key], self._today[key], outcome, (old, new), change))
                if change.kind in _GRAVE:
                    break
        order = list(Kind)
        return sorted(found, key=lambda each: order.index(each.change.kind)), unjudged


def _joined(own: Setup, battery: Setup) -> Setup:
    """Return the setup of case files with what a battery needs beside it."""
    return replace(
        own,
        workloads={**battery.workloads, **own.workloads},
        authorities=tuple(dict.fromkeys((*own.authorities, *battery.authorities))),
        addresses={**battery.addresses, **own.addresses},
    )
