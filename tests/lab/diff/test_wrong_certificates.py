"""`diff` asks at servers outside that show a wrong certificate, where a proxy should check it."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING

import pytest
from meshlab.bench.local_bench import LocalBench
from meshlab.diff.compared_input import ComparedInput
from meshlab.diff.effect import Kind
from meshlab.diff.run import compare
from meshlab.inputs import Inputs
from meshlab.manifest import parse_manifests

from tests.lab.battery.meshes import ROUTE, policy, written
from tests.lab.outside_server import OUTSIDE_SERVER

if TYPE_CHECKING:
    from collections.abc import Iterator

CHECKED = "mode: SIMPLE, sni: api.example, subjectAltNames: [api.example]"


@pytest.fixture(scope="module")
def bench() -> Iterator[LocalBench]:
    with closing(LocalBench()) as found:
        yield found


def given(objects: str) -> ComparedInput:
    return ComparedInput("mesh", Inputs(tuple(parse_manifests(objects, "mesh.yaml")), (), (), ()))


@pytest.mark.parametrize(
    ("unchecked", "shown"),
    [
        ("mode: SIMPLE, sni: api.example", {"for another name"}),
        (
            "mode: SIMPLE, sni: api.example, insecureSkipVerify: true",
            {"for another name", "of an authority that no client trusts"},
        ),
    ],
)
def test_a_certificate_that_is_no_longer_checked_is_a_request_that_is_now_allowed(
    bench: LocalBench, unchecked: str, shown: set[str]
) -> None:
    found = compare(
        bench, given(written(OUTSIDE_SERVER)), given(written(OUTSIDE_SERVER.replace(CHECKED, unchecked)))
    )
    classes = {
        finding.difference.question.request_class.partition("a certificate ")[2]
        for finding in found.of(Kind.NOW_ALLOWED)
    }
    assert classes == shown
    assert {finding.because for finding in found.findings} == {(0,)}
    assert (found.not_known, found.not_covered) == ((), ())


def test_nothing_is_asked_there_where_the_change_does_not_meet_such_a_server(bench: LocalBench) -> None:
    at_the_door = policy({"to": [{"operation": {"methods": ["GET"]}}]}, namespace="edge")
    closed = written(OUTSIDE_SERVER, ROUTE, at_the_door)
    open_to_all = written(OUTSIDE_SERVER, ROUTE, {**at_the_door, "spec": {"rules": [{}]}})
    names: list[str] = []
    found = compare(
        bench, given(closed), given(open_to_all), happened=lambda outcome: names.append(outcome.case.name)
    )
    assert found.of(Kind.NOW_ALLOWED)
    assert names
    assert not [name for name in names if "at a server with a certificate" in name]
