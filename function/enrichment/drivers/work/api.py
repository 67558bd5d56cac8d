"""Pub/Sub's API as the worker uses it: raw messages of protobuf over grpcio's asyncio channels.

The official client for subscribers runs in threads, and takes three times the processor time for each message. It is
the reference in the tests: both acknowledge the same messages, and send comparable requests.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

import grpc
import grpc.aio
import meshpass

from enrichment.drivers.work.messages import (
    AcknowledgeRequest,
    GetRequest,
    ModifyRequest,
    Proto,
    StreamRequest,
    StreamResponse,
    Subscription,
)

if TYPE_CHECKING:
    from meshpass._tokens.google.access_token import AccessToken

PUBSUB = "pubsub.googleapis.com:443"
CALL_TIMEOUT_S = 30.0
"""How long one request waits for its answer, in seconds."""

_SUBSCRIBER = "/google.pubsub.v1.Subscriber/"
_KEEPALIVE_MS = 30_000
_OPTIONS = (
    ("grpc.max_receive_message_length", -1),
    ("grpc.max_send_message_length", -1),
    # A connection that is dead without a sign is found within a minute.
    ("grpc.keepalive_time_ms", _KEEPALIVE_MS),
    ("grpc.primary_user_agent", "meshpass-function"),
)
_ERROR_DETAILS = "grpc-status-details-bin"


class CallError(Exception):
    """A call that failed.

    Args:
        code: The name of the gRPC status, such as `UNAVAILABLE`.
        detail: What the server or the channel says of it.
        by_ack_id: On an exactly-once subscription, what became of single ids; those that are not here share `code`.
    """

    def __init__(self, code: str, detail: str = "", by_ack_id: Mapping[str, str] | None = None) -> None:
        super().__init__(f"{code}: {detail}")
        self.code = code
        self.detail = detail
        self.by_ack_id = by_ack_id or {}


class AccessTokens(Protocol):
    """Source of access tokens, which caches."""

    async def atoken(self) -> "AccessToken":
        """Return a token for the next request, or raise MeshError."""

    def invalidate(self, token: "AccessToken", /) -> None:
        """Forget this token, because it was refused."""


class PullStream(Protocol):
    """One open stream."""

    async def read(self) -> Proto | None:
        """Return the next response; None at the end of a stream that the worker ended. Raises CallError."""

    async def send(self, request: Proto) -> None:
        """Send a request. Raises CallError."""

    async def end(self) -> None:
        """Send no further request; what the server has sent can still be read."""

    def cancel(self) -> None:
        """End the stream at once."""


class Api(Protocol):
    """What the worker asks of Pub/Sub. Each method raises CallError."""

    async def stream(self) -> PullStream:
        """Open a stream; its first request is still to be sent."""

    async def acknowledge(self, ack_ids: Sequence[str]) -> None:
        """Acknowledge messages."""

    async def modify(self, ack_ids: Sequence[str], seconds: int) -> None:
        """Let the leases of messages end so many seconds from now; 0 nacks."""

    async def describe(self) -> Proto:
        """Return the subscription's resource."""


