"""One run: pull, decide, publish, acknowledge, until nothing is left to redrive."""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from typing import Literal, Protocol

from enrichment.redrive import undelivered
from enrichment.redrive.dead_letters import DeadLetter, Original, Selection, Verdict, original
from enrichment.redrive.errors import RedriveError, RefusedError
from enrichment.redrive.journal import Journal, State
from enrichment.redrive.leases import Leases
from enrichment.redrive.rate import RateLimiter
from enrichment.redrive.report import Report, shown

_PAGE = 100
"""Dead letters pulled at once, and published at once at most."""

_MAX_BATCH_BYTES = 5_000_000
"""Data published in one request, a single message apart. Pub/Sub takes 10 MB, attributes included."""

_MAX_SUBSCRIPTIONS = 20
"""Subscriptions that are looked up for undelivered messages. Any publisher could name any number of them."""

InDoubt = Literal["leave", "publish", "acknowledge"]


class Source(Protocol):
    """Subscription that dead letters come from."""

    def pull(self, at_most: int) -> list[tuple[str, DeadLetter]]:
        """Pull dead letters with their ack ids."""

    def acknowledge(self, ack_ids: list[str]) -> None:
        """Take dead letters away for good."""

    def extend(self, ack_ids: list[str], seconds: int) -> None:
        """Lease dead letters for so many seconds from now; 0 gives them back."""

    def topic_of(self, subscription: str) -> str:
        """Return the topic of a subscription, empty if unknown."""

    def check_answers(self) -> None:
        """Return if Pub/Sub answers, else raise RedriveError."""


class Target(Protocol):
    """Topic that events are published to."""

    def publish(self, originals: Sequence[Original]) -> None:
        """Publish messages of one ordering key; return once they are durable."""


@dataclass(frozen=True, slots=True)
class Timing:
    """How long a run waits for what.

    Args:
        lease_s: How long a dead letter stays leased after the run that held it was killed, in whole seconds.
        pull_wait_s: How long one pull waits for a first dead letter, in seconds.
        idle_pulls: How many pulls in a row must bring nothing more to redrive before the run is over.
        quiet_s: For how long pulls must bring nothing more, in seconds; None for longer than a lease.
    """

    lease_s: int = 30
    pull_wait_s: float = 5.0
    idle_pulls: int = 2
    quiet_s: float | None = None


@dataclass(frozen=True, slots=True)
class Job:
    """What a run is to do.

    Args:
        selection: Which dead letters to redrive.
        rate: Most messages a second; 0 for no limit.
        limit: Most dead letters to redrive, None for all.
        dry_run: Whether to look only: nothing is published or acknowledged.
        in_doubt: What to do with a dead letter that a killed run may have published.
        quiet_s: How long the subscription must be seen without anything more to redrive, in seconds. What another
            consumer holds comes back within that time if it is longer than a lease.
        timing: How long to wait for what.
    """

    selection: Selection
    rate: float = 100.0
    limit: int | None = None
    dry_run: bool = False
    in_doubt: InDoubt = "leave"
    quiet_s: float = 0.0
    timing: Timing = Timing()


