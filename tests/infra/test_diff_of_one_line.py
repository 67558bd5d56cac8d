"""`diff` of a change of one line is empty exactly when no verdict changed under an exhaustive small battery.

The small battery is a plain product that is written by hand. It judges both directions: what it sees, `diff` must see;
and what `diff` alone sees, because it asks for more words, must be true when that one request is sent by itself.

`make test` asks every change of `one_line_changes` and a few that hypothesis chooses; with `MUTANTS=all`, as
`make mutants` sets it, 50.
"""

from __future__ import annotations

import copy
import os
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from meshlab.battery.derive import derive
from meshlab.bench.case import Case, CasePlace
from meshlab.bench.local_bench import LocalBench, LocalMesh
from meshlab.diff.compare_meshes import Baseline, Difference, differences
from meshlab.inputs import read_inputs
from meshlab.lab.project import Project

from tests.conftest import ROOT
from tests.infra import small_battery
from tests.infra.one_line_changes import AUDIENCES_REMOVED, CHANGES, OneLine

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from meshlab.battery.battery import Question
    from meshlab.inputs import Inputs
    from meshlab.manifest import Manifest

    from tests.conftest import Edited

EXAMPLES = 50 if os.environ.get("MUTANTS") == "all" else 2

Path = tuple[str | int, ...]


@dataclass(frozen=True)
class Edit:
    """One value of one object, which is removed or replaced by another."""

    subject: str
    path: Path
    value: object

    def __str__(self) -> str:
        """In words."""
        return f"{self.subject} {'.'.join(map(str, self.path))} = {self.value!r}"


_REMOVED = object()
_OTHER_VALUES: dict[str, tuple[object, ...]] = {
    "methods": ("GET", "POST", "*"),
    "hosts": ("*", "user-profile.internal", "orders.internal", "other.internal"),
    "paths": ("/*", "/profile/{**}", "/orders/{**}", "/orders", "/admin"),
    "notPaths": ("/profile/*", "/orders/*"),
    "principals": ("*", "cluster.local/ns/orders/sa/*", "cluster.local/ns/user-profile/sa/*"),
    "requestPrincipals": ("*", "https://accounts.google.com/*"),
    "audiences": ("user-profile-service", "internal-reports", "another"),
    "values": ("*", "another", "user-profile-service", "read:*"),
    "mode": ("PERMISSIVE", "STRICT", "DISABLE"),
    "action": ("ALLOW", "DENY"),
    "forwardOriginalToken": (True, False),
    "regex": ("/.*", "/profile/.*", "/orders/.*"),
    "exact": ("GET", "POST", "/orders", "/admin"),
    "status": (400, 404),
    "host": ("orders.orders.svc.cluster.local", "user-profile.user-profile.svc.cluster.local"),
}
"""Values that a person may write by mistake, by the field or the list that they stand in."""


def edits_of(manifest: Manifest) -> Iterator[Edit]:
    """Yield what one line can change of an object of Istio's."""
    for path, value in _places(manifest.body["spec"], ("spec",)):
        field = next(str(part) for part in reversed(path) if isinstance(part, str))
        if isinstance(path[-1], int):
            yield Edit(manifest.subject, path, _REMOVED)
        yield from (
            Edit(manifest.subject, path, other) for other in _OTHER_VALUES.get(field, ()) if other != value
        )


def _places(value: Any, path: Path) -> Iterator[tuple[Path, Any]]:  # noqa: ANN401 - any value of a manifest
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from _places(inner, (*path, key))
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            if len(value) > 1 and isinstance(inner, dict):
                yield (*path, index), inner
            yield from _places(inner, (*path, index))
    else:
        yield path, value


def edited_inputs(inputs: Inputs, edit: Edit) -> Inputs:
    """Return manifests with one change."""
    found = []
    for manifest in inputs.manifests:
        if manifest.subject == edit.subject and manifest.group.endswith("istio.io"):
            body = copy.deepcopy(dict(manifest.body))
            inner: Any = body
            for key in edit.path[:-1]:
                inner = inner[key]
            if edit.value is _REMOVED:
                del inner[edit.path[-1]]
            else:
                inner[edit.path[-1]] = edit.value
            manifest = replace(manifest, body=body)
        found.append(manifest)
    return replace(inputs, manifests=tuple(found))


INPUTS = read_inputs((str(Project.find(root=ROOT).overlay),))
EDITS = [
    edit
    for manifest in INPUTS.manifests
    if manifest.group in ("security.istio.io", "networking.istio.io")
    for edit in edits_of(manifest)
]