class GrpcApi:
    """Pub/Sub over one channel.

    Access tokens are never sent in plaintext, so none is sent to an emulator.

    Args:
        subscription: `projects/P/subscriptions/S`.
        emulator: `host:port` of an emulator; empty for Google's own endpoint.
        tokens: Source of access tokens; None for those of the identity that the environment gives.
        endpoint: `host:port` of Pub/Sub.
        roots: The authorities to trust, PEM; None for those that grpcio brings.
    """

    def __init__(
        self,
        subscription: str,
        emulator: str = "",
        tokens: AccessTokens | None = None,
        endpoint: str = PUBSUB,
        roots: bytes | None = None,
    ) -> None:
        self._subscription = subscription
        self._routing = ("x-goog-request-params", f"subscription={subscription}")
        self._tokens = None if emulator else tokens
        if emulator:
            self._channel = grpc.aio.insecure_channel(emulator, options=_OPTIONS)
        else:
            encrypted = grpc.ssl_channel_credentials(roots)
            self._channel = grpc.aio.secure_channel(endpoint, encrypted, options=_OPTIONS)
            if tokens is None:
                from meshpass._tokens.google.access_token import GoogleAccessToken

                self._tokens = GoogleAccessToken()
        self._stream = self._channel.stream_stream(
            f"{_SUBSCRIBER}StreamingPull",
            request_serializer=StreamRequest.SerializeToString,
            response_deserializer=StreamResponse.FromString,
        )
        self._acknowledge = self._unary("Acknowledge", AcknowledgeRequest)
        self._modify = self._unary("ModifyAckDeadline", ModifyRequest)
        self._get = self._unary("GetSubscription", GetRequest, Subscription.FromString)

    async def stream(self) -> PullStream:
        """Open a stream. See `Api`."""
        metadata, token = await self._metadata()
        return _GrpcStream(self._stream(metadata=metadata), lambda: self._forget(token))

    async def acknowledge(self, ack_ids: Sequence[str]) -> None:
        """Acknowledge messages. See `Api`."""
        await self._call(
            self._acknowledge, AcknowledgeRequest(subscription=self._subscription, ack_ids=ack_ids)
        )

    async def modify(self, ack_ids: Sequence[str], seconds: int) -> None:
        """Set the ends of leases. See `Api`."""
        await self._call(
            self._modify,
            ModifyRequest(subscription=self._subscription, ack_ids=ack_ids, ack_deadline_seconds=seconds),
        )

    async def describe(self) -> Proto:
        """Return the subscription's resource. See `Api`."""
        return await self._call(self._get, GetRequest(subscription=self._subscription))

    async def aclose(self) -> None:
        """Close the channel; calls that are under way fail."""
        await self._channel.close()

    def _unary(self, method: str, request: Proto, read: Any = bytes) -> Any:  # noqa: ANN401 - grpcio has no types
        return self._channel.unary_unary(
            f"{_SUBSCRIBER}{method}",
            request_serializer=request.SerializeToString,
            response_deserializer=read,
        )

    async def _call(self, method: Any, request: Proto) -> Any:  # noqa: ANN401 - as above
        refused = None
        while True:
            metadata, token = await self._metadata()
            try:
                return await method(request, metadata=metadata, timeout=CALL_TIMEOUT_S)
            except grpc.aio.AioRpcError as error:
                if error.code() is grpc.StatusCode.UNAUTHENTICATED and token is not None:
                    self._forget(token)
                    # A token may end before its time. An ack that were given up for that would double its event.
                    if refused is None:
                        refused = token
                        continue
                raise _call_error(error.code(), error.details(), error.trailing_metadata()) from None

    async def _metadata(self) -> "tuple[tuple[tuple[str, str], ...], AccessToken | None]":
        if self._tokens is None:
            return (self._routing,), None
        try:
            token = await self._tokens.atoken()
        except meshpass.MeshError as error:
            code = "UNAVAILABLE" if error.retryable else "UNAUTHENTICATED"
            raise CallError(code, f"no access token: {error}") from None
        further = tuple((name.lower(), value) for name, value in token.further.items())
        return (self._routing, ("authorization", f"Bearer {token.value}"), *further), token

    def _forget(self, token: "AccessToken | None") -> None:
        if token is not None and self._tokens is not None:
            self._tokens.invalidate(token)


class _GrpcStream:
    """A call of StreamingPull."""

    def __init__(self, call: Any, refused: Callable[[], None]) -> None:  # noqa: ANN401 - as above
        self._call = call
        self._refused = refused
        self._has_ended = False

    async def read(self) -> Proto | None:
        """Return the next response. See `PullStream`."""
        try:
            response = await self._call.read()
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if self._has_ended and task is not None and not task.cancelling():
                return None  # `cancel` ended the call, and not the task
            raise
        except grpc.aio.AioRpcError as error:
            if error.code() is grpc.StatusCode.UNAUTHENTICATED:
                self._refused()
            raise _call_error(error.code(), error.details()) from None
        if response is not grpc.aio.EOF:
            return response
        if self._has_ended:
            return None
        raise CallError("UNAVAILABLE", "the server ended the stream")

    async def send(self, request: Proto) -> None:
        """Send a request. See `PullStream`."""
        try:
            await self._call.write(request)
        except grpc.aio.AioRpcError as error:
            raise _call_error(error.code(), error.details()) from None
        except asyncio.InvalidStateError:
            raise CallError("UNAVAILABLE", "the stream has ended") from None

    async def end(self) -> None:
        """Send no further request. See `PullStream`."""
        self._has_ended = True
        await self._call.done_writing()

    def cancel(self) -> None:
        """End the stream at once. See `PullStream`."""
        self._has_ended = True
        self._call.cancel()


def _call_error(code: grpc.StatusCode, detail: str | None, trailing: Any = None) -> CallError:  # noqa: ANN401
    return CallError(code.name, detail or "", _by_ack_id(trailing))


def _by_ack_id(trailing: Any) -> dict[str, str]:  # noqa: ANN401 - as above
    """Return what an exactly-once subscription says of single ids.

    It is in the metadata of a `google.rpc.ErrorInfo`
    (https://cloud.google.com/pubsub/docs/exactly-once-delivery#handle_acks).
    """
    packed = next((value for name, value in trailing or () if name == _ERROR_DETAILS), None)
    if packed is None:
        return {}
    from google.protobuf.message import DecodeError  # type: ignore[import-untyped]
    from google.rpc.error_details_pb2 import ErrorInfo  # type: ignore[import-untyped]
    from google.rpc.status_pb2 import Status  # type: ignore[import-untyped]

    try:
        status = Status.FromString(packed)
        for detail in status.details:
            info = ErrorInfo()
            if detail.Is(ErrorInfo.DESCRIPTOR) and detail.Unpack(info):
                return dict(info.metadata)
    except DecodeError:
        pass
    return {}
