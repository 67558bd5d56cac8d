"""One run: pull, decide, publish, acknowledge, until nothing is left to redrive."""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Protocol

from enrichment.redrive.dead_letters import DeadLetter, Original, Selection, Verdict, original
from enrichment.redrive.errors import RefusedError
from enrichment.redrive.leases import Leases
from enrichment.redrive.rate import RateLimiter
from enrichment.redrive.report import Report, shown

_PAGE = 100
"""Letters pulled at once."""

_MAX_BATCH_BYTES = 5_000_000
"""Data published in one request, a single message apart. Pub/Sub takes 10 MB, attributes included."""


class Source(Protocol):
    """Where letters come from."""

    def pull(self, at_most: int) -> list[tuple[str, DeadLetter]]:
        """Pulls letters with their ack ids."""

    def acknowledge(self, ack_ids: list[str]) -> None:
        """Takes letters away for good."""

    def extend(self, ack_ids: list[str], seconds: int) -> None:
        """Keeps letters for so many seconds from now; 0 gives them back."""


class Target(Protocol):
    """Where events go."""

    def publish(self, originals: Sequence[Original]) -> None:
        """Publishes messages of one ordering key; returns once they are durable."""


@dataclass(frozen=True, slots=True)
class Timing:
    """How long a run waits for what.

    Args:
        lease_s: How long a letter stays away after the run that held it was killed, in whole seconds.
        pull_wait_s: How long one pull waits for a first letter, in seconds.
        idle_pulls: After how many pulls in a row that bring nothing more to redrive the run is over.
    """

    lease_s: int = 60
    pull_wait_s: float = 10.0
    idle_pulls: int = 3


@dataclass(frozen=True, slots=True)
class Job:
    """What a run is to do.

    Args:
        selection: Which letters to redrive.
        rate: Most messages a second; 0 for no limit.
        limit: Most letters to redrive, None for all.
        dry_run: Whether to look only: nothing is published or acknowledged.
        timing: How long to wait for what.
    """

    selection: Selection
    rate: float = 100.0
    limit: int | None = None
    dry_run: bool = False
    timing: Timing = Timing()


class Redrive:
    """A run, from its first pull to the last lease given back.

    An event is published, and Pub/Sub has confirmed it, before its letter is acknowledged. Whatever ends the run in
    between makes the next one publish it again, with the same identity, and so no second row. Letters that are not
    redriven stay leased until the end, lest each pull bring the same ones, and are then given back; where their
    subscription has a dead-letter policy or a backoff of its own, that counts as a delivery.

    Args:
        job: What to do.
        source: Where letters come from.
        target: Where events go.
        report: Counts what is done, also where the run ends early.
        tell: Called whenever the report has changed.
        unbroken: Makes a block that signals do not end in the middle.
    """

    def __init__(
        self,
        job: Job,
        source: Source,
        target: Target,
        report: Report,
        tell: Callable[[Report], None],
        unbroken: Callable[[], AbstractContextManager[None]] = nullcontext,
    ) -> None:
        self._job = job
        self._source = source
        self._target = target
        self._report = report
        self._tell = tell
        self._unbroken = unbroken
        self._leases = Leases(source.extend, job.timing.lease_s)
        self._limiter = RateLimiter(job.rate, time.monotonic())
        self._chosen = 0

    def run(self) -> None:
        """Runs to the end.

        Raises:
            RedriveError: it cannot go on.
        """
        idle = 0
        with self._leases:
            while idle < self._job.timing.idle_pulls and (room := self._room()):
                pulled, young = self._pull(room)
                chosen = [letter for letter in pulled if self._is_chosen(letter)]
                self._chosen += len(chosen)
                self._tell(self._report)
                # Of a stream that goes on failing there are always new letters, which do not keep the run going.
                idle = 0 if len(pulled) > young else idle + 1
                if not self._job.dry_run:
                    for batch in self._batches(chosen):
                        self._send(batch)

    def _room(self) -> int:
        return _PAGE if self._job.limit is None else min(_PAGE, self._job.limit - self._chosen)

    def _pull(self, at_most: int) -> tuple[list[DeadLetter], int]:
        pulled = self._source.pull(at_most)
        new = self._leases.take({letter.message_id: ack_id for ack_id, letter in pulled})
        letters = {letter.message_id: letter for _, letter in pulled if letter.message_id in new}
        young = sum(letter.published_at > self._job.selection.began_at for letter in letters.values())
        return list(letters.values()), young

    def _is_chosen(self, letter: DeadLetter) -> bool:
        verdict = self._job.selection.decide(letter)
        self._report.add(letter, verdict)
        return verdict is Verdict.REDRIVE

    def _batches(self, letters: Sequence[DeadLetter]) -> Iterator[list[DeadLetter]]:
        """Splits letters into requests: of one ordering key each, as Pub/Sub demands, and in the order they came."""
        by_key: dict[str, list[DeadLetter]] = {}
        for letter in letters:
            by_key.setdefault(letter.ordering_key, []).append(letter)
        most = self._limiter.batch(_PAGE)
        for same in by_key.values():
            batch: list[DeadLetter] = []
            size = 0
            for letter in same:
                if batch and (len(batch) == most or size + len(letter.data) > _MAX_BATCH_BYTES):
                    yield batch
                    batch, size = [], 0
                batch.append(letter)
                size += len(letter.data)
            yield batch

    def _send(self, batch: Sequence[DeadLetter]) -> None:
        time.sleep(self._limiter.wait_s(len(batch), time.monotonic()))
        with self._unbroken():
            self._publish(batch)
        self._tell(self._report)

    def _publish(self, batch: Sequence[DeadLetter]) -> None:
        try:
            self._target.publish([original(letter) for letter in batch])
        except RefusedError:
            if len(batch) > 1:  # one of them spoiled it for the others
                for letter in batch:
                    self._publish([letter])
                return
            self._report.failed[shown(batch[0].reason)] += 1
            return
        self._report.redriven.update(shown(letter.reason) for letter in batch)
        message_ids = [letter.message_id for letter in batch]
        self._source.acknowledge(self._leases.ack_ids(message_ids))
        self._leases.drop(message_ids)
