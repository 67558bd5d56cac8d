"""The gRPC edge: methods by name, errors as statuses, start and stop."""

from __future__ import annotations

import asyncio
import inspect
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import grpc

from meshlab.cloud.grpc_serving import Grpc, listen

from . import control
from .clock import Clock
from .errors import AckIdError, PubSubError
from .faults import PublishFaults
from .hub import Hub
from .messages import raw
from .push import Pusher
from .service import PublisherService, SubscriberService
from .store import Store

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator

    from .messages import Proto

DEFAULT_PUSH_CONCURRENCY = 64

_PUBLISHER = "/google.pubsub.v1.Publisher/"
_SUBSCRIBER = "/google.pubsub.v1.Subscriber/"

_MAX_REQUEST_BYTES = 20 * 1024 * 1024


class Server:
    """A fake for Pub/Sub on 127.0.0.1.

    Args:
        clock: The time by which deadlines and backoffs pass.
        push_concurrency: The largest number of pushes in flight for each subscription.
    """

    def __init__(self, clock: Clock | None = None, push_concurrency: int = DEFAULT_PUSH_CONCURRENCY) -> None:
        clock = clock or Clock()
        self._store = Store(first_message_id=int(clock.now_s() * 1e6))
        self._faults = PublishFaults()
        self._pusher = Pusher(self._store, clock, push_concurrency)
        self._hub = Hub(
            self._store, clock, lambda entry: self._pusher.ensure(entry, self._hub), self._pusher.forget
        )
        self._publisher = PublisherService(self._store, clock, self._faults)
        self._subscriber = SubscriberService(self._store, clock, self._hub)
        self._clock = clock
        self._grpc: Grpc = None

    async def start(self, port: int = 0) -> int:
        """Begin to serve, and return the port.

        Args:
            port: The port to listen on, or 0 for a free one.

        Raises:
            RuntimeError: The port is taken.
        """
        self._grpc, bound = await listen(self._methods(), _refuse, port, _MAX_REQUEST_BYTES)
        return bound

    async def stop(self) -> None:
        """End at once; what is in flight is dropped."""
        await self._grpc.stop(None)
        self._hub.close()
        await self._pusher.close()

    def _methods(self) -> dict[str, Grpc]:
        publisher, subscriber = self._publisher, self._subscriber
        unary: dict[str, Callable[[Proto], Any]] = {
            _PUBLISHER + "CreateTopic": publisher.create_topic,
            _PUBLISHER + "GetTopic": publisher.get_topic,
            _PUBLISHER + "ListTopics": publisher.list_topics,
            _PUBLISHER + "ListTopicSubscriptions": publisher.list_topic_subscriptions,
            _PUBLISHER + "DeleteTopic": publisher.delete_topic,
            _PUBLISHER + "Publish": publisher.publish,
            _SUBSCRIBER + "CreateSubscription": subscriber.create_subscription,
            _SUBSCRIBER + "GetSubscription": subscriber.get_subscription,
            _SUBSCRIBER + "UpdateSubscription": subscriber.update_subscription,
            _SUBSCRIBER + "ListSubscriptions": subscriber.list_subscriptions,
            _SUBSCRIBER + "DeleteSubscription": subscriber.delete_subscription,
            _SUBSCRIBER + "ModifyPushConfig": subscriber.modify_push_config,
            _SUBSCRIBER + "Acknowledge": subscriber.acknowledge,
            _SUBSCRIBER + "ModifyAckDeadline": subscriber.modify_ack_deadline,
            _SUBSCRIBER + "Pull": subscriber.pull,
        }
        handlers = {path: self._unary(_request_class(path), method) for path, method in unary.items()}
        handlers[_SUBSCRIBER + "StreamingPull"] = self._stream(subscriber.streaming_pull)
        ours = control.methods(self._store, self._faults, self._clock, self._hub)
        return handlers | {path: self._unary(None, method) for path, method in ours.items()}

    def _unary(self, request_class: str | None, method: Callable[[Proto], Any]) -> Grpc:
        async def call(request: Proto, context: Grpc) -> Grpc:
            try:
                response = method(request)
                return await response if inspect.isawaitable(response) else response
            except PubSubError as error:
                await _abort(context, error)
            finally:
                self._hub.settle()

        return grpc.unary_unary_rpc_method_handler(call, *_codec(request_class))

    def _stream(self, method: Callable[[AsyncIterator[Proto]], AsyncIterator[bytes]]) -> Grpc:
        async def call(requests: AsyncIterator[Proto], context: Grpc) -> AsyncIterator[bytes]:
            try:
                async for response in method(requests):
                    yield response
            except PubSubError as error:
                await _abort(context, error)

        return grpc.stream_stream_rpc_method_handler(call, *_codec("StreamingPullRequest"))


@contextmanager
def running(*, speed: float = 1.0, push_concurrency: int = DEFAULT_PUSH_CONCURRENCY) -> Iterator[str]:
    """Run a server in this process, on a thread of its own, for tests; yield its `127.0.0.1:PORT`.

    Args:
        speed: Seconds of the server's time per real second: at 100 an ack deadline of 10 s is over after 0.1
            s.
        push_concurrency: As for `Server`.
    """
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, name="pubsub-fake", daemon=True)
    thread.start()

    async def start() -> tuple[Server, int]:
        server = Server(Clock(speed), push_concurrency)
        return server, await server.start()

    try:
        server, port = asyncio.run_coroutine_threadsafe(start(), loop).result()
        try:
            yield f"127.0.0.1:{port}"
        finally:
            asyncio.run_coroutine_threadsafe(server.stop(), loop).result()
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


async def _refuse(method: str, context: Grpc) -> None:
    await context.abort(
        grpc.StatusCode.UNIMPLEMENTED, f"{method} is not implemented by this fake for Pub/Sub."
    )


def _request_class(path: str) -> str:
    method = path.rpartition("/")[2]
    # Creating takes the resource itself.
    return method.removeprefix("Create") if method.startswith("Create") else f"{method}Request"


async def _abort(context: Grpc, error: PubSubError) -> None:
    """End a call with an error's status, and with the details that an error of ack IDs has."""
    trailers: tuple[tuple[str, bytes], ...] = ()
    if isinstance(error, AckIdError):
        # Imported here because few servers ever need them.
        from google.rpc import error_details_pb2, status_pb2  # type: ignore[import-untyped]

        info = error_details_pb2.ErrorInfo(
            reason="EXACTLY_ONCE_ACKID_FAILURE", domain="pubsub.googleapis.com", metadata=error.reasons
        )
        status = status_pb2.Status(code=grpc.StatusCode[error.code].value[0], message=str(error))
        status.details.add().Pack(info)
        trailers = (("grpc-status-details-bin", status.SerializeToString()),)
    await context.abort(grpc.StatusCode[error.code], str(error), trailers)


def _serialize(response: Proto | bytes) -> bytes:
    serialized: bytes = response if isinstance(response, bytes) else response.SerializeToString()
    return serialized


def _codec(request_class: str | None) -> tuple[Grpc, Grpc]:
    """Return what reads a request and what writes a response; both None for plain bytes."""
    if request_class is None:
        return None, None
    return raw(request_class).FromString, _serialize
