"""gRPC interceptors: they send the token over plaintext, and remove a refused token from the cache."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import grpc
import grpc.aio

from meshpass._errors import InvalidRequest

if TYPE_CHECKING:
    from meshpass._adapters.grpc_credentials import CallTokens
    from meshpass._call.service import Service
    from meshpass._token import Token, TokenSource

# gRPC has no types for the arguments of an interceptor.
Details = Any
Continuation = Callable[..., Any]


def interceptor(source: "TokenSource", tokens: "CallTokens", service: "Service") -> "TokenInterceptor":
    """Return the interceptor of a blocking channel."""
    return TokenInterceptor(source if service.origin.scheme == "http" else None, tokens)


def aio_interceptors(
    source: "TokenSource", tokens: "CallTokens", service: "Service"
) -> list[grpc.aio.ClientInterceptor]:
    """Return the interceptors of an asyncio channel, one for each kind of call."""
    asked = source if service.origin.scheme == "http" else None
    return [kind(asked, tokens) for kind in (AioUnaryUnary, AioUnaryStream, AioStreamUnary, AioStreamStream)]


class TokenInterceptor(
    grpc.UnaryUnaryClientInterceptor,  # type: ignore[misc]
    grpc.UnaryStreamClientInterceptor,  # type: ignore[misc]
    grpc.StreamUnaryClientInterceptor,  # type: ignore[misc]
    grpc.StreamStreamClientInterceptor,  # type: ignore[misc]
):
    """Interceptor of a blocking channel.

    Args:
        source: The source of the token for each call; None where call credentials send it.
        tokens: The tokens of the channel, which are notified of a refusal.
    """

    def __init__(self, source: "TokenSource | None", tokens: "CallTokens") -> None:
        self._source = source
        self._tokens = tokens

    def intercept_unary_unary(self, continuation: Continuation, details: Details, request: object) -> object:
        """Make one call."""
        token = self._source.token() if self._source is not None else None
        call = continuation(_with_token(details, self._tokens, token, list), request)
        call.add_done_callback(self._ended)
        return call

    intercept_unary_stream = intercept_unary_unary
    intercept_stream_unary = intercept_unary_unary
    intercept_stream_stream = intercept_unary_unary

    def _ended(self, call: grpc.Call) -> None:
        if call.code() is grpc.StatusCode.UNAUTHENTICATED:
            self._tokens.refused()


class _AioInterceptor:
    """Base of an asyncio channel's interceptors, with the part that is the same for each kind of call."""

    def __init__(self, source: "TokenSource | None", tokens: "CallTokens") -> None:
        self._source = source
        self._tokens = tokens

    async def _intercept(self, continuation: Continuation, details: Details, request: object) -> object:
        token = await self._source.atoken() if self._source is not None else None
        call = await continuation(_with_token(details, self._tokens, token, _aio_metadata), request)
        call.add_done_callback(self._ended)
        return call

    def _ended(self, call: grpc.aio.Call) -> None:
        if _code_of(call) is grpc.StatusCode.UNAUTHENTICATED:
            self._tokens.refused()


class AioUnaryUnary(_AioInterceptor, grpc.aio.UnaryUnaryClientInterceptor):  # type: ignore[misc]
    """Interceptor of calls with one request and one response."""

    intercept_unary_unary = _AioInterceptor._intercept  # noqa: SLF001


class AioUnaryStream(_AioInterceptor, grpc.aio.UnaryStreamClientInterceptor):  # type: ignore[misc]
    """Interceptor of calls with one request and many responses."""

    intercept_unary_stream = _AioInterceptor._intercept  # noqa: SLF001


class AioStreamUnary(_AioInterceptor, grpc.aio.StreamUnaryClientInterceptor):  # type: ignore[misc]
    """Interceptor of calls with many requests and one response."""

    intercept_stream_unary = _AioInterceptor._intercept  # noqa: SLF001


class AioStreamStream(_AioInterceptor, grpc.aio.StreamStreamClientInterceptor):  # type: ignore[misc]
    """Interceptor of calls with many requests and many responses."""

    intercept_stream_stream = _AioInterceptor._intercept  # noqa: SLF001


def _code_of(call: grpc.aio.Call) -> grpc.StatusCode | None:
    """Return the code of a call that has ended, without waiting. A task would get it later than the caller."""
    asking = call.code()
    try:
        asking.send(None)
    except StopIteration as found:
        code: grpc.StatusCode = found.value
        return code
    asking.close()
    return None


def _aio_metadata(pairs: list[tuple[str, str]]) -> grpc.aio.Metadata:
    return grpc.aio.Metadata(*pairs)


def _with_token(
    details: Details,
    tokens: "CallTokens",
    token: "Token | None",
    make_metadata: Callable[[list[tuple[str, str]]], object],
) -> Details:
    metadata = [*(details.metadata or ())]
    if any(name.lower() == "authorization" for name, _ in metadata):
        raise InvalidRequest(
            "The call has authorization metadata, which is reserved for the mesh's token.",
            hint="Remove it, or send your own credential in metadata of another name.",
        )
    if token is None:
        return details
    return details._replace(metadata=make_metadata([*metadata, *tokens.metadata(token)]))
