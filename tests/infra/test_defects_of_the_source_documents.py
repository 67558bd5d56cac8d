"""Each defect of the source documents, brought back into today's manifests, fails a named policy test or check."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.infra.defects import access, bridge, egress, ingress
from tests.infra.defects.elsewhere import ELSEWHERE
from tests.infra.defects.model import MESHES, ROOT
from tests.infra.defects.run import RunningMesh

if TYPE_CHECKING:
    from collections.abc import Iterator

    from meshlab.bench.verdicts.verdict import Outcome

    from tests.infra.defects.model import Defect

DEFECTS = [*ingress.DEFECTS, *egress.DEFECTS, *bridge.DEFECTS, *access.DEFECTS]
ROWS = [f"{part}.{row}" for part, rows in ((0, 30), (2, 25), (3, 15), (4, 9)) for row in range(1, rows + 1)]
"""The rows of the list of defects. Part 1 is about a function without a mesh, and has no manifests."""

FAILURES = (AssertionError, LookupError, ValueError)
"""What a test ends with that looks at a field, or counts objects, and does not find what it looks for."""


@pytest.fixture(scope="module")
def running() -> Iterator[dict[str, RunningMesh]]:
    """Every mesh; its proxies start with the first case that needs them."""
    meshes = {name: RunningMesh(name) for name in MESHES}
    yield meshes
    for mesh in meshes.values():
        mesh.close()


def test_every_row_is_in_a_table_and_no_other_is() -> None:
    tried, elsewhere = {defect.row for defect in DEFECTS}, set(ELSEWHERE)
    assert sorted(tried | elsewhere) == sorted(ROWS)
    assert tried & elsewhere == set()
    assert [row for row, owner in ELSEWHERE.items() if not (ROOT / owner.page).is_file()] == []


def test_every_defect_names_what_must_fail() -> None:
    assert [str(defect) for defect in DEFECTS if not defect.cases and not defect.checks] == []


@pytest.mark.parametrize("name", MESHES)
def test_without_a_defect_nothing_fails(running: dict[str, RunningMesh], name: str) -> None:
    mesh, here = running[name], [defect for defect in DEFECTS if defect.mesh == name]
    objects = mesh.objects()
    for defect in here:
        for check in defect.checks:
            check(objects.bodies)
    named = {case for defect in here for case in defect.cases}
    assert [
        said(found) for several in mesh.send(objects, named).values() for found in several if failed(found)
    ] == []


@pytest.mark.parametrize("defect", DEFECTS, ids=str)
def test_a_defect_that_comes_back_is_noticed(running: dict[str, RunningMesh], defect: Defect) -> None:
    mesh = running[defect.mesh]
    objects = mesh.objects()
    defect.change(objects)
    for check in defect.checks:
        with pytest.raises(FAILURES):
            check(objects.bodies)
    outcomes = mesh.send(objects, defect.cases)
    assert outcomes.keys() == defect.cases.keys()
    for case, part in defect.cases.items():
        found = [said(outcome) for outcome in outcomes[case] if failed(outcome)]
        assert any(part in text for text in found), (case, found)


def failed(outcome: Outcome) -> bool:
    """Return whether a case did not pass."""
    return outcome.state != "passed"


def said(outcome: Outcome) -> str:
    """Return what the bench says that happened."""
    verdict = outcome.verdict.summary if outcome.verdict else ""
    return "; ".join([outcome.state, verdict, *outcome.reasons])
