"""Methods of the two services. The store decides, the hub wakes."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from .acknowledging import Acknowledger, raise_refused
from .delivery_leases import Consumer
from .errors import (
    FailedPreconditionError,
    InvalidArgumentError,
    NotFoundError,
    UnavailableError,
    check_range,
)
from .messages import encode_received, raw
from .settings import MAX_REQUEST_BYTES, check_publish
from .streaming import MAX_BATCH, Stream

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from .clock import Clock
    from .faults import PublishFaults
    from .hub import Hub
    from .messages import Proto
    from .store import Entry, Store

# The service waits "up to a bounded amount of time" that it does not name.
_PULL_WAIT_S = 5.0
_DEFAULT_PAGE = 100


class PublisherService:
    """google.pubsub.v1.Publisher."""

    def __init__(self, store: Store, clock: Clock, faults: PublishFaults) -> None:
        self._store = store
        self._clock = clock
        self._faults = faults

    def create_topic(self, request: Proto) -> Proto:
        """Answer CreateTopic."""
        return self._store.create_topic(request)

    def get_topic(self, request: Proto) -> Proto:
        """Answer GetTopic."""
        return self._store.topic(request.topic)

    def list_topics(self, request: Proto) -> Proto:
        """Answer ListTopics."""
        topics, following = _page(self._store.topics(request.project), request)
        return raw("ListTopicsResponse")(topics=topics, next_page_token=following)

    def list_topic_subscriptions(self, request: Proto) -> Proto:
        """Answer ListTopicSubscriptions."""
        subscriptions, following = _page(self._store.subscriptions_of(request.topic), request)
        return raw("ListTopicSubscriptionsResponse")(subscriptions=subscriptions, next_page_token=following)

    def delete_topic(self, request: Proto) -> Proto:
        """Answer DeleteTopic."""
        self._store.delete_topic(request.topic)
        return raw("Empty")()

    def publish(self, request: Proto) -> Proto:
        """Answer Publish."""
        self._store.topic(request.topic)
        check_publish(request)
        now_s = self._clock.now_s()
        self._faults.check(request.topic, now_s)
        message_ids = self._store.publish(request.topic, request.messages, now_s)
        return raw("PublishResponse")(message_ids=message_ids)


class SubscriberService:
    """google.pubsub.v1.Subscriber."""

    def __init__(self, store: Store, clock: Clock, hub: Hub) -> None:
        self._store = store
        self._clock = clock
        self._hub = hub
        self._acknowledger = Acknowledger(store, clock, hub)

    def create_subscription(self, request: Proto) -> Proto:
        """Answer CreateSubscription."""
        return self._store.create_subscription(request)

    def get_subscription(self, request: Proto) -> Proto:
        """Answer GetSubscription."""
        return self._store.entry(request.subscription).resource

    def update_subscription(self, request: Proto) -> Proto:
        """Answer UpdateSubscription."""
        return self._store.update_subscription(request.subscription, request.update_mask.paths)

    def modify_push_config(self, request: Proto) -> Proto:
        """Answer ModifyPushConfig."""
        changes = raw("Subscription")(name=request.subscription, push_config=request.push_config)
        self._store.update_subscription(changes, ["push_config"])
        return raw("Empty")()

    def list_subscriptions(self, request: Proto) -> Proto:
        """Answer ListSubscriptions."""
        subscriptions, following = _page(self._store.subscriptions(request.project), request)
        return raw("ListSubscriptionsResponse")(subscriptions=subscriptions, next_page_token=following)

    def delete_subscription(self, request: Proto) -> Proto:
        """Answer DeleteSubscription."""
        self._store.delete_subscription(request.subscription)
        return raw("Empty")()

    async def acknowledge(self, request: Proto) -> Proto:
        """Answer Acknowledge."""
        entry = await self._acknowledging(request)
        refused = self._acknowledger.acknowledge(entry, request.ack_ids)
        if entry.plan.loses_answer():
            raise UnavailableError
        raise_refused(refused)
        return raw("Empty")()

    async def modify_ack_deadline(self, request: Proto) -> Proto:
        """Answer ModifyAckDeadline."""
        check_range("ack_deadline_seconds", request.ack_deadline_seconds, 0, 600)
        entry = await self._acknowledging(request)
        raise_refused(
            self._acknowledger.modify_deadline(entry, request.ack_ids, request.ack_deadline_seconds)
        )
        return raw("Empty")()

    async def pull(self, request: Proto) -> bytes:
        """Answer Pull: wait a while for a first message unless asked to return at once."""
        entry = self._pullable(request.subscription)
        check_range("max_messages", request.max_messages, 1, 2**31 - 1)
        consumer = Consumer()
        waits_s = 0.0 if request.return_immediately else self._clock.real_s(_PULL_WAIT_S)
        until_s = asyncio.get_running_loop().time() + waits_s
        while True:
            entry.plan.check_available(self._clock.now_s())
            bell = self._hub.bell(entry.name)
            received = self._receive(entry, consumer, min(request.max_messages, MAX_BATCH), None, None)
            if received or request.return_immediately:
                return received
            try:
                async with asyncio.timeout_at(until_s):
                    await bell.wait()
            except TimeoutError:
                return received
            self._check_unchanged(entry)

    async def streaming_pull(self, requests: AsyncIterator[Proto]) -> AsyncIterator[bytes]:
        """Answer StreamingPull: send messages as they come and as the client's flow control allows."""
        first = await anext(requests, None)
        if first is None:
            return
        entry = self._pullable(first.subscription)
        stream = Stream(entry, first, self._clock, self._hub, self._acknowledger)
        entry.plan.check_available(self._clock.now_s())
        stream.open()
        reader: asyncio.Task[None] | None = None
        try:
            stream.take_acknowledgements(first)
            reader = asyncio.create_task(stream.read(requests))
            while not reader.done():
                bell = self._hub.bell(entry.name)
                self._check_unchanged(entry)
                stream.check_end()
                received = self._receive(
                    entry, stream.consumer, stream.room(), stream.room_bytes(), stream.ack_deadline_s
                )
                response = stream.response(received)
                if response is None:
                    await stream.wait(bell)
                else:
                    yield response
            reader.result()
        finally:
            stream.close()
            if reader is not None:
                reader.cancel()

    async def _acknowledging(self, request: Proto) -> Entry:
        """Return the subscription of an acknowledgement, after the delay that was ordered."""
        entry = self._store.entry(request.subscription)
        if not request.ack_ids:
            raise InvalidArgumentError("You have not specified an ack ID in the request.")
        entry.plan.check_available(self._clock.now_s())
        if delay_s := entry.plan.faults.ack_delay_s:
            await asyncio.sleep(self._clock.real_s(delay_s))
            entry = self._store.entry(request.subscription)
        return entry

    def _receive(
        self, entry: Entry, consumer: Consumer, room: int, room_bytes: int | None, deadline_s: float | None
    ) -> bytes:
        """Return ready messages as a response carries them; empty for none."""
        leases = entry.subscription.lease(
            self._clock.now_s(),
            consumer=consumer,
            max_messages=room,
            max_size=MAX_REQUEST_BYTES if room_bytes is None else min(room_bytes, MAX_REQUEST_BYTES),
            deadline_s=deadline_s,
        )
        if not leases:
            return b""
        self._hub.expect(entry)
        return encode_received(leases, show_attempt=entry.subscription.policy.dead_letter is not None)

    def _check_unchanged(self, entry: Entry) -> None:
        """End a waiting call once its subscription is deleted, even if there is a new one, or is pushed."""
        if self._pullable(entry.name) is not entry:
            raise NotFoundError(entry.name)

    def _pullable(self, name: str) -> Entry:
        entry = self._store.entry(name)
        if entry.subscription.policy.push_endpoint:
            raise FailedPreconditionError("This method is not supported for this subscription type.")
        return entry


def _page(items: Sequence[Proto], request: Proto) -> tuple[Sequence[Proto], str]:
    """Return one page of a list, and the token of the next, which is where that begins."""
    if not (request.page_token or "0").isdecimal():
        raise InvalidArgumentError(f"Invalid page_token given (page_token={request.page_token}).")
    begin = int(request.page_token or 0)
    end = begin + (min(request.page_size, MAX_BATCH) if request.page_size > 0 else _DEFAULT_PAGE)
    return items[begin:end], str(end) if end < len(items) else ""
