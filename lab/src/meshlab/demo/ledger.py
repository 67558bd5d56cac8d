"""Balance of published messages and of what was found of them. Pure."""

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

_NAMED = 5


@dataclass(frozen=True)
class Published:
    """A message that was published.

    Attributes:
        message_id: The id that Pub/Sub gave it.
        event_id: What its event calls itself, or None where it says nothing usable.
    """

    message_id: str
    event_id: str | None


@dataclass(frozen=True)
class Row:
    """A row found in the table, by the two ids that name its origin."""

    message_id: str
    event_id: str


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
        repeats: Messages whose event had a row already, from another message.
        rows: How many rows there are.
        dead_letters: The dead letters of these messages.
        lost: Messages that are nowhere.
        doubled: Events with more than one row.
        contradicted: Messages with both a row and a dead letter.
    """

    messages: int
    repeats: int
    rows: int
    dead_letters: Sequence[DeadLetter]
    lost: Sequence[str]
    doubled: Sequence[str]
    contradicted: Sequence[str]

    @property
    def events(self) -> int:
        """Distinct events: messages without the repeats."""
        return self.messages - self.repeats

    @property
    def balanced(self) -> bool:
        """Whether every event ended in exactly one place."""
        misplaced = self.lost or self.doubled or self.contradicted
        return not misplaced and self.events == self.rows + len(self.dead_letters)

    @property
    def complaints(self) -> list[str]:
        """What keeps it from balancing, one sentence each; none exactly when it is balanced."""
        found = [
            *_named("lost, neither a row nor a dead letter: message", self.lost),
            *_named("more than one row: event", self.doubled),
            *_named("both a row and a dead letter: message", self.contradicted),
        ]
        if not found and not self.balanced:
            found.append(f"the sums do not agree: {self}")
        return found

    def __str__(self) -> str:
        return f"{self.events} events, {self.rows} rows, {len(self.dead_letters)} dead-lettered, {len(self.lost)} lost"


def balance(
    published: Sequence[Published], rows: Sequence[Row], dead_letters: Iterable[DeadLetter]
) -> Ledger:
    """Find each message among the rows and the dead letters."""
    by_message: Mapping[str, DeadLetter] = {letter.message_id: letter for letter in dead_letters}
    written_messages = {row.message_id for row in rows}
    rows_of_event = Counter(row.event_id for row in rows)
    repeats = 0
    lost = []
    for message in published:
        if message.message_id in by_message or message.message_id in written_messages:
            continue
        if message.event_id in rows_of_event:
            repeats += 1
        else:
            lost.append(message.message_id)
    return Ledger(
        messages=len(published),
        repeats=repeats,
        rows=len(rows),
        dead_letters=[
            by_message[message.message_id] for message in published if message.message_id in by_message
        ],
        lost=lost,
        doubled=sorted(event for event, count in rows_of_event.items() if count > 1),
        contradicted=[
            message.message_id
            for message in published
            if message.message_id in by_message and message.message_id in written_messages
        ],
    )


def event_id_of(data: bytes) -> str | None:
    """The event's own id, where the payload is a JSON object with a string for it."""
    try:
        event = json.loads(data)
    except ValueError:
        return None
    event_id = event.get("event_id") if isinstance(event, dict) else None
    return event_id if isinstance(event_id, str) and event_id else None


def _named(what: str, ids: Sequence[str]) -> list[str]:
    """One complaint that counts them all and names the first."""
    if not ids:
        return []
    rest = f" and {len(ids) - _NAMED} more" if len(ids) > _NAMED else ""
    return [f"{what} {', '.join(ids[:_NAMED])}{rest}"]
