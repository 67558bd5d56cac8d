"""What the chaos test sends and what it breaks, all drawn from one seed. Pure."""

from __future__ import annotations

import enum
import heapq
import itertools
import json
import random
from collections import Counter
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

DUPLICATE_SHARE = 0.05
POISON_SHARE = 0.01
UNKNOWN_SHARE = 0.03
EVENT_PREFIX = "chaos-"
EVENTS_PER_ROUND = 100_000
"""Everything is broken again for each so many messages."""

PROFILES = 4000
"""Many enough that lookups go on all the time, whatever a cache remembers."""


class Blow(enum.Enum):
    """Something that is broken in the middle of a run; the value names it in pictures."""

    GATEWAY_RESTARTED = "the gateway is killed and started again"
    BIGQUERY_UNAVAILABLE = "BigQuery answers 503 for 5 s"
    DEAD_LETTER_TOPIC_FAILS = "the dead-letter topic refuses for 5 s"
    FUNCTION_KILLED = "the function is killed with SIGKILL and started again"
    FUNCTION_ENDED = "the function is ended with SIGTERM and started again"


@dataclass(frozen=True, slots=True)
class Sent:
    """A message to publish, and what must become of it.

    Attributes:
        number: The event's number; a message that repeats an event has the same.
        data: What is published.
        kind: What it is, for pictures.
        reason: The reason of its dead letter, or None for a good event.
        is_repeat: Whether the same event was published before.
    """

    number: int
    data: bytes
    kind: str
    reason: str | None = None
    is_repeat: bool = False

    @property
    def event_id(self) -> str | None:
        """The row it must be, or None for a bad event."""
        return None if self.reason else event_id(self.number)


@dataclass(frozen=True)
class Plan:
    """One run: what is sent, in order, and what is broken when.

    The messages are made when they are asked for, so that a million of them need no memory.

    Attributes:
        seed: Decides everything.
        events: How many different events.
        messages: How many messages: the events and their repeats.
        kinds: How many messages of each kind there are.
        blows: Each with the number of settled messages at which it falls, in that order.
    """

    seed: int
    events: int
    messages: int
    kinds: Mapping[str, int]
    blows: Sequence[tuple[int, Blow]]

    def sent(self) -> Iterator[Sent]:
        """Make the messages, in the order in which they are published."""
        return (made() for _, made in _draws(self.seed, self.events))

    def good(self) -> Iterator[int]:
        """Return the number of each good event, once."""
        return (drawn.number for drawn, _ in _draws(self.seed, self.events) if drawn.kind == _GOOD)

    def __str__(self) -> str:
        kinds = sorted(self.kinds.items(), key=lambda item: -item[1])
        return f"{self.messages} messages: {', '.join(f'{n} {kind}' for kind, n in kinds)}"


class _Drawn(NamedTuple):
    """What was drawn for a message, before it is made."""

    number: int
    kind: str


_GOOD = "good"
_REPEAT = "published again"
_UNKNOWN = "of an unknown key"


def draw(seed: int, events: int) -> Plan:
    """Draw a run.

    Args:
        seed: Decides everything.
        events: How many different events; their duplicates come on top.
    """
    kinds = Counter(drawn.kind for drawn, _ in _draws(seed, events))
    messages = kinds.total()
    return Plan(seed, events, messages, kinds, _blows(random.Random(f"{seed} blows"), messages))


