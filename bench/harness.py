"""Contenders that do the same work, run in turns, and what came of it.

A machine's speed drifts while a benchmark runs. So contenders take turns, round by round, each round starting with
another one; every contender is compared with its peer of the same round; and of all rounds the median counts.
"""

import gc
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median, quantiles
from typing import TypeVar

_T = TypeVar("_T")

Sample = Mapping[str, float]
"""One round of one contender: the metric's name, its unit at the end (`cpu_us`), to its value."""


class BenchError(Exception):
    """A benchmark could not measure what it set out to."""


@dataclass(frozen=True)
class Effort:
    """How much to measure: enough for stable medians, or just enough to see that it works."""

    quick: bool = False

    def rounds(self, full: int) -> int:
        """Rounds to run where a full run does `full`."""
        return min(full, 2) if self.quick else full

    def calls(self, full: int) -> int:
        """Calls per round where a full run does `full`."""
        return max(full // 10, 1) if self.quick else full


@dataclass(frozen=True)
class Contender:
    """One way to do the work.

    Attributes:
        name: What the table calls it.
        measure: Does one round of work and tells what it cost.
    """

    name: str
    measure: Callable[[], Sample]


@dataclass(frozen=True)
class Ratio:
    """How many times the peer's cost: the median of all rounds, and the middle half of them."""

    median: float
    low: float
    high: float


@dataclass(frozen=True)
class Comparison:
    """What a benchmark found.

    Attributes:
        title: What was done, in one line.
        peer: The contender that the others are compared with; None when there is only one.
        setup: What was held equal or tuned, so that a reader can judge the fairness.
        samples: All rounds of each contender, in the order in which they ran.
    """

    title: str
    peer: str | None
    setup: str
    samples: Mapping[str, Sequence[Sample]]

    @property
    def metrics(self) -> list[str]:
        """What was measured, in the order to show it in."""
        return list(next(iter(self.samples.values()))[0])

    def median(self, contender: str, metric: str) -> float:
        """The median of all rounds."""
        return median(sample[metric] for sample in self.samples[contender])

    def ratio(self, contender: str, metric: str) -> Ratio | None:
        """This contender's cost in units of the peer's in the same round; None for the peer itself."""
        if self.peer is None or contender == self.peer:
            return None
        pairs = zip(self.samples[contender], self.samples[self.peer], strict=True)
        return ratio([(ours[metric], theirs[metric]) for ours, theirs in pairs])


def compare(
    title: str, contenders: Sequence[Contender], *, rounds: int, setup: str, peer: str | None = None
) -> Comparison:
    """Measure all contenders in turns, after one round each that does not count.

    Args:
        title: What is done, in one line.
        contenders: Who does it.
        rounds: How often each does it.
        setup: What is held equal or tuned.
        peer: Name of the contender to compare the others with.

    Raises:
        BenchError: There is no such peer, or contenders measured different things.
    """
    names = [contender.name for contender in contenders]
    if peer is not None and peer not in names:
        raise BenchError(f"{title!r} names the peer {peer!r}, which is none of its contenders: {names}")
    measured = {frozenset(contender.measure()) for contender in contenders}
    if len(measured) != 1:
        raise BenchError(f"the contenders of {title!r} measured different things: {measured}")
    samples: dict[str, list[Sample]] = {name: [] for name in names}
    for number in range(rounds):
        for contender in turn(contenders, number):
            gc.collect()  # no contender pays for the garbage of the one before
            samples[contender.name].append(contender.measure())
    return Comparison(title, peer, setup, samples)


def turn(items: Sequence[_T], number: int) -> list[_T]:
    """The order of one round: each round starts with the next item, so that none always follows the same one."""
    start = number % len(items)
    return [*items[start:], *items[:start]]


def ratio(pairs: Sequence[tuple[float, float]]) -> Ratio:
    """Compare costs that were measured side by side.

    Args:
        pairs: For each round, the one's cost and the peer's.

    Raises:
        BenchError: The peer's cost was nothing, so there is no ratio.
    """
    if any(theirs <= 0 for _, theirs in pairs):
        raise BenchError("the peer's cost was measured as nothing: do more work per round")
    ratios = [ours / theirs for ours, theirs in pairs]
    if len(ratios) == 1:
        return Ratio(ratios[0], ratios[0], ratios[0])
    low, middle, high = quantiles(ratios, n=4, method="inclusive")
    return Ratio(middle, low, high)


def percentile(values: Sequence[float], percent: int) -> float:
    """The value that `percent` out of a hundred do not exceed, by nearest rank."""
    ordered = sorted(values)
    return ordered[max(-(-len(ordered) * percent // 100), 1) - 1]
