"""Balance of published messages and of what was found of them. Pure."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from dataclasses import field, replace
from typing import TYPE_CHECKING

from meshlab.quick_dataclass import dataclass

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

_NAMED = 5


@dataclass(frozen=True)
class Published:
    """A message that was published.

    Attributes:
        message_id: The id that Pub/Sub gave it.
        event_id: What names its event, or None where it says nothing usable.
        content: The same for two messages that say the same.
    """

    message_id: str
    event_id: str | None
    content: bytes = b""

    @property
    def event(self) -> tuple[str, bytes] | None:
        """The identity of the event: its id and content, since two may share an id; None without an id."""
        return None if self.event_id is None else (self.event_id, self.content)


@dataclass(frozen=True)
class Row:
    """A row found in a table, by the ids that name its origin; None for one that the table has no column for."""

    message_id: str | None
    event_id: str | None


@dataclass(frozen=True)
class DeadLetter:
    """A dead letter found on its topic: the message it came from, and the function's reason."""

    message_id: str
    reason: str
    stage: str
    detail: str


@dataclass(frozen=True)
class Ledger:
    """The balance.

    Attributes:
        messages: How many messages were published.
        repeats: Messages that repeat an event that has a row from another message.
        rows: How many rows there are.
        written: Messages that have a row of their own.
        dead_letters: The dead letters of these messages.
        dropped: Messages that the pipeline drops on purpose.
        lost: Messages that are nowhere.
        replaced: Those of the lost whose id belongs to another event, which has a row.
        doubled: Events with more than one row.
        contradicted: Messages with both a row and a dead letter.
        is_counted_alone: Whether rows name no origin, so that they can only be counted.
        makes_many_rows: Whether one message makes any number of rows, or holds any number of events.
    """

    messages: int
    repeats: int
    rows: int
    written: int
    dead_letters: Sequence[DeadLetter]
    lost: Sequence[str]
    doubled: Sequence[str]
    contradicted: Sequence[str]
    dropped: int = 0
    replaced: Mapping[str, str] = field(default_factory=dict)
    is_counted_alone: bool = False
    makes_many_rows: bool = False

    @property
    def events(self) -> int:
        """Distinct events: messages without the repeats."""
        return self.messages - self.repeats

    @property
    def balanced(self) -> bool:
        """Whether every event ended in exactly one place."""
        misplaced = self.lost or self.doubled or self.contradicted
        ends = self.written + len(self.dead_letters) + self.dropped
        return not misplaced and (self.makes_many_rows or (self.events == ends and self.rows == self.written))

    @property
    def complaints(self) -> list[str]:
        """What keeps it from balancing, one sentence each; none exactly when it is balanced."""
        plainly_lost = [message for message in self.lost if message not in self.replaced]
        named = [f"{message} ({event})" for message, event in self.replaced.items()]
        found = [
            *_named("lost, neither a row nor a dead letter: message", plainly_lost),
            *_named("lost, because another event with the same id has a row: message", named),
            *_named("more than one row: event", self.doubled),
            *_named("both a row and a dead letter: message", self.contradicted),
        ]
        if not found and not self.balanced:
            found.append(f"the sums do not agree: {self}")
        return found

    def __str__(self) -> str:
        dropped = f", {self.dropped} dropped" if self.dropped else ""
        return (
            f"{self.events} events, {self.rows} rows, {len(self.dead_letters)} dead-lettered{dropped},"
            f" {len(self.lost)} lost"
        )


def balance(
    published: Sequence[Published],
    rows: Sequence[Row],
    dead_letters: Iterable[DeadLetter],
    dropped: Collection[str] = (),
    *,
    makes_many_rows: bool = False,
    event_ids: Mapping[str, str] | None = None,
) -> Ledger:
    """Find each message among the rows, the dead letters and what was dropped.

    Args:
        published: The messages.
        rows: The rows of all tables.
        dead_letters: The dead letters.
        dropped: The ids of messages that the function reported as dropped.
        makes_many_rows: Whether one message makes any number of rows.
        event_ids: What names the event of each message, or of each part of one, as the function logged it.
    """
    by_part = {dead_letter.message_id: dead_letter for dead_letter in dead_letters}
    parts_of_rows = {row.message_id for row in rows}
    origins = _Origins(published) if makes_many_rows else _Origins(())
    parts = {event: part for part, event in (event_ids or {}).items()} if makes_many_rows else {}
    rows = [
        replace(row, message_id=origins.of(row.message_id or parts.get(row.event_id or ""))) for row in rows
    ]
    ended = {origins.of(part) for part in dropped}
    by_message: dict[str | None, list[DeadLetter]] = defaultdict(list)
    for part, dead_letter in by_part.items():
        by_message[origins.of(part)].append(dead_letter)
    dead = [dead_letter for one in published for dead_letter in by_message.get(one.message_id, ())]
    if rows and not any(row.message_id or row.event_id for row in rows):
        return _counted(published, rows, dead, ended, makes_many_rows=makes_many_rows)
    written = _written(published, rows, by_message)
    in_rows = _in_rows(published, rows, written)
    ids_in_rows = {row.event_id for row in rows if row.event_id} | {event_id for event_id, _ in in_rows}
    repeats, lost, replaced = 0, [], dict[str, str]()
    for one in published:
        if one.message_id in by_message or one.message_id in written or one.message_id in ended:
            continue
        if one.event is not None and one.event in in_rows:
            repeats += 1
            continue
        lost.append(one.message_id)
        if one.event_id is not None and one.event_id in ids_in_rows:
            replaced[one.message_id] = one.event_id
    return Ledger(
        messages=len(published),
        repeats=repeats,
        rows=len(rows),
        written=len(written),
        dead_letters=dead,
        dropped=sum(one.message_id in ended for one in published),
        lost=lost,
        replaced=replaced,
        doubled=[] if makes_many_rows else _doubled(published, rows, by_message),
        contradicted=[
            dead_letter.message_id
            for dead_letter in dead
            if dead_letter.message_id in (parts_of_rows if makes_many_rows else written)
        ],
        makes_many_rows=makes_many_rows,
    )


