"""Methods of the two services. The store decides, the hub wakes."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from .errors import FailedPreconditionError, InvalidArgumentError, NotFoundError, check_range
from .messages import raw, to_received
from .settings import MAX_REQUEST_BYTES, check_publish
from .subscription import Consumer

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from .clock import Clock
    from .faults import PublishFaults
    from .hub import Hub
    from .messages import Proto
    from .store import Entry, Store
    from .subscription import Lease

# The service waits "up to a bounded amount of time" that it does not name.
_PULL_WAIT_S = 5.0
_MAX_BATCH = 1000
_DEFAULT_PAGE = 100


class PublisherService:
    """google.pubsub.v1.Publisher."""

    def __init__(self, store: Store, clock: Clock, faults: PublishFaults) -> None:
        self._store = store
        self._clock = clock
        self._faults = faults

    def create_topic(self, request: Proto) -> Proto:
        """Answers CreateTopic."""
        return self._store.create_topic(request)

    def get_topic(self, request: Proto) -> Proto:
        """Answers GetTopic."""
        return self._store.topic(request.topic)

    def list_topics(self, request: Proto) -> Proto:
        """Answers ListTopics."""
        topics, following = _page(self._store.topics(request.project), request)
        return raw("ListTopicsResponse")(topics=topics, next_page_token=following)

    def list_topic_subscriptions(self, request: Proto) -> Proto:
        """Answers ListTopicSubscriptions."""
        subscriptions, following = _page(self._store.subscriptions_of(request.topic), request)
        return raw("ListTopicSubscriptionsResponse")(subscriptions=subscriptions, next_page_token=following)

    def delete_topic(self, request: Proto) -> Proto:
        """Answers DeleteTopic."""
        self._store.delete_topic(request.topic)
        return raw("Empty")()

    def publish(self, request: Proto) -> Proto:
        """Answers Publish."""
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

    def create_subscription(self, request: Proto) -> Proto:
        """Answers CreateSubscription."""
        return self._store.create_subscription(request)

    def get_subscription(self, request: Proto) -> Proto:
        """Answers GetSubscription."""
        return self._store.entry(request.subscription).resource

    def update_subscription(self, request: Proto) -> Proto:
        """Answers UpdateSubscription."""
        return self._store.update_subscription(request.subscription, request.update_mask.paths)

    def modify_push_config(self, request: Proto) -> Proto:
        """Answers ModifyPushConfig."""
        changes = raw("Subscription")(name=request.subscription, push_config=request.push_config)
        self._store.update_subscription(changes, ["push_config"])
        return raw("Empty")()

    def list_subscriptions(self, request: Proto) -> Proto:
        """Answers ListSubscriptions."""
        subscriptions, following = _page(self._store.subscriptions(request.project), request)
        return raw("ListSubscriptionsResponse")(subscriptions=subscriptions, next_page_token=following)

    def delete_subscription(self, request: Proto) -> Proto:
        """Answers DeleteSubscription."""
        self._store.delete_subscription(request.subscription)
        return raw("Empty")()

    def acknowledge(self, request: Proto) -> Proto:
        """Answers Acknowledge."""
        self._store.entry(request.subscription).subscription.ack(request.ack_ids)
        self._store.touch(request.subscription)
        return raw("Empty")()

    def modify_ack_deadline(self, request: Proto) -> Proto:
        """Answers ModifyAckDeadline."""
        check_range("ack_deadline_seconds", request.ack_deadline_seconds, 0, 600)
        subscription = self._store.entry(request.subscription).subscription
        subscription.modify_deadline(request.ack_ids, request.ack_deadline_seconds, self._clock.now_s())
        self._store.touch(request.subscription)
        return raw("Empty")()

    async def pull(self, request: Proto) -> Proto:
        """Answers Pull: waits a while for a first message unless asked to return at once."""
        entry = self._pullable(request.subscription)
        check_range("max_messages", request.max_messages, 1, 2**31 - 1)
        consumer = Consumer()
        waits_s = 0.0 if request.return_immediately else self._clock.real_s(_PULL_WAIT_S)
        until_s = asyncio.get_running_loop().time() + waits_s
        while True:
            bell = self._hub.bell(entry.name)
            leases = self._lease(entry, consumer, min(request.max_messages, _MAX_BATCH), None, None)
            if leases or request.return_immediately:
                break
            try:
                async with asyncio.timeout_at(until_s):
                    await bell.wait()
            except TimeoutError:
                break
            self._check_unchanged(entry)
        return raw("PullResponse")(received_messages=_received(entry, leases))

    async def streaming_pull(self, requests: AsyncIterator[Proto]) -> AsyncIterator[Proto]:
        """Answers StreamingPull: sends messages as they come and as the client's flow control allows.

        Leases outlive the stream, as in the service: what a client took and did not settle comes back after
        its deadline.
        """
        first = await anext(requests, None)
        if first is None:
            return
        entry = self._pullable(first.subscription)
        stream = _Stream(first)
        self._settle(entry, first)
        reader = asyncio.create_task(self._read(entry, stream, requests))
        try:
            while not reader.done():
                bell = self._hub.bell(entry.name)
                self._check_unchanged(entry)
                leases = self._lease(
                    entry, stream.consumer, stream.room(), stream.room_bytes(), stream.ack_deadline_s
                )
                if leases:
                    yield raw("StreamingPullResponse")(received_messages=_received(entry, leases))
                else:
                    await bell.wait()
            reader.result()
        finally:
            reader.cancel()

    async def _read(self, entry: Entry, stream: _Stream, requests: AsyncIterator[Proto]) -> None:
        try:
            async for request in requests:
                stream.update(request)
                self._settle(entry, request)
        finally:
            self._hub.ring(entry.name)

    def _settle(self, entry: Entry, request: Proto) -> None:
        ack_ids, seconds = request.modify_deadline_ack_ids, request.modify_deadline_seconds
        if len(ack_ids) != len(seconds):
            raise InvalidArgumentError(
                f"Got {len(ack_ids)} modify_deadline_ack_ids but {len(seconds)} modify_deadline_seconds; "
                "there must be one for each."
            )
        entry.subscription.ack(request.ack_ids)
        for ack_id, new_s in zip(ack_ids, seconds, strict=True):
            check_range("modify_deadline_seconds", new_s, 0, 600)
            entry.subscription.modify_deadline([ack_id], new_s, self._clock.now_s())
        if request.ack_ids or ack_ids:
            self._store.touch(entry.name)
            self._hub.settle()

    def _lease(
        self, entry: Entry, consumer: Consumer, room: int, room_bytes: int | None, deadline_s: float | None
    ) -> list[Lease]:
        leases = entry.subscription.lease(
            self._clock.now_s(),
            consumer=consumer,
            max_messages=room,
            max_size=MAX_REQUEST_BYTES if room_bytes is None else min(room_bytes, MAX_REQUEST_BYTES),
            deadline_s=deadline_s,
        )
        if leases:
            self._store.touch(entry.name)
            self._hub.settle()
        return leases

    def _check_unchanged(self, entry: Entry) -> None:
        """Ends a waiting call once its subscription is deleted, even if there is a new one, or is pushed."""
        if self._pullable(entry.name) is not entry:
            raise NotFoundError(entry.name)

    def _pullable(self, name: str) -> Entry:
        entry = self._store.entry(name)
        if entry.subscription.policy.push_endpoint:
            raise FailedPreconditionError("This method is not supported for this subscription type.")
        return entry


class _Stream:
    """One StreamingPull call: its settings and its flow control."""

    def __init__(self, first: Proto) -> None:
        self.consumer = Consumer()
        self._max_messages: int = first.max_outstanding_messages
        self._max_bytes: int = first.max_outstanding_bytes
        check_range("stream_ack_deadline_seconds", first.stream_ack_deadline_seconds, 10, 600)
        self.ack_deadline_s: float = first.stream_ack_deadline_seconds

    def room(self) -> int:
        """Returns how many messages may be sent now."""
        if self._max_messages <= 0:
            return _MAX_BATCH
        return max(0, min(self._max_messages - self.consumer.messages, _MAX_BATCH))

    def room_bytes(self) -> int | None:
        """Returns how many bytes may be sent now, or None for any number."""
        return None if self._max_bytes <= 0 else max(0, self._max_bytes - self.consumer.size)

    def update(self, request: Proto) -> None:
        """Takes a later request's settings, or refuses those that only the first may carry."""
        for name in ("subscription", "max_outstanding_messages", "max_outstanding_bytes", "protocol_version"):
            if getattr(request, name):
                raise InvalidArgumentError(
                    f"{name} may be set on the first request of a streaming pull only."
                )
        if request.stream_ack_deadline_seconds:
            check_range("stream_ack_deadline_seconds", request.stream_ack_deadline_seconds, 10, 600)
            self.ack_deadline_s = request.stream_ack_deadline_seconds


def _received(entry: Entry, leases: Sequence[Lease]) -> list[Proto]:
    show_attempt = entry.subscription.policy.dead_letter is not None
    return [to_received(lease, show_attempt=show_attempt) for lease in leases]


def _page(items: Sequence[Proto], request: Proto) -> tuple[Sequence[Proto], str]:
    """Returns one page of a list, and the token of the next: simply where that begins."""
    if not (request.page_token or "0").isdecimal():
        raise InvalidArgumentError(f"Invalid page_token given (page_token={request.page_token}).")
    begin = int(request.page_token or 0)
    end = begin + (min(request.page_size, _MAX_BATCH) if request.page_size > 0 else _DEFAULT_PAGE)
    return items[begin:end], str(end) if end < len(items) else ""
