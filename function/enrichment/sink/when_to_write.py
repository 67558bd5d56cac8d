"""Decisions of the group commit: when a group may be written, and what follows for each row. Pure."""

from collections.abc import Collection, Sequence
from typing import NamedTuple

import msgspec

from enrichment import backoff
from enrichment.errors import BadEventError, EnrichmentError, TransientError
from enrichment.sink.waiting import Entry

MAX_WRITES = 8
"""Most writes under way at once, of any kind."""

MAX_RESENDS = 3
"""Most of them that send rows again, so that these never keep new rows waiting."""

FIRST_DELAY_S = 0.1
MAX_DELAY_S = 1.0


class StoppedError(TransientError):
    """Nothing is wrong with the row: another row of its request kept it out."""


class RefusedError(Exception):
    """A request was refused as a whole, for its size or for one of its rows. Smaller requests find out which.

    Args:
        verdict: What it means for a row that was alone in its request.
    """

    def __init__(self, verdict: EnrichmentError) -> None:
        super().__init__(str(verdict))
        self.verdict = verdict


class Sharing(msgspec.Struct, frozen=True):
    """When rows stop waiting for company.

    Args:
        few_rows: A write of so few rows keeps no others waiting: with hardly anything under way, sharing would save
            nothing and cost each event up to the time of a write.
        many_rows: So many waiting rows are worth a request of their own.
        slow_s: A write under way for longer, in seconds, may be hung, and keeps no others waiting either.
    """

    few_rows: int = 3
    many_rows: int = 10
    slow_s: float = 1.0


SHARING = Sharing()


class Write(NamedTuple):
    """A write of new rows that is under way.

    Args:
        rows: How many rows it writes.
        age_s: For how long, in seconds.
    """

    rows: int
    age_s: float


def may_write(
    writes: Collection[Write], resending: int, waiting: int, fills_a_request: bool, sharing: Sharing
) -> bool:
    """Decide whether rows that wait may be written now.

    Under load one write at a time lets the next one's rows gather. Another one beside it is worth it where waiting
    gains nothing: little is under way, rows enough wait, or what is under way may be hung.

    Args:
        writes: The writes of new rows that are under way.
        resending: How many writes under way send rows again.
        waiting: How many rows wait.
        fills_a_request: Whether they are enough for a request of full size.
        sharing: What is little, enough, and hung.
    """
    if len(writes) + resending >= MAX_WRITES:
        return False
    if fills_a_request or waiting >= sharing.many_rows:
        return True
    return all(write.rows <= sharing.few_rows or write.age_s > sharing.slow_s for write in writes)


def may_resend(writing: int, resending: int) -> bool:
    """Decide whether rows that are due to be sent again may be now. Waiting gains nothing: no row joins them.

    Args:
        writing: How many writes of new rows are under way.
        resending: How many writes under way send rows again.
    """
    return resending < MAX_RESENDS and writing + resending < MAX_WRITES


def jittered_delay_s(attempt: int) -> float:
    """Return how long rows with an error of their own wait before they are sent again, in seconds.

    Args:
        attempt: How often they have been sent, from 1.
    """
    return backoff.delay_s(attempt, FIRST_DELAY_S, MAX_DELAY_S)


class Partition(NamedTuple):
    """What follows for the entries of a request.

    Args:
        settled: Those with a verdict that stands.
        at_once: Requests to make at once.
        later: Those with an error of their own that will pass.
    """

    settled: list[tuple[Entry, EnrichmentError | None]]
    at_once: list[list[Entry]]
    later: list[tuple[Entry, EnrichmentError]]


def partition(entries: Sequence[Entry], verdicts: Sequence[EnrichmentError | None]) -> Partition:
    """Decide what follows for each entry of a request.

    Rows that others stopped go again at once and among themselves: what stopped them is not there any more, and no
    new row can stop them. If only stopped rows are left, no row is the cause, and trying again at once could go on
    for ever. A bad row is the end of its own event alone: others that wait with the same id have each a row of their
    own, and a publisher who guesses ids must not end their events.

    Args:
        entries: What was sent.
        verdicts: The verdict on each.

    Raises:
        ValueError: there are not as many verdicts as entries.
    """
    parts = Partition([], [], [])
    stopped: list[tuple[Entry, EnrichmentError]] = []
    for entry, verdict in zip(entries, verdicts, strict=True):
        if isinstance(verdict, StoppedError):
            stopped.append((entry, verdict))
        elif isinstance(verdict, TransientError):
            parts.later.append((entry, verdict))
        elif isinstance(verdict, BadEventError) and len(entry.waiters) > 1:
            first, *others = entry.waiters
            parts.settled.append((Entry([first]), verdict))
            parts.at_once.append([Entry(others)])
        else:
            parts.settled.append((entry, verdict))
    if len(stopped) == len(entries):
        parts.later.extend(stopped)
    elif stopped:
        parts.at_once.append([entry for entry, _ in stopped])
    return parts


def halve(entries: Sequence[Entry], verdict: EnrichmentError) -> Partition:
    """Decide what follows for the entries of a request that was refused as a whole.

    Halves of it find the row at fault in a number of requests that grows with the logarithm of its size.

    Args:
        entries: What was sent.
        verdict: What the refusal means for a row that was alone in its request.
    """
    if len(entries) == 1:
        return partition(entries, [verdict])
    middle = len(entries) // 2
    return Partition([], [list(entries[:middle]), list(entries[middle:])], [])
