"""One message that the worker holds a lease of."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import asyncio

    from enrichment.core.received import Received
    from enrichment.errors import Outcome


class LeasedMessage:
    """A message from its arrival until its answer is confirmed.

    Args:
        ack_id: What the answer names.
        message_id: The server's id.
        ordering_key: The key, if the subscription keeps order; else empty.
        size_bytes: Size of the message as flow control counts it.
        attempt: Which delivery it is, 1 for the first; 0 where the subscription does not count.
        received: The message for the core; None once it is no longer needed.

    Attributes:
        arrived_at_s: When it arrived, on the monotonic clock.
        began_at_s: When the core began with it; None before.
        is_answered: Whether its one answer was given: an ack or a nack.
        is_lost: Whether Pub/Sub has said that its lease is over.
        copies: Later deliveries of the same message, which get the same answer.
        closes_key: Whether its ordering key stays closed until its nack is confirmed.
        task: What takes it to its end.
    """

    __slots__ = (
        "ack_id", "arrived_at_s", "attempt", "began_at_s", "closes_key", "copies", "is_answered", "is_lost",
        "message_id", "ordering_key", "received", "size_bytes", "task",
    )  # fmt: skip

    def __init__(
        self,
        ack_id: str,
        message_id: str,
        ordering_key: str,
        size_bytes: int,
        attempt: int,
        received: "Received | None",
    ) -> None:
        self.ack_id = ack_id
        self.message_id = message_id
        self.ordering_key = ordering_key
        self.size_bytes = size_bytes
        self.attempt = attempt
        self.received = received
        self.arrived_at_s = 0.0
        self.began_at_s: float | None = None
        self.is_answered = False
        self.is_lost = False
        self.closes_key = False
        self.copies: tuple[LeasedMessage, ...] = ()
        self.task: asyncio.Task[Outcome | None] | None = None

    @property
    def is_over(self) -> bool:
        """Whether it needs no answer any more."""
        return self.is_answered or self.is_lost

    @property
    def open_deliveries(self) -> "list[LeasedMessage]":
        """Those of itself and its copies that still need an answer."""
        return [one for one in (self, *self.copies) if not one.is_over]