class _Origins:
    """Messages by the names of their parts: `MESSAGE:NUMBER`, where a message holds several events."""

    def __init__(self, published: Sequence[Published]) -> None:
        self._known = {one.message_id for one in published}

    def of(self, part: str | None) -> str | None:
        """Return the message that a part belongs to, the part itself where no such message was published."""
        message = (part or "").rpartition(":")[0]
        return message if message in self._known else part


def event_id_of(data: bytes) -> str | None:
    """Return the event's own id, where the payload is a JSON object with a string for it."""
    try:
        event = json.loads(data)
    except (ValueError, RecursionError):
        return None
    event_id = event.get("event_id") if isinstance(event, dict) else None
    return event_id if isinstance(event_id, str) and event_id else None


def content_of(data: bytes) -> bytes:
    """Return what a message says, the same for two JSON texts of one value."""
    try:
        return json.dumps(json.loads(data), sort_keys=True).encode()
    except (ValueError, RecursionError):
        return data


def _written(published: Sequence[Published], rows: Sequence[Row], dead: Collection[str | None]) -> set[str]:
    """Return the messages with a row: those that rows name, or else the first message of each event with a row."""
    if any(row.message_id for row in rows):
        named = {row.message_id for row in rows}
        return {one.message_id for one in published if one.message_id in named}
    live = (one for one in published if one.message_id not in dead)
    return {one.message_id for one in _first_of_each(live, Counter(row.event_id for row in rows))}


def _in_rows(
    published: Sequence[Published], rows: Sequence[Row], written: Collection[str]
) -> set[tuple[str, bytes]]:
    """Return the events that have a row: from a written message, or from one that was published before."""
    events = {one.event for one in published if one.message_id in written and one.event is not None}
    known = {one.message_id for one in published}
    earlier = Counter(row.event_id for row in rows if row.message_id and row.message_id not in known)
    rest = _first_of_each((one for one in published if one.event not in events), earlier)
    return events | {one.event for one in rest if one.event is not None}


def _first_of_each(published: Iterable[Published], rows: Counter[str | None]) -> Iterator[Published]:
    """Yield the first message of each event, of one id as many events as there are rows."""
    left, seen = Counter(rows), set[tuple[str, bytes]]()
    for one in published:
        if one.event is not None and one.event not in seen and left[one.event_id] > 0:
            left[one.event_id] -= 1
            seen.add(one.event)
            yield one


def _doubled(published: Sequence[Published], rows: Sequence[Row], dead: Collection[str | None]) -> list[str]:
    """Return the ids of events with more than one row. Two events that share an id may each have one."""
    known = {one.message_id: one for one in published}
    sharing = Counter(
        event[0] for event in {one.event for one in published if one.message_id not in dead} if event
    )
    count: Counter[tuple[str, bytes | None]] = Counter()
    for row in rows:
        origin = known.get(row.message_id or "")
        event = row.event_id or (origin.event_id if origin else None) or row.message_id or ""
        count[event, origin.content if origin else None] += 1
    # A row that names no message may belong to any of the events that share its id.
    return sorted(
        {
            event
            for (event, content), times in count.items()
            if times > (max(1, sharing[event]) if content is None else 1)
        }
    )


def _counted(
    published: Sequence[Published],
    rows: Sequence[Row],
    dead: Sequence[DeadLetter],
    dropped: Collection[str | None],
    *,
    makes_many_rows: bool,
) -> Ledger:
    """Return the balance of rows that name no origin: equal messages of one event are taken for repeats."""
    ended: set[str | None] = {*(dead_letter.message_id for dead_letter in dead), *dropped}
    live = [one for one in published if one.message_id not in ended]
    events = {(one.event_id or one.message_id, one.content) for one in live}
    return Ledger(
        messages=len(published),
        repeats=len(live) - len(events),
        rows=len(rows),
        written=len(events) if makes_many_rows else len(rows),
        dead_letters=dead,
        dropped=sum(one.message_id in dropped for one in published),
        lost=[],
        doubled=[],
        contradicted=[],
        is_counted_alone=True,
        makes_many_rows=makes_many_rows,
    )


def _named(what: str, ids: Sequence[str]) -> list[str]:
    """Return one complaint that counts all and names the first."""
    if not ids:
        return []
    rest = f" and {len(ids) - _NAMED} more" if len(ids) > _NAMED else ""
    return [f"{what} {', '.join(ids[:_NAMED])}{rest}"]
