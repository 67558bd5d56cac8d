"""One stream of messages: opened, kept open, opened again after it broke, and ended without losing what has arrived."""

import asyncio
import contextlib
import random
from collections.abc import Awaitable, Callable, Iterable, Sequence

import msgspec

from enrichment.core.received import Received
from enrichment.drivers.work.api import Api, CallError, PullStream
from enrichment.drivers.work.leased_message import LeasedMessage
from enrichment.drivers.work.messages import Proto, StreamRequest
from enrichment.drivers.work.report import Report
from enrichment.drivers.work.worker import Worker
from enrichment.event import message
from enrichment.telemetry.counters import Count

HEARTBEAT_S = 30.0
"""How often an empty request is sent, in seconds: Pub/Sub ends a stream whose client sends nothing for 60 s."""

OPEN_AFTER_S = 2.0
"""How long after its first request a stream that has not failed counts as open, in seconds. Pub/Sub refuses within a
second, and says nothing where there is no message."""

_FIRST_DELAY_S = 0.1
_MAX_DELAY_S = 60.0
_END_S = 1.0


class StreamSettings(msgspec.Struct, frozen=True):
    """What the first request of a stream says.

    Args:
        subscription: `projects/P/subscriptions/S`.
        client_id: Names this process, so that Pub/Sub can keep an ordering key with it after a reconnect.
        lease_s: How long a message is leased, in whole seconds.
        max_messages: The most messages that are delivered and not answered.
        max_bytes: The most bytes of them.
    """

    subscription: str
    client_id: str
    lease_s: int
    max_messages: int
    max_bytes: int


class Stream:
    """Keeps one stream open.

    Args:
        api: Pub/Sub.
        settings: What its first request says.
        worker: Takes the messages.
        source: The topic as dead letters name it; empty if unknown.
        report: Logs what goes wrong.
        count: Counts openings by what ended the stream before.
        sleep: Waits for so many seconds.
        jitter: Gives a random number from 0 to 1.

    Attributes:
        is_open: Whether it is open.
        tried_at_s: When it last sent a heartbeat or was opened, on the loop's clock.
    """

    def __init__(
        self,
        api: Api,
        settings: StreamSettings,
        worker: Worker,
        source: Callable[[], str],
        report: Report,
        count: Count,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self._api = api
        self._settings = settings
        self._worker = worker
        self._source = source
        self._report = report
        self._count = count
        self._sleep = sleep
        self._jitter = jitter
        self._stream: PullStream | None = None
        self._is_ending = asyncio.Event()
        self._tries = 0
        self._keeps_order = False
        self.is_open = False
        self.tried_at_s = 0.0

    async def run(self) -> None:
        """Receive messages until `end`. Never raises CallError."""
        longest_s = _FIRST_DELAY_S
        while not self._is_ending.is_set():
            self.tried_at_s = asyncio.get_running_loop().time()
            try:
                await self._receive()
            except CallError as error:
                if self._is_ending.is_set():
                    return
                self._count("streams_ended", code=error.code)
                if self.is_open:  # it broke as all streams do; the next try is the first
                    self._tries, longest_s = 0, _FIRST_DELAY_S
                self.is_open = False
                self._tries += 1
                self._report.failed(error.code, error.detail, self._tries)
                await self._pause(longest_s * self._jitter())
                longest_s = min(longest_s * 2, _MAX_DELAY_S)

    def end(self) -> None:
        """Ask for no further messages. `run` returns when those that have arrived are taken, within a second or so."""
        self._is_ending.set()

    async def _pause(self, delay_s: float) -> None:
        waits = [asyncio.ensure_future(self._sleep(delay_s)), asyncio.ensure_future(self._is_ending.wait())]
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for wait in waits:
                wait.cancel()

    async def _receive(self) -> None:
        stream = self._stream = await self._api.stream()
        beside: list[asyncio.Task[None]] = []
        try:
            await stream.send(self._first_request())
            beside.append(asyncio.create_task(self._keep_alive(stream)))
            beside.append(asyncio.create_task(self._end_when_asked(stream)))
            while (response := await stream.read()) is not None:
                self._opened()
                await self._take(response)
                await self._worker.room()
        finally:
            for task in beside:
                task.cancel()
            stream.cancel()
            self._stream = None

    def _first_request(self) -> Proto:
        settings = self._settings
        return StreamRequest(
            subscription=settings.subscription,
            client_id=settings.client_id,
            stream_ack_deadline_seconds=settings.lease_s,
            max_outstanding_messages=settings.max_messages,
            max_outstanding_bytes=settings.max_bytes,
        )

    async def _keep_alive(self, stream: PullStream) -> None:
        await asyncio.sleep(OPEN_AFTER_S)
        self._opened()
        with contextlib.suppress(CallError):  # reading says what is wrong
            while True:
                await asyncio.sleep(HEARTBEAT_S)
                self.tried_at_s = asyncio.get_running_loop().time()
                await stream.send(StreamRequest())

    async def _end_when_asked(self, stream: PullStream) -> None:
        await self._is_ending.wait()
        await stream.end()
        await asyncio.sleep(_END_S)
        stream.cancel()

    def _opened(self) -> None:
        if not self.is_open:
            self.is_open = True
            self._report.opened()

    async def _take(self, response: Proto) -> None:
        properties = response.subscription_properties
        self._worker.answers.exactly_once = properties.exactly_once_delivery_enabled
        self._keeps_order = properties.message_ordering_enabled
        await self._worker.take(
            held_messages(response.received_messages, self._source(), keeps_order=self._keeps_order)
        )


def held_messages(received: Iterable[Proto], source: str, *, keeps_order: bool) -> Sequence[LeasedMessage]:
    """Return received messages as the core takes them.

    Args:
        received: `ReceivedMessage`s of protobuf.
        source: The topic as dead letters name it; empty if unknown.
        keeps_order: Whether the subscription keeps the order of messages of one key.
    """
    extensions = {"source": source} if source else {}
    found: list[LeasedMessage] = []
    for one in received:
        inner = one.message
        published = inner.publish_time
        read = message.of_pull(
            inner.data,
            dict(inner.attributes),
            inner.message_id,
            (published.seconds, published.nanos),
            inner.ordering_key,
            one.delivery_attempt,
        )
        found.append(
            LeasedMessage(
                one.ack_id,
                inner.message_id,
                inner.ordering_key if keeps_order else "",
                inner.ByteSize(),
                one.delivery_attempt,
                Received(inner.data, read, extensions),
            )
        )
    return found
