"""Sending of questions: what fails once on a busy machine is sent again, what fails twice is said."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, cast

from meshlab.battery.battery import Question
from meshlab.bench.case import Case, CasePlace, FromBypass, HttpRequest
from meshlab.bench.local_bench import LocalBench, LocalMesh
from meshlab.bench.protocol import Setup
from meshlab.bench.verdicts.verdict import Outcome
from meshlab.diff.ask import Asker
from meshlab.diff.side import Addresses, Side
from meshlab.inputs import Inputs
from meshlab.manifest import parse_manifests

from tests.lab.diff.verdicts import CART, allowed
from tests.lab.kube import app, mesh_of, namespace, service

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

MESH = mesh_of(namespace("shop"), app("cart", "shop"), service("cart", "shop"))


class FailingBench:
    """A bench whose first requests have no evidence.

    Args:
        failures: How many requests fail.
    """

    def __init__(self, failures: int) -> None:
        self.sent: list[str] = []
        self._failures = failures

    @contextmanager
    def running(self, *_args: Any) -> Iterator[FailingBench]:  # noqa: ANN401 - as `LocalBench.running`
        yield self

    def run(self, cases: Sequence[Case]) -> Iterator[Outcome]:
        for case in cases:
            self.sent.append(case.name)
            if len(self.sent) <= self._failures:
                yield Outcome(case, "error", allowed(), reasons=("the proxy logged nothing",))
            else:
                yield Outcome(case, "seen", allowed())


def asked(bench: FailingBench) -> list[bool]:
    """Ask two questions, and return which of them failed."""
    cases = [
        Case(
            name,
            FromBypass(None, CART, 8080, "plaintext"),
            HttpRequest("http://cart/"),
            None,
            CasePlace("a", 1),
        )
        for name in ("one", "two")
    ]
    questions = [Question(case, "", "", "") for case in cases]
    loaded = LocalMesh(LocalBench(), Inputs(tuple(parse_manifests(MESH, "mesh.yaml")), (), (), ()), None)
    side = Side(loaded, Setup(), Addresses())
    asker = Asker(cast("LocalBench", bench), Setup(), questions)
    return [effect.failed for effect in asker.ask(side, questions)]


def test_what_failed_once_is_sent_again() -> None:
    bench = FailingBench(1)
    assert asked(bench) == [False, False]
    assert bench.sent == ["one", "two", "one"]


def test_what_fails_twice_is_said() -> None:
    bench = FailingBench(3)
    assert asked(bench) == [True, False]
    assert bench.sent == ["one", "two", "one", "two"]
