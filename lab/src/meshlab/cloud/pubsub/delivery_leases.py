"""Deliveries in flight, and the consumers that hold them: plain values, no I/O and no clock."""

from __future__ import annotations

from collections import OrderedDict, deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

if TYPE_CHECKING:
    from .messages import Message


class Again(NamedTuple):
    """A message that was delivered in vain.

    Attributes:
        failures: How often it was nacked or missed its deadline in this subscription.
    """

    message: Message
    failures: int


Waiting: TypeAlias = "Message | Again"
"""A message that waits for delivery. The first kind is the common one, and a million of them may wait."""


@dataclass(slots=True, eq=False)
class Client:
    """The owner of ordering keys: the streams of one client ID, one Pull call, or the pusher.

    Attributes:
        one_per_key: Whether a key may have only one message outstanding, as with push.
        streams: How many streams it has open.
        keys: How many ordering keys it owns.
        offers: Of these the ones with a message that it may take now, by key.
    """

    one_per_key: bool = False
    streams: int = 0
    keys: int = 0
    offers: OrderedDict[str, Lane] = field(default_factory=OrderedDict)


@dataclass(slots=True, eq=False)
class Consumer:
    """One puller's share of a subscription, counted for flow control."""

    client: Client = field(default_factory=Client)
    messages: int = 0
    size: int = 0


@dataclass(slots=True, eq=False)
class Lease:
    """A delivery in flight.

    Attributes:
        ack_id: What the consumer answers with.
        attempt: 1 for the first delivery of this message by this subscription.
        deadline_s: When the subscription takes the message back.
        due: All leases with the same deadline, by ack ID.
        lane: The messages of its ordering key; None for a message that is not ordered.
        acked: Whether it was acknowledged while an earlier message of its key was not.
    """

    ack_id: str
    message: Message
    attempt: int
    deadline_s: float
    consumer: Consumer
    due: dict[str, Lease]
    lane: Lane | None = None
    acked: bool = False


@dataclass(slots=True, eq=False)
class Lane:
    """The messages of one ordering key, as long as one of them is outstanding or waits behind another.

    Attributes:
        client: The owner of the key while something is outstanding.
        sent: The deliveries in order; the first one is not acknowledged.
        parked: What follows them, in order; None until there is something.
        rests_until_s: Until when nothing of the key is delivered; None for no rest.
    """

    key: str
    client: Client | None = None
    sent: list[Lease] = field(default_factory=list)
    parked: deque[Waiting] | None = None
    rests_until_s: float | None = None
