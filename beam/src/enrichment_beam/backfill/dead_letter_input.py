"""Dead letters and undelivered messages of a subscription, through the enrichment and straight to their rows.

`python -m enrichment redrive` publishes events again, and the function takes them. Here they do not pass through the
trigger's topic. Each has the identity of its first publication, so its row is the one that it would have been. A dead
letter is acknowledged once its row is durable. One that is bad again stays where it is, and is not published anew.
Which are taken is decided as by `redrive`: several functions may share a dead-letter topic, and an event of another one
would make a wrong row here and be gone there.
"""

import contextlib
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from enrichment.errors import Disposition
from enrichment.redrive import undelivered
from enrichment.redrive.dead_letters import DeadLetter, Selection, Verdict, original
from enrichment.redrive.errors import RedriveError
from enrichment.redrive.pubsub import DeadLetterSource

from enrichment_beam.backfill.shard import add, counts
from enrichment_beam.enrich import not_finished
from enrichment_beam.messages import received
from enrichment_beam.shared_engine import Lease

if TYPE_CHECKING:
    from enrichment_beam.backfill.work import Job, ShardRun

BATCH = 500
BATCH_S = 120.0
"""Longest time that the events of one pull take to begin with `--rate`, in seconds: a part of the lease."""
LEASE_S = 600
"""How long a dead letter is held, in seconds: the longest that Pub/Sub allows."""

PULL_S = 5.0
EMPTY_PULLS = 2
"""So many pulls without a new dead letter end the run: Pub/Sub may answer one early."""

MAX_PATIENCE_S = 300.0
"""How long an event may be tried again at most, in seconds: within the lease."""


def take(run: "ShardRun", lease: Lease, job: "Job") -> None:
    """Take the dead letters of a subscription to their end.

    Args:
        run: The shard, which is the whole subscription: its counts begin again with each run.
        lease: The engine.
        job: What the workers need to know.

    Raises:
        EventsNotFinishedError: A transient error did not pass, or a fault ends the run.
    """
    from enrichment_beam.backfill.shard import ShardState

    run.state = ShardState(run.shard.number, 0)
    try:
        source = DeadLetterSource(run.shard.name, PULL_S, "--dead-letters")
    except RedriveError as error:
        run.state.failed = str(error)
        run.journal.write_state(run.state)
        return
    seen: set[str] = set()
    kept: list[str] = []
    try:
        rate = job.options.rate_per_s
        chosen = _Chosen(source, job)
        batch = max(1, min(BATCH, int(rate * BATCH_S))) if rate else BATCH
        _pull(run, lease, chosen, batch, seen, kept)
        run.state.done = not run.state.left
    except RedriveError as error:
        run.state.failed = str(error)
    except Exception as error:
        run.state.failed = str(error)
        raise
    finally:
        with contextlib.suppress(RedriveError):  # then they come back when their lease ends
            source.extend(kept, 0)
        source.close()
        run.state.at = time.time()
        run.journal.write_state(run.state)


class _Chosen:
    """Choice of the dead letters that belong to this pipeline.

    Args:
        source: Their subscription.
        job: What the workers need to know.
    """

    def __init__(self, source: DeadLetterSource, job: "Job") -> None:
        self.source = source
        self._topics: dict[str, str] = {}
        env = job.settings.environment
        self._selection = Selection(
            began_at=datetime.max.replace(
                tzinfo=UTC
            ),  # what is bad again is not published, so none comes twice
            topic=env.get("TRIGGER_TOPIC", ""),
            function=env.get("K_SERVICE", ""),
            any_function=job.any_function,
            topics=self._topics,
        )

    def decide(self, found: DeadLetter) -> Verdict:
        """Return what to do with one. Raises RedriveError where Pub/Sub does not answer."""
        if found.is_undelivered and self._selection.topic and not self._selection.any_function:
            name = undelivered.source_subscription(found.attributes)
            if name not in self._topics:
                self._topics[name] = self.source.topic_of(name)
        return self._selection.decide(found)


def _pull(
    run: "ShardRun", lease: Lease, chosen: _Chosen, batch: int, seen: set[str], kept: list[str]
) -> None:
    empty, source = 0, chosen.source
    while empty < EMPTY_PULLS:
        pulled = source.pull(batch)
        new = [(ack_id, found) for ack_id, found in pulled if found.key not in seen]
        kept += [ack_id for ack_id, found in pulled if found.key in seen]
        if not new:
            empty += 1
            continue
        empty = 0
        seen.update(found.key for _, found in new)
        held = [ack_id for ack_id, _ in new]
        source.extend(held, LEASE_S)
        done: list[str] = []
        try:
            done.extend(_take_all(run, lease, chosen, new))  # what came before an error as well
        finally:
            source.acknowledge(done)
            finished = set(done)
            kept += [ack_id for ack_id in held if ack_id not in finished]
        run.state.at = time.time()
        run.journal.write_state(run.state)


def _take_all(
    run: "ShardRun", lease: Lease, chosen: _Chosen, new: list[tuple[str, DeadLetter]]
) -> Iterator[str]:
    """Take dead letters to their end, and give the ack ids of those that are rows now."""
    bundle, state = lease.bundle(), run.state
    for ack_id, found in new:
        state.records += 1
        verdict = chosen.decide(found)
        if verdict is not Verdict.REDRIVE:
            state.left += 1
            add(state.reasons, {verdict.value: 1})
            continue
        redriven = original(found)
        bundle.add(
            ack_id,
            received(
                redriven.data,
                redriven.attributes,
                found.message_id,
                found.published_at or datetime.now(UTC),
                redriven.ordering_key,
            ),
        )
    error = None
    for ended in bundle.drain():
        disposition = ended.outcome.disposition
        if disposition in (Disposition.RETRY, Disposition.FAULT):
            error = error or not_finished(ended)
            continue
        state.rows += ended.tally.rows
        state.retries += ended.tally.tries - 1
        add(state.outcomes, {disposition.value: 1})
        add(state.lookups, counts(ended.tally.lookups))
        if disposition is Disposition.DEAD_LETTERED:
            state.left += 1
            reason = ended.outcome.reason
            add(state.reasons, {reason: 1})
            state.examples.setdefault(reason, f"{run.shard.name}: {ended.outcome.detail}")
            continue
        yield ended.ticket
    if error is not None:
        raise error
