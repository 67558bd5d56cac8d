"""Requests that show a mutant: a battery is sent to both meshes, and one that ends otherwise becomes a case."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING

from meshlab.battery.chosen_requests import KnownChoices
from meshlab.battery.derive import derive
from meshlab.battery.wrong_servers import impostors, not_covered_with_impostors
from meshlab.bench.case import CasePlace
from meshlab.bench.verdicts.chance import host_of
from meshlab.diff.effect import Kind, change_of, effect_of
from meshlab.diff.shared_setup import pinned
from meshlab.mutate.group import Group, case_key
from meshlab.mutate.missing import MissingCase, expectation_of, is_readable, lacking
from meshlab.mutate.trial import Trial
from meshlab.quick_dataclass import dataclass

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from meshlab.battery.battery import Battery, Question
    from meshlab.bench.case import Case
    from meshlab.bench.protocol import Setup
    from meshlab.bench.verdicts.verdict import Outcome
    from meshlab.diff.effect import Change, Effect
    from meshlab.mutate.changed_objects import Objects
    from meshlab.mutate.group import ChangedMesh
    from meshlab.mutate.mutants import Mutant

__all__ = ["Finder", "Found"]

_GRAVE = (Kind.NOW_ALLOWED, Kind.WITHOUT_MTLS)
_MOST_TRIED = 8
"""How many differences of one kind are asked for again."""
_MORE = 6
"""How often a difference is asked for that no case says, because no expectation confirms it."""
_FILE = "missing-cases.yaml"


@dataclass(frozen=True)
class Found:
    """What a battery says about a mutant.

    Attributes:
        differs: Whether some request ends otherwise.
        missing: The case that shows it.
        reason: Why there is no case although a request differs, or what could not be judged.
        effect: What changes, where a request differs.
        refused: Why a proxy refuses the change, so that nothing was asked.
        judged: Whether every request that can meet the change was judged.
    """

    differs: bool
    missing: MissingCase | None = None
    reason: str = ""
    effect: str = ""
    refused: str = ""
    judged: bool = True


@dataclass(frozen=True)
class _Difference:
    """A question that ended otherwise, or whose end is left to another chance: then it has no change yet."""

    question: Question
    old: Outcome
    new: Outcome
    effects: tuple[Effect, Effect]
    change: Change | None

    @property
    def kind(self) -> Kind | None:
        return self.change.kind if self.change else None


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
        self._known = KnownChoices()

    def close(self) -> None:
        """End what runs. Where it is used again, all of it starts anew."""
        while self._sides:
            self._sides.pop().group.close()

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
        meshes = (self._mesh, self._base.mesh(objects))
        battery = derive(meshes, known=self._known)
        self.not_covered |= dict.fromkeys(not_covered_with_impostors(battery))
        battery = replace(battery, questions=tuple(pinned(battery.questions, meshes)))
        found = self._asked(mutant, objects, battery, first)
        if found.differs or found.refused or not impostors(meshes, battery):
            return found
        side = self._side(battery.setup)
        changed = side.group.changed(objects, mutant)
        answered = [] if changed.same else side.answered(mutant, changed, battery.questions)
        for other in impostors(meshes, replace(battery, questions=tuple(answered))):
            shown = self._asked(mutant, objects, other, first)
            if shown.differs or shown.refused:
                return shown
        return found

    def _asked(
        self,
        mutant: Mutant,
        objects: Objects,
        battery: Battery,
        first: Callable[[Sequence[Case]], list[Case]],
    ) -> Found:
        """Return what the requests of a battery say about a change."""
        side = self._side(battery.setup)
        side.group.prepare([each.case for each in battery.questions])
        changed = side.group.changed(objects, mutant)
        if changed.same:
            return Found(differs=False)
        side.learn(battery.questions)
        if refused := side.group.take(changed):
            return Found(differs=False, refused=refused)
        found: list[_Difference] = []
        asked = unjudged = 0
        for differences, sent, unknown in side.differences(mutant, changed, battery.questions, first):
            asked += sent
            unjudged += unknown
            found += differences
            # The rest is not sent once a request is let in that was refused.
            grave = [each for each in differences if each.kind in _GRAVE]
            if shown := self._shown(side, changed, grave):
                return shown
            if grave:
                side.group.take(changed)  # the mesh without the change was asked last
        if shown := self._shown(side, changed, [each for each in found if each.kind not in _GRAVE]):
            return shown
        return Found(differs=False, reason=_proof(asked, unjudged), judged=not unjudged)

    def _side(self, needed: Setup) -> _Side:
        setup = _joined(self._base.setup, needed)
        for side in self._sides:
            if side.group.setup == setup:
                return side
        self._sides.append(_Side(Group(self._objects, setup, ())))
        return self._sides[-1]

    def _shown(self, side: _Side, changed: ChangedMesh, differences: Sequence[_Difference]) -> Found | None:
        """Return the first difference that is there when it is asked for again, as a case where words say it."""
        without_words = None
        order = [*Kind, None]
        tried: Counter[Kind | None] = Counter()
        for difference in sorted(differences, key=lambda each: order.index(each.kind)):
            tried[difference.kind] += 1
            if tried[difference.kind] > _MOST_TRIED:
                continue
            case = self._case(side, difference)
            trial = Trial(side.group, changed, difference.effects, case or difference.question.case)
            trial.ask(trial.answers.repeats)
            again = trial.answers.judgement.change
            if again is None or difference.kind not in (again.kind, None):
                continue  # chance, and no change
            kind = again.kind.value
            if case and trial.shows_it:
                needed = lacking(case, side.group.setup, self._base.setup)
                return Found(differs=True, missing=MissingCase(case, kind, needed), effect=kind)
            trial.ask(_MORE)
            if trial.answers.judgement.change is None:
                continue
            request = f"{difference.question.caller}: {difference.question.request_class}"
            details = "; ".join(again.details) or kind
            why = f"no word of a case says it: {request}: {details}"
            without_words = without_words or Found(differs=True, reason=why, effect=kind)
        return without_words

    def _case(self, side: _Side, difference: _Difference) -> Case | None:
        """Return the case that says a difference; `None` where no word of a case file does."""
        today, then = difference.old.verdict, difference.new.verdict
        expect = expectation_of(today, then, *difference.effects) if today else None
        if expect is None:
            return None
        question = difference.question
        name = f"{question.caller}: {question.request_class}"
        case = replace(question.case, name=name, place=CasePlace(_FILE, 1), expect=expect)
        return case if is_readable(case, lacking(case, side.group.setup, self._base.setup)) else None


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

    def answered(self, mutant: Mutant, changed: ChangedMesh, questions: Sequence[Question]) -> list[Question]:
        """Return the questions that a change may concern and that an application or a host answered without it."""
        by_key = {case_key(each.case): each for each in questions}
        meeting = self.group.meeting(changed, mutant, [each.case for each in by_key.values()])
        return [by_key[key] for key in map(case_key, meeting) if effect_of(self._today[key]).allowed]

    def differences(
        self,
        mutant: Mutant,
        changed: ChangedMesh,
        questions: Sequence[Question],
        first: Callable[[Sequence[Case]], list[Case]],
    ) -> Iterator[tuple[list[_Difference], int, int]]:
        """Yield what ends or may end otherwise of requests sent together, how many they are, and how many unjudged."""
        by_key = {case_key(each.case): each for each in questions}
        meeting = self.group.meeting(changed, mutant, [each.case for each in by_key.values()])
        met = set(map(case_key, meeting))
        meeting += [
            each.case for key, each in by_key.items() if key not in met and self._may_meet(each, changed)
        ]
        cases = first(meeting)
        for outcomes in self.group.send(cases):
            found, unjudged = [], 0
            for outcome in outcomes:
                key = case_key(outcome.case)
                effects = effect_of(self._today[key]), effect_of(outcome)
                unjudged += any(effect.unknown for effect in effects)
                change = change_of(*effects)
                if change or self._has_other_odds(changed, outcome.case, effects):
                    found.append(_Difference(by_key[key], self._today[key], outcome, effects, change))
            yield found, len(outcomes), unjudged

    def _has_other_odds(self, changed: ChangedMesh, case: Case, effects: tuple[Effect, Effect]) -> bool:
        """Return whether chance has another say in a request with a change; one answer alone does not show that."""
        if any(effect.unknown or effect.absent for effect in effects):
            return False
        host = host_of(case)
        return self.group.odds.of(effects[0].lines, host) != changed.odds.of(effects[1].lines, host)

    def _may_meet(self, question: Question, changed: ChangedMesh) -> bool:
        """Return whether a request may meet a change at what it is for, although it did not get there for sure."""
        named = {question.target, *question.answerers}
        unknown = bool(effect_of(self._today[case_key(question.case)]).unknown)
        return unknown and any(str(ref) in named for ref in changed.proxies | changed.asking)


def _proof(asked: int, unjudged: int) -> str:
    """Return what a reader can check of a change after which no request ends otherwise."""
    judged = asked - unjudged
    noun = "request" if judged == 1 else "requests"
    ended = f"{judged} {noun} that can meet it, sent to both meshes, ended alike" if judged else ""
    doubtful = f"{unjudged} requests that can meet it were not judged" if unjudged else ""
    return "; ".join(filter(None, (ended, doubtful))) or "no request of the battery can meet it"


def _joined(own: Setup, battery: Setup) -> Setup:
    """Return the setup of case files with what a battery needs beside it; its servers take the place of theirs."""
    taken = {app.target for app in battery.apps}
    return replace(
        own,
        apps=(*(app for app in own.apps if app.target not in taken), *battery.apps),
        workloads={**battery.workloads, **own.workloads},
        authorities=tuple(dict.fromkeys((*own.authorities, *battery.authorities))),
        addresses={**battery.addresses, **own.addresses},
    )