class World:
    """The mesh as it is, running, and what the small battery says about it."""

    def __init__(self) -> None:
        self.bench = LocalBench()
        self.mesh = self.of(INPUTS)
        # With the same around them, the requests of both share one running mesh.
        self.setup = derive([self.mesh.mesh]).setup
        self.verdicts = small_battery.verdicts(self.bench, self.mesh, setup=self.setup)

    def of(self, inputs: Inputs) -> LocalMesh:
        return LocalMesh(self.bench, inputs, None)

    def seen(self, changed: LocalMesh) -> list[str]:
        """Return cases of the small battery that end otherwise on a changed mesh, at least one where there is one.

        The battery is asked part by part, until a part sees the change: what follows asks only whether it is seen.
        """
        for part in small_battery.PARTS:
            now = small_battery.verdicts(self.bench, changed, part, self.setup)
            if found := [name for name, verdict in now.items() if self.verdicts[name] != verdict]:
                return found
        return []

    def check(self, inputs: Inputs) -> None:
        """Hold the comparison with a changed mesh against the small battery."""
        changed = self.of(inputs)
        seen = self.seen(changed)
        battery = derive([self.mesh.mesh, changed.mesh])
        assert battery.setup == self.setup
        found = differences(self.bench, self.mesh, changed, battery.questions, battery.setup)
        self.compare(changed, seen, found)

    def compare(self, changed: LocalMesh, seen: list[str], found: list[Difference]) -> None:
        """Hold what a comparison found against what the small battery saw."""
        assert [each.question.case.name for each in found if each.change is None] == []
        if seen:
            assert found, f"the small battery alone sees: {seen[:5]}"
        elif found:
            # More words than the product has: each must be true of the request by itself.
            cases = [each.question.case for each in found[:20]]
            before, after = (
                small_battery.verdicts(self.bench, mesh, cases, self.setup) for mesh in (self.mesh, changed)
            )
            assert [case.name for case in cases if before[case.name] == after[case.name]] == []


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    found = World()
    yield found
    found.bench.close()


class Lines:
    """The meshes with one weaker line each, and one baseline to compare all of them with.

    Most requests of the comparisons are the same. They are sent once to the mesh as it is.
    """

    def __init__(self, world: World, changed: Mapping[str, LocalMesh]) -> None:
        self.changed = changed
        self._asked: dict[tuple[str, str, str], list[tuple[Case, str]]] = {}
        self._questions: list[Question] = []
        batteries = {name: derive([world.mesh.mesh, mesh.mesh]) for name, mesh in changed.items()}
        assert [name for name, battery in batteries.items() if battery.setup != world.setup] == []
        self._own = {
            name: {self._name_of(question) for question in battery.questions}
            for name, battery in batteries.items()
        }
        others = tuple(changed.values())
        self._baseline = Baseline(world.bench, world.mesh, self._questions, world.setup, others=others)

    def differences(self, line: OneLine) -> list[Difference]:
        """Return what a comparison with the mesh of one line alone finds: other lines' requests do not count."""
        found = self._baseline.against(self.changed[line.name]).differences
        return [each for each in found if each.question.case.name in self._own[line.name]]

    def _name_of(self, question: Question) -> str:
        """Return the name that a request has among those of all lines; one that is new is added."""
        case = replace(question.case, name="", place=CasePlace("any", 0))
        alike = self._asked.setdefault((question.caller, question.target, question.request_class), [])
        for known, name in alike:
            if known == case:
                return name
        name = f"{len(self._questions)}: {question.case.name}"
        alike.append((case, name))
        self._questions.append(replace(question, case=replace(question.case, name=name)))
        return name


@pytest.fixture(scope="module")
def lines(world: World, edited: Edited) -> Lines:
    overlays = {line.name: edited(*line.edits).overlay for line in CHANGES}
    return Lines(world, {name: world.of(read_inputs((str(at),))) for name, at in overlays.items()})


@pytest.mark.parametrize("line", CHANGES, ids=lambda line: line.name)
def test_a_line_that_weakens_the_mesh_is_seen_by_both(world: World, lines: Lines, line: OneLine) -> None:
    changed, found = lines.changed[line.name], lines.differences(line)
    seen = world.seen(changed)
    # A policy of the proxy asks for the audience too, and refuses with the same status.
    assert bool(seen) == bool(found) == (line not in AUDIENCES_REMOVED)
    world.compare(changed, seen, found)


def test_no_change_is_none_to_both(world: World) -> None:
    again = small_battery.verdicts(world.bench, world.mesh, setup=world.setup)
    assert [name for name, verdict in world.verdicts.items() if again[name] != verdict] == []
    battery = derive([world.mesh.mesh])
    found = differences(world.bench, world.mesh, world.of(INPUTS), battery.questions, battery.setup)
    assert found == []


@settings(
    max_examples=EXAMPLES,
    deadline=None,
    derandomize=True,
    database=None,
    phases=[Phase.generate],  # an edit is as small as it can be
    suppress_health_check=list(HealthCheck),
)
@given(edit=st.sampled_from(EDITS))
def test_a_line_that_hypothesis_chooses_is_seen_by_both_or_by_neither(world: World, edit: Edit) -> None:
    inputs = edited_inputs(INPUTS, edit)
    if not world.of(inputs).mesh.refusals:  # Istio refuses the line, and so does `diff`
        world.check(inputs)
