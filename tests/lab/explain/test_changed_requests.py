"""Explanations of changed requests on both sides: how many there are, and what is sent for them."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import replace
from itertools import chain, repeat
from typing import TYPE_CHECKING, Any, cast

from meshlab.bench.local_bench import LocalBench, LocalMesh
from meshlab.bench.protocol import Setup
from meshlab.bench.verdicts.verdict import Outcome, Verdict
from meshlab.diff.ask import Asker
from meshlab.diff.compare_meshes import Compared
from meshlab.diff.effect import not_there
from meshlab.diff.result import Finding, Result
from meshlab.diff.side import Addresses, Side
from meshlab.explain.changed_requests import BothSides, explain_both_sides
from meshlab.inputs import Inputs

from tests.lab.diff.results import difference
from tests.lab.diff.verdicts import allowed, effect, refused

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from meshlab.bench.case import Case
    from meshlab.diff.compare_meshes import Difference

# Without the ways of requests, which an explanation reads a real mesh for.
ALLOWED_VERDICT, REFUSED_VERDICT = (replace(verdict, hops=()) for verdict in (allowed(), refused()))
ALLOWED, REFUSED = effect(ALLOWED_VERDICT), effect(REFUSED_VERDICT)
OTHERWISE = "sent once more for this explanation, it ended otherwise: 403 by the proxy of shop/cart"


class FakeBench:
    """A bench that answers the requests to two meshes as written down.

    Args:
        new: What becomes of the requests to the new mesh, one after the other; in the end they are allowed.
    """

    mesh: Any = None
    under_test: Any = None

    def __init__(self, new: Sequence[Verdict] = ()) -> None:
        self.sent: list[tuple[str, str]] = []
        self.old, self.new = (
            LocalMesh(cast("LocalBench", self), Inputs((), (), (), ()), None) for _ in range(2)
        )
        self._verdicts = {"old": repeat(REFUSED_VERDICT), "new": chain(new, repeat(ALLOWED_VERDICT))}
        self._running = ""

    @contextmanager
    def running(self, loaded: LocalMesh, *_args: object) -> Iterator[FakeBench]:
        self._running = "old" if loaded is self.old else "new"
        yield self

    def run(self, cases: Sequence[Case]) -> Iterator[Outcome]:
        for case in cases:
            self.sent.append((self._running, case.name))
            yield Outcome(case, "seen", next(self._verdicts[self._running]))


def explained(
    bench: FakeBench, *differences: Difference, most: int = 100, groups: int = 1
) -> list[BothSides]:
    """Explain differences that comparisons on another bench found, each the next difference in turn."""
    old, new = (Side(loaded, Setup(), Addresses()) for loaded in (bench.old, bench.new))
    asker = Asker(cast("LocalBench", None), Setup(), [each.question for each in differences])
    result = Result(
        "old",
        "new",
        findings=tuple(map(Finding, differences)),
        comparisons=tuple(
            (Compared((old, new), differences[group::groups]), asker) for group in range(groups)
        ),
    )
    return explain_both_sides(cast("LocalBench", bench), result, most=most)


def opened(name: str) -> Difference:
    return difference(REFUSED, ALLOWED, name=name)


def test_only_the_first_changes_are_sent_once_more_and_each_once_to_each_side() -> None:
    bench = FakeBench()
    found = explained(bench, opened("a"), opened("b"), opened("c"), most=2)
    assert bench.sent == [("old", "a"), ("old", "b"), ("new", "a"), ("new", "b")]
    assert [each.new.explanation.name for each in found if each.new.explanation] == ["a", "b"]
    decisions = [
        side.explanation.decision.allowed
        for side in (found[0].old, found[0].new)
        if side.explanation and side.explanation.decision
    ]
    assert decisions == [False, True]
    assert {found[0].old.note, found[0].new.note} == {""}


def test_requests_of_several_setups_are_explained_in_the_order_of_the_report() -> None:
    bench = FakeBench()
    found = explained(bench, opened("a"), opened("b"), opened("c"), groups=2)
    assert [name for _, name in bench.sent] == ["a", "c", "a", "c", "b", "b"]
    assert [each.old.explanation.name for each in found if each.old.explanation] == ["a", "b", "c"]


def test_what_chance_decides_is_sent_until_it_ends_as_the_comparison_found_it() -> None:
    bench = FakeBench(new=[REFUSED_VERDICT] * 9)
    (found,) = explained(bench, replace(opened("a"), chance="in 3 of 33 requests"))
    assert found.new.note == ""
    assert found.new.explanation is not None
    assert found.new.explanation.decision is not None
    assert found.new.explanation.decision.allowed


def test_what_ends_otherwise_twice_says_so() -> None:
    (found,) = explained(FakeBench(new=[REFUSED_VERDICT] * 2), opened("a"))
    assert found.new.note == f"{OTHERWISE}: no ALLOW policy matched"
    assert found.new.explanation is not None


def test_what_ends_otherwise_once_is_explained_by_the_second_time() -> None:
    bench = FakeBench(new=[REFUSED_VERDICT])
    (found,) = explained(bench, opened("a"))
    assert found.new.note == ""
    assert bench.sent == [("old", "a"), ("new", "a"), ("new", "a")]


def test_nothing_is_sent_to_a_side_that_lacks_the_sender() -> None:
    bench = FakeBench()
    (found,) = explained(bench, difference(not_there("there is no workload shop/cart"), ALLOWED, name="a"))
    assert found.old.note == "not there: there is no workload shop/cart"
    assert found.old.explanation is None
    assert bench.sent == [("new", "a")]