def _draws(seed: int, events: int) -> Iterator[tuple[_Drawn, Callable[[], Sent]]]:
    """Draw each message: its number and kind, and what makes it. Repeats that are due come before the next event."""
    luck = random.Random(seed)
    poisons = itertools.cycle(_POISONS.items())
    repeats: list[tuple[float, int, int]] = []
    for number in range(events):
        drawn = luck.random()
        due = number + luck.random()
        while repeats and repeats[0][0] < due:
            _, repeated, user = heapq.heappop(repeats)
            yield _Drawn(repeated, _REPEAT), partial(_good, repeated, user, is_repeat=True)
        if drawn < POISON_SHARE:
            kind, (poison, reason) = next(poisons)
            yield _Drawn(number, kind), partial(_bad, number, kind, poison, reason)
        elif drawn < POISON_SHARE + UNKNOWN_SHARE:
            yield _Drawn(number, _UNKNOWN), partial(_bad, number, _UNKNOWN, _unknown, "profile_not_found")
        else:
            user = luck.randrange(PROFILES)
            yield _Drawn(number, _GOOD), partial(_good, number, user)
            if luck.random() < DUPLICATE_SHARE:
                heapq.heappush(repeats, (luck.uniform(due, events), number, user))
    while repeats:
        _, repeated, user = heapq.heappop(repeats)
        yield _Drawn(repeated, _REPEAT), partial(_good, repeated, user, is_repeat=True)


def good_events() -> Iterator[bytes]:
    """Make good events without an end, over all profiles in turn."""
    for number in itertools.count():
        yield _event(number, user_id=user_id(number % PROFILES))


def event_id(number: int) -> str:
    """The id of an event."""
    return f"{EVENT_PREFIX}{number}"


def user_id(number: int) -> str:
    """The key of a profile, one that has to be quoted in a path now and then."""
    return f"u-{number}" if number % 10 else f"u {number}/ü"


def profiles() -> Mapping[str, Mapping[str, str]]:
    """What the service in the mesh knows."""
    return {user_id(number): {"name": f"Name {number}"} for number in range(PROFILES)}


def _blows(luck: random.Random, messages: int) -> list[tuple[int, Blow]]:
    """Draw a time for each, the last one early enough to have work left. The gateway falls twice in each round."""
    blows = []
    for _ in range(max(1, messages // EVENTS_PER_ROUND)):
        again = [*Blow, Blow.GATEWAY_RESTARTED]
        luck.shuffle(again)
        blows += again
    step = 0.9 / len(blows)
    return [
        (int(messages * (index + luck.uniform(0.2, 0.8)) * step), blow) for index, blow in enumerate(blows)
    ]


def _good(number: int, user: int, *, is_repeat: bool = False) -> Sent:
    data = _event(number, user_id=user_id(user))
    return Sent(number, data, _REPEAT if is_repeat else _GOOD, is_repeat=is_repeat)


def _bad(number: int, kind: str, make: Callable[[int], bytes], reason: str) -> Sent:
    return Sent(number, make(number), kind, reason)


def _event(number: int, **fields: object) -> bytes:
    basic = {"event_id": event_id(number), "user_id": user_id(1), "type": "page_view"}
    return json.dumps({**basic, "occurred_at": "2026-11-20T08:00:00Z", **fields}).encode()


def _unknown(number: int) -> bytes:
    return _event(number, user_id=f"nobody-{number}")


def _broken_json(number: int) -> bytes:
    return _event(number)[:-9]


def _broken_text(number: int) -> bytes:
    return _event(number) + b"\xff"


def _no_object(number: int) -> bytes:
    return json.dumps([event_id(number)]).encode()


def _no_user(number: int) -> bytes:
    return _event(number).replace(b"user_id", b"userId")


def _wrong_type(number: int) -> bytes:
    return _event(number, user_id=7)


def _no_time(number: int) -> bytes:
    return _event(number, occurred_at="yesterday")


def _ambiguous(number: int) -> bytes:
    return _event(number).replace(b'"type"', b'"user_id": "u-2", "type"')


_POISONS: Mapping[str, tuple[Callable[[int], bytes], str]] = {
    "of broken JSON": (_broken_json, "json_invalid"),
    "of broken UTF-8": (_broken_text, "json_invalid"),
    "not an object": (_no_object, "event_invalid"),
    "without a key": (_no_user, "event_invalid"),
    "of a wrong type": (_wrong_type, "event_invalid"),
    "of no time": (_no_time, "event_invalid"),
    "ambiguous": (_ambiguous, "event_invalid"),
}
