"""Dead letters and undelivered messages of a subscription, through the enrichment and straight to their rows.

`python -m enrichment redrive` publishes events again, and the function takes them. Here they do not pass through the
trigger's topic. Each has the identity of its first publication, so its row is the one that it would have been. A dead
letter is acknowledged once its row is durable. One that is bad again stays where it is, and is not published anew.
"""

import contextlib
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from enrichment.dead_letter import ATTRIBUTES_DROPPED, MESSAGE_ID
from enrichment.documents.instant import rfc3339
from enrichment.errors import Disposition
from enrichment.redrive.dead_letters import DeadLetter, original
from enrichment.redrive.errors import RedriveError
from enrichment.redrive.pubsub import DeadLetterSource

from enrichment_beam.engine import Lease
from enrichment_beam.enrich import not_finished
from enrichment_beam.messages import received

if TYPE_CHECKING:
    from enrichment_beam.backfill.work import ShardRun

BATCH = 500
LEASE_S = 600
"""How long a dead letter is held, in seconds: the longest that Pub/Sub allows."""

PULL_S = 5.0
EMPTY_PULLS = 2
"""So many pulls without a new dead letter end the run: Pub/Sub may answer one early."""

MAX_PATIENCE_S = 300.0
"""How long an event may be tried again at most, in seconds: within the lease."""


def take(run: "ShardRun", lease: Lease) -> None:
    """Take the dead letters of a subscription to their end.

    Args:
        run: The shard, which is the whole subscription: its counts begin again with each run.
        lease: The engine.

    Raises:
        EventsNotFinishedError: A transient error did not pass, or a fault ends the run.
    """
    from enrichment_beam.backfill.shard import ShardState

    run.state = ShardState(run.shard.number, 0)
    try:
        source = DeadLetterSource(run.shard.name, PULL_S)
    except RedriveError as error:
        run.state.failed = str(error)
        run.journal.write_state(run.state)
        return
    seen: set[str] = set()
    kept: list[str] = []
    try:
        _pull(run, lease, source, seen, kept)
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


def _pull(run: "ShardRun", lease: Lease, source: DeadLetterSource, seen: set[str], kept: list[str]) -> None:
    empty = 0
    while empty < EMPTY_PULLS:
        pulled = source.pull(BATCH)
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
            done.extend(_take_all(run, lease, new))  # what came before an error as well
        finally:
            source.acknowledge(done)
            finished = set(done)
            kept += [ack_id for ack_id in held if ack_id not in finished]
        run.state.at = time.time()
        run.journal.write_state(run.state)


def _take_all(run: "ShardRun", lease: Lease, new: list[tuple[str, DeadLetter]]) -> Iterator[str]:
    """Take dead letters to their end, and give the ack ids of those that are rows now."""
    bundle, state = lease.bundle(), run.state
    for ack_id, found in new:
        state.records += 1
        if not _is_whole(found):
            state.left += 1
            state.reasons["not a dead letter that can be read"] = (
                state.reasons.get("not a dead letter that can be read", 0) + 1
            )
            continue
        redriven = original(found)
        bundle.add(
            ack_id,
            received(
                redriven.data,
                redriven.attributes,
                found.message_id,
                rfc3339(found.published_at.astimezone(UTC) if found.published_at else datetime.now(UTC)),
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
        state.outcomes[disposition.value] = state.outcomes.get(disposition.value, 0) + 1
        for cache in ended.tally.lookups:
            state.lookups[cache] = state.lookups.get(cache, 0) + 1
        if disposition is Disposition.DEAD_LETTERED:
            state.left += 1
            state.reasons[ended.outcome.reason] = state.reasons.get(ended.outcome.reason, 0) + 1
            continue
        yield ended.ticket
    if error is not None:
        raise error


def _is_whole(found: DeadLetter) -> bool:
    """Return whether a dead letter holds all of the event's message."""
    if not found.reason:
        return False
    return found.is_undelivered or (
        bool(found.attributes.get(MESSAGE_ID)) and ATTRIBUTES_DROPPED not in found.attributes
    )
