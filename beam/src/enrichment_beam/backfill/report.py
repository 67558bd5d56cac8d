"""Report of a backfill: what became of each input."""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime

import msgspec

from enrichment_beam.backfill.journal import Plan
from enrichment_beam.backfill.shard import Shard, ShardState, add


class InputReport(msgspec.Struct, omit_defaults=False):
    """What became of one input.

    Args:
        name: The file, table or subscription.
        state: `done`, `failed`, `left` where dead letters stay in the subscription, or `unfinished`.
        shards: Its shards.
        shards_done: Those of which nothing is left.
        records: Records read.
        rows: Rows written.
        written: Events that were written.
        dead_lettered: Events that were dead-lettered, by reason; of a subscription, those that are bad again.
        examples: The first of each reason: where its record is, and what is wrong with it.
        dropped: Events that pipeline.toml drops.
        unreadable: Records longer than any message, which are neither written nor dead-lettered.
        undated: Events without the field that `--publish-time` names; their publish time is that of the backfill.
        retries: Tries beyond the first.
        lookups: Lookups by how they were answered: `fetched` and `shared` are calls, `hit` none.
        failed: Why it stopped, one sentence for each shard that did.
    """

    name: str
    state: str = "unfinished"
    shards: int = 0
    shards_done: int = 0
    records: int = 0
    rows: int = 0
    written: int = 0
    dead_lettered: dict[str, int] = {}
    examples: dict[str, str] = {}
    dropped: int = 0
    unreadable: int = 0
    undated: int = 0
    retries: int = 0
    lookups: dict[str, int] = {}
    failed: list[str] = []

    def add(self, state: ShardState) -> None:
        """Count one shard."""
        self.shards += 1
        self.shards_done += state.done
        self.records += state.records
        self.rows += state.rows
        self.written += state.outcomes.get("written", 0)
        self.dropped += state.outcomes.get("dropped", 0)
        self.unreadable += state.unreadable
        self.undated += state.undated
        self.retries += state.retries
        add(self.dead_lettered, state.reasons)
        self.examples = state.examples | self.examples
        add(self.lookups, state.lookups)
        if state.failed:
            self.failed.append(state.failed)
        if state.left:
            self.state = "left"
        elif self.failed:
            self.state = "failed"

    @property
    def bad(self) -> int:
        """Dead-lettered events."""
        return sum(self.dead_lettered.values())


class Report(msgspec.Struct):
    """What became of a backfill.

    Args:
        is_dry_run: Whether nothing was written.
        began_at: When it was begun, RFC 3339.
        reported_at: When this was made, RFC 3339.
        seconds: How long the last run took.
        total: All inputs together.
        inputs: Each input.
    """

    is_dry_run: bool
    began_at: str
    reported_at: str
    seconds: float
    total: InputReport
    inputs: list[InputReport]

    @property
    def is_complete(self) -> bool:
        """Whether nothing is left to do."""
        return self.total.state == "done" and not self.total.unreadable

    def encode(self) -> bytes:
        """Return it as JSON."""
        return msgspec.json.format(msgspec.json.encode(self), indent=2)


def make(plan: Plan, states: Iterable[ShardState], seconds: float, *, is_dry_run: bool) -> Report:
    """Make the report.

    Args:
        plan: What the backfill is about.
        states: How far each shard is, in the order of the plan's.
        seconds: How long this run took.
        is_dry_run: Whether nothing was written.
    """
    inputs = {name: InputReport(name) for name, *_ in plan.inputs}
    total = InputReport("all")
    for shard, state in zip(plan.shards, states, strict=True):
        inputs[shard.name].add(state)
        total.add(state)
    for one in (*inputs.values(), total):
        if one.state == "unfinished" and one.shards_done == one.shards:
            one.state = "done"
    total.failed = list(dict.fromkeys(total.failed))
    now = datetime.now(UTC).isoformat(timespec="seconds")
    return Report(is_dry_run, plan.began_at, now, round(seconds, 3), total, list(inputs.values()))


def done_of(shards: Sequence[Shard], states: Sequence[ShardState]) -> tuple[int, int]:
    """Return how much of the inputs is done and how much they are, in bytes or rows."""
    whole = sum(shard.size for shard in shards)
    done = sum(
        shard.size if state.done else min(max(state.progress, 0), shard.size)
        for shard, state in zip(shards, states, strict=True)
    )
    return done, whole
