"""What the chaos test sends and what it breaks, all drawn from one seed. Pure."""

from __future__ import annotations

import enum
import itertools
import json
import random
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

DUPLICATE_SHARE = 0.05
POISON_SHARE = 0.01
UNKNOWN_SHARE = 0.03
PROFILES = 4000
"""Many enough that lookups go on all the time, whatever a cache remembers."""


class Blow(enum.Enum):
    """Something that is broken in mid-flight; the value names it in pictures."""

    GATEWAY_RESTARTED = "the gateway is killed and started again"
    BIGQUERY_UNAVAILABLE = "BigQuery answers 503 for 5 s"
    DEAD_LETTER_TOPIC_FAILS = "the dead-letter topic refuses for 5 s"
    FUNCTION_KILLED = "the function is killed with SIGKILL and started again"
    FUNCTION_ENDED = "the function is ended with SIGTERM and started again"


@dataclass(frozen=True)
class Sent:
    """A message to publish, and what must become of it.

    Attributes:
        data: What is published.
        kind: What it is, for pictures.
        event_id: The row it must be, or None for a bad event.
        reason: The reason of its dead letter, or None for a good event.
    """

    data: bytes
    kind: str
    event_id: str | None = None
    reason: str | None = None


@dataclass(frozen=True)
class Plan:
    """One run: what is sent, in order, and what is broken when.

    Attributes:
        sent: The messages.
        blows: Each with the number of settled messages at which it falls, in that order.
    """

    sent: Sequence[Sent]
    blows: Sequence[tuple[int, Blow]]

    def __str__(self) -> str:
        kinds = Counter(message.kind for message in self.sent)
        return f"{len(self.sent)} messages: {', '.join(f'{n} {kind}' for kind, n in kinds.most_common())}"


def draw(seed: int, events: int) -> Plan:
    """Draw a run.

    Args:
        seed: Decides everything.
        events: How many different events; their duplicates come on top.
    """
    luck = random.Random(seed)
    poisons = itertools.cycle(_POISONS)
    sent: list[tuple[float, Sent]] = []
    for number in range(events):
        drawn = luck.random()
        due = number + luck.random()
        if drawn < POISON_SHARE:
            sent.append((due, next(poisons)(f"chaos-{number}")))
        elif drawn < POISON_SHARE + UNKNOWN_SHARE:
            data = _event(f"chaos-{number}", user_id=f"nobody-{number}")
            sent.append((due, Sent(data, "of an unknown key", reason="profile_not_found")))
        else:
            name = f"chaos-{number}"
            good = Sent(_event(name, user_id=user_id(luck.randrange(PROFILES))), "good", event_id=name)
            sent.append((due, good))
            if luck.random() < DUPLICATE_SHARE:
                again = Sent(good.data, "published again", event_id=name)
                sent.append((luck.uniform(due, events), again))
    sent.sort(key=lambda item: item[0])
    return Plan([message for _, message in sent], _blows(luck, len(sent)))


def user_id(number: int) -> str:
    """The key of a profile, one that has to be quoted in a path now and then."""
    return f"u-{number}" if number % 10 else f"u {number}/ü"


def profiles() -> Mapping[str, Mapping[str, str]]:
    """What the service in the mesh knows."""
    return {user_id(number): {"name": f"Name {number}"} for number in range(PROFILES)}


def _blows(luck: random.Random, messages: int) -> list[tuple[int, Blow]]:
    """Each at its own time, and the last one early enough to have work left. The gateway falls twice."""
    blows = [*Blow, Blow.GATEWAY_RESTARTED]
    luck.shuffle(blows)
    step = 0.9 / len(blows)
    return [
        (int(messages * (index + luck.uniform(0.2, 0.8)) * step), blow) for index, blow in enumerate(blows)
    ]


def _event(event_id: str, **fields: object) -> bytes:
    basic = {"event_id": event_id, "user_id": user_id(1), "type": "page_view"}
    return json.dumps({**basic, "occurred_at": "2026-11-20T08:00:00Z", **fields}).encode()


def _broken_json(event_id: str) -> Sent:
    return Sent(_event(event_id)[:-9], "of broken JSON", reason="json_invalid")


def _broken_text(event_id: str) -> Sent:
    return Sent(_event(event_id) + b"\xff", "of broken UTF-8", reason="json_invalid")


def _no_object(event_id: str) -> Sent:
    return Sent(json.dumps([event_id]).encode(), "not an object", reason="event_invalid")


def _no_user(event_id: str) -> Sent:
    return Sent(_event(event_id).replace(b"user_id", b"userId"), "without a key", reason="event_invalid")


def _wrong_type(event_id: str) -> Sent:
    return Sent(_event(event_id, user_id=7), "of a wrong type", reason="event_invalid")


def _no_time(event_id: str) -> Sent:
    return Sent(_event(event_id, occurred_at="yesterday"), "of no time", reason="event_invalid")


def _ambiguous(event_id: str) -> Sent:
    twice = _event(event_id).replace(b'"type"', b'"user_id": "u-2", "type"')
    return Sent(twice, "ambiguous", reason="event_invalid")


_POISONS = (_broken_json, _broken_text, _no_object, _no_user, _wrong_type, _no_time, _ambiguous)