class Redrive:
    """A run, from its first pull to the last lease given back.

    An event is published, and Pub/Sub has confirmed it, before its dead letter is acknowledged, so no end of the run
    loses an event. The journal is written before and after each request to publish, so the next run publishes none of
    them again: what was confirmed is only acknowledged, and what may or may not have been published is left unless the
    job says otherwise.

    Dead letters that are not redriven stay leased until the end, because each pull would bring the same ones, and are
    then given back. Where their subscription has a dead-letter policy or a backoff of its own, that counts as a
    delivery.

    Args:
        job: What to do.
        source: Where dead letters come from.
        target: Where events go.
        journal: What earlier runs published.
        report: Counts what is done, also where the run ends early.
        show: Called whenever the report has changed.
        unbroken: Makes a block that signals do not end in the middle.
    """

    def __init__(
        self,
        job: Job,
        source: Source,
        target: Target,
        journal: Journal,
        report: Report,
        show: Callable[[Report], None],
        unbroken: Callable[[], AbstractContextManager[None]] = nullcontext,
    ) -> None:
        self._topics: dict[str, str] = {}
        self._selection = replace(job.selection, topics=self._topics)
        self._job = job
        self._source = source
        self._target = target
        self._journal = journal
        self._report = report
        self._show = show
        self._unbroken = unbroken
        self._leases = Leases(source.extend, job.timing.lease_s)
        self._limiter = RateLimiter(job.rate, time.monotonic())
        self._chosen = 0
        self._has_pulled = False

    def run(self) -> None:
        """Run to the end.

        Raises:
            RedriveError: It cannot go on.
        """
        self._journal.begin()
        try:
            with self._leases:
                self._redrive_all()
        finally:
            if self._leases.are_given_back:
                self._journal.end()

    @property
    def limit_is_reached(self) -> bool:
        """Whether the run ended because it had redriven as many as it was allowed to."""
        return not self._open_places()

    def _redrive_all(self) -> None:
        idle_pulls, idle_since_s = 0, time.monotonic()
        while at_most := self._open_places():
            pulled, young = self._pull(at_most)
            chosen = self._choose(pulled)
            self._show(self._report)
            for batch in self._batches(chosen):
                self._send(batch)
            # A stream that goes on failing always has new dead letters, which do not keep the run going.
            if len(pulled) > young:
                idle_pulls, idle_since_s = 0, time.monotonic()
                continue
            idle_pulls += 1
            quiet_s = time.monotonic() - idle_since_s
            if idle_pulls >= self._job.timing.idle_pulls and quiet_s >= self._job.quiet_s:
                # A pull without an answer looks like one that found nothing.
                self._source.check_answers()
                return

    def _open_places(self) -> int:
        return _PAGE if self._job.limit is None else min(_PAGE, self._job.limit - self._chosen)

    def _pull(self, at_most: int) -> tuple[list[DeadLetter], int]:
        pulled = self._source.pull(at_most)
        new = self._leases.take({found.message_id: ack_id for ack_id, found in pulled})
        by_id = {found.message_id: found for _, found in pulled if found.message_id in new}
        if by_id and not self._has_pulled:
            self._has_pulled = True
            # None of these can be an event of this run that failed again, whatever this machine's clock says.
            newest = max(found.published_at for found in by_id.values())
            began_at = max(newest, self._selection.began_at)
            self._selection = replace(self._selection, began_at=began_at)
        young = sum(found.published_at > self._selection.began_at for found in by_id.values())
        return list(by_id.values()), young

    def _choose(self, pulled: Sequence[DeadLetter]) -> list[DeadLetter]:
        """Return what is to be published, and acknowledge what an earlier run published already."""
        chosen, published = [], []
        for found in pulled:
            self._look_up_subscription(found)
            verdict = self._selection.decide(found)
            if verdict is Verdict.REDRIVE:
                state = self._journal.state(found.key)
                done = state is State.PUBLISHED or (
                    state is State.PUBLISHING and self._job.in_doubt == "acknowledge"
                )
                if done:
                    published.append(found)
                    continue
                if state is State.PUBLISHING and self._job.in_doubt == "leave":
                    verdict = Verdict.IN_DOUBT
                else:
                    chosen.append(found)
            self._report.add(found, verdict)
        self._chosen += len(chosen)
        self._report.acknowledged += len(published)
        if self._job.dry_run:
            return []
        if published:
            with self._unbroken():
                self._journal.record(State.PUBLISHED, [found.key for found in published])
                self._acknowledge(published)
        return chosen

    def _look_up_subscription(self, found: DeadLetter) -> None:
        if self._selection.any_function or not found.is_undelivered:
            return
        name = undelivered.source_subscription(found.attributes)
        if name not in self._topics and len(self._topics) < _MAX_SUBSCRIPTIONS:
            self._topics[name] = self._source.topic_of(name)

    def _batches(self, chosen: Sequence[DeadLetter]) -> Iterator[list[DeadLetter]]:
        """Split dead letters into requests: of one ordering key each, as Pub/Sub demands, and in their order."""
        by_key: dict[str, list[DeadLetter]] = {}
        for found in chosen:
            by_key.setdefault(found.ordering_key, []).append(found)
        most = self._limiter.batch(_PAGE)
        for same in by_key.values():
            batch: list[DeadLetter] = []
            size = 0
            for found in same:
                if batch and (len(batch) == most or size + len(found.data) > _MAX_BATCH_BYTES):
                    yield batch
                    batch, size = [], 0
                batch.append(found)
                size += len(found.data)
            yield batch

    def _send(self, batch: Sequence[DeadLetter]) -> None:
        time.sleep(self._limiter.wait_s(len(batch), time.monotonic()))
        with self._unbroken():
            self._publish(batch)
        self._show(self._report)

    def _publish(self, batch: Sequence[DeadLetter]) -> None:
        keys = [found.key for found in batch]
        self._journal.record(State.PUBLISHING, keys)
        try:
            self._target.publish([original(found) for found in batch])
        except RefusedError:
            self._journal.record(State.REFUSED, keys)
            if len(batch) > 1:  # the others are refused for one of them
                for found in batch:
                    self._publish([found])
                return
            self._report.failed[shown(batch[0].reason)] += 1
            return
        except RedriveError as error:
            if error.nothing_done:
                self._journal.record(State.REFUSED, keys)
            raise
        self._report.redriven.update(shown(found.reason) for found in batch)
        try:
            self._journal.record(State.PUBLISHED, keys)
        finally:  # also where the disk is full: without the dead letters, nothing is in doubt
            self._acknowledge(batch)

    def _acknowledge(self, batch: Sequence[DeadLetter]) -> None:
        message_ids = [found.message_id for found in batch]
        self._source.acknowledge(self._leases.ack_ids(message_ids))
        self._leases.drop(message_ids)
