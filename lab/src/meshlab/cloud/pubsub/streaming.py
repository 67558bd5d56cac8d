"""One StreamingPull call: its flow control, its acknowledgements, its end.

Source: the comments of StreamingPullRequest and StreamingPullResponse in google/pubsub/v1/pubsub.proto.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from .delivery_leases import Consumer
from .errors import InvalidArgumentError, PubSubError, StreamEndedError, check_range
from .messages import raw

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from .acknowledging import Acknowledger
    from .clock import Clock
    from .hub import Hub
    from .messages import Proto
    from .store import Entry
    from .subscription import Refused

MAX_BATCH = 1000

_FIRST_ONLY = ("subscription", "max_outstanding_messages", "max_outstanding_bytes", "protocol_version")


class Stream:
    """The server's side of a StreamingPull call.

    Args:
        entry: The subscription.
        first: The first request.
        clock: The time.
        hub: Wakes the stream.
        acknowledger: Takes its acknowledgements.

    Raises:
        InvalidArgumentError: The first request has a bad ack deadline.
    """

    def __init__(
        self, entry: Entry, first: Proto, clock: Clock, hub: Hub, acknowledger: Acknowledger
    ) -> None:
        check_range("stream_ack_deadline_seconds", first.stream_ack_deadline_seconds, 10, 600)
        self.ack_deadline_s: float = first.stream_ack_deadline_seconds
        self.consumer = Consumer(entry.client(first.client_id))
        self._max_messages: int = first.max_outstanding_messages
        self._max_bytes: int = first.max_outstanding_bytes
        self._answers_pings = first.protocol_version >= 1
        self._entry = entry
        self._clock = clock
        self._hub = hub
        self._acknowledger = acknowledger
        self._opened_s = self._heard_s = clock.now_s()
        self._ends = entry.plan.ends[0]
        self._tail = raw("StreamingPullResponse")()
        self._has_tail = False
        self._error: PubSubError | None = None

    def open(self) -> None:
        """Count it as open. `close` must follow."""
        self.consumer.client.streams += 1
        self._entry.plan.counts.streams += 1
        self._entry.plan.counts.streams_opened += 1

    def close(self) -> None:
        """Count it as ended. Its leases go on: what the client does not settle comes back at its deadline."""
        self.consumer.client.streams -= 1
        self._entry.plan.counts.streams -= 1

    def room(self) -> int:
        """Return how many messages may be sent now."""
        if self._max_messages <= 0:
            return MAX_BATCH
        return max(0, min(self._max_messages - self.consumer.messages, MAX_BATCH))

    def room_bytes(self) -> int | None:
        """Return how many bytes may be sent now, or None for any number."""
        return None if self._max_bytes <= 0 else max(0, self._max_bytes - self.consumer.size)

    def check_end(self) -> None:
        """Raise the error that ends the stream: a fault's, or that of a delayed acknowledgement."""
        if self._error is not None:
            raise self._error
        plan = self._entry.plan
        ends, status = plan.ends
        if ends != self._ends:
            plan.counts.streams_ended += 1
            raise StreamEndedError(status)
        if (left_s := self._left_s()) is not None and left_s <= 0:
            plan.counts.streams_ended += 1
            raise StreamEndedError(plan.faults.stream_status)
        plan.check_available(self._clock.now_s())

    async def wait(self, bell: asyncio.Event) -> None:
        """Wait for a change of the subscription, or for the stream's end."""
        left_s = self._left_s()
        try:
            async with asyncio.timeout(None if left_s is None else self._clock.real_s(left_s)):
                await bell.wait()
        except TimeoutError:
            pass

    def response(self, received: bytes) -> bytes | None:
        """Return the next response, serialized: messages and what else is to be said; None for nothing."""
        if not received and not self._has_tail:
            return None
        policy = self._entry.subscription.policy
        properties = self._tail.subscription_properties
        properties.exactly_once_delivery_enabled = policy.exactly_once
        properties.message_ordering_enabled = policy.ordering
        tail: bytes = self._tail.SerializeToString()
        self._tail.Clear()
        self._has_tail = False
        return received + tail

    async def read(self, requests: AsyncIterator[Proto]) -> None:
        """Take the client's later requests until it has no more.

        Raises:
            InvalidArgumentError: One of them breaks a rule; the stream must end with it.
        """
        try:
            async for request in requests:
                self._heard_s = self._clock.now_s()
                self._update(request)
                self.take_acknowledgements(request)
                if self._answers_pings and not request.ListFields():
                    self._has_tail = True
                    self._hub.ring(self._entry.name)
        finally:
            self._hub.ring(self._entry.name)

    def take_acknowledgements(self, request: Proto) -> None:
        """Acknowledge and move deadlines as a request asks, at once or after the delay that was ordered."""
        ack_ids, seconds = request.modify_deadline_ack_ids, request.modify_deadline_seconds
        if len(ack_ids) != len(seconds):
            raise InvalidArgumentError(
                f"Got {len(ack_ids)} modify_deadline_ack_ids but {len(seconds)} modify_deadline_seconds; "
                "there must be one for each."
            )
        for new_s in set(seconds):
            check_range("modify_deadline_seconds", new_s, 0, 600)
        if not request.ack_ids and not ack_ids:
            return
        delay_s = self._entry.plan.faults.ack_delay_s
        if delay_s:
            asyncio.get_running_loop().call_later(self._clock.real_s(delay_s), self._apply_late, request)
        else:
            self._apply(request)

    def _apply_late(self, request: Proto) -> None:
        try:
            self._apply(request)
        except PubSubError as error:
            self._error = error
            self._hub.ring(self._entry.name)

    def _apply(self, request: Proto) -> None:
        confirms = self._entry.subscription.policy.exactly_once
        if request.ack_ids:
            refused = self._acknowledger.acknowledge(self._entry, request.ack_ids)
            if confirms:
                confirmation = self._tail.acknowledge_confirmation
                _confirm(confirmation, request.ack_ids, refused)
                confirmation.unordered_ack_ids.extend(refused.unordered)
        by_seconds: dict[int, list[str]] = {}
        for ack_id, new_s in zip(
            request.modify_deadline_ack_ids, request.modify_deadline_seconds, strict=True
        ):
            by_seconds.setdefault(new_s, []).append(ack_id)
        for new_s, ids in by_seconds.items():
            refused = self._acknowledger.modify_deadline(self._entry, ids, new_s)
            if confirms:
                _confirm(self._tail.modify_ack_deadline_confirmation, ids, refused)
        if confirms:
            self._has_tail = True
            self._hub.ring(self._entry.name)

    def _update(self, request: Proto) -> None:
        """Take a later request's settings, or refuse those that only the first may carry."""
        for name in _FIRST_ONLY:
            if getattr(request, name):
                raise InvalidArgumentError(
                    f"{name} may be set on the first request of a streaming pull only."
                )
        if request.stream_ack_deadline_seconds:
            check_range("stream_ack_deadline_seconds", request.stream_ack_deadline_seconds, 10, 600)
            self.ack_deadline_s = request.stream_ack_deadline_seconds

    def _left_s(self) -> float | None:
        """Return how long the stream still lives, in seconds; None for no end."""
        faults = self._entry.plan.faults
        bounds = ((self._opened_s, faults.stream_life_s), (self._heard_s, faults.idle_stream_s))
        ends_s = [since_s + lasts_s for since_s, lasts_s in bounds if lasts_s]
        return min(ends_s) - self._clock.now_s() if ends_s else None


def _confirm(confirmation: Proto, ack_ids: list[str], refused: Refused) -> None:
    """Say of each ack ID what became of it."""
    without_effect = {*refused.invalid, *refused.unordered, *refused.temporary}
    confirmation.ack_ids.extend(each for each in ack_ids if each not in without_effect)
    confirmation.invalid_ack_ids.extend(refused.invalid)
    confirmation.temporary_failed_ack_ids.extend(refused.temporary)
