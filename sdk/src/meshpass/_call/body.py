"""Bodies that are not whole in memory: produced while a request is sent, or taken while a response is read."""

from collections.abc import (
    AsyncGenerator,
    AsyncIterable,
    AsyncIterator,
    Callable,
    Generator,
    Iterable,
    Iterator,
)
from typing import Protocol

from meshpass._errors import InvalidRequest

Parts = Iterable[bytes] | AsyncIterable[bytes]


class RequestBody:
    """Body of one request that is produced while it is sent.

    The headers of its attempt say `content-length`, or `transfer-encoding: chunked` where `length` is None.

    Args:
        open_parts: Returns the parts from the first one on, each time it is called.
        length: The size in bytes; None means chunked transfer coding.
        replayable: Whether iterating again gives the same bytes.
        in_thread: Whether the asyncio client takes each part in a thread, as for files, whose reading blocks.
    """

    __slots__ = ("_in_thread", "_open_parts", "failure", "length", "replayable", "started")

    def __init__(
        self,
        open_parts: Callable[[], Parts],
        *,
        length: int | None,
        replayable: bool,
        in_thread: bool = False,
    ) -> None:
        self._open_parts = open_parts
        self._in_thread = in_thread
        self.length = length
        self.replayable = replayable
        # Set by the connection before it takes the first part. A body that has begun is sent again only if it is
        # replayable.
        self.started = False
        # What the caller's own iterator raised. It leaves the call as it is, whatever it is.
        self.failure: BaseException | None = None

    def __iter__(self) -> Iterator[bytes]:
        parts = self._open_parts()
        if not isinstance(parts, Iterable):
            raise InvalidRequest(
                "The blocking client cannot send an asynchronous iterable.", hint="Use meshpass.AsyncClient."
            )
        try:
            for part in parts:
                yield part_bytes(part)
        except Exception as exc:
            self.failure = exc
            raise
        finally:
            if isinstance(parts, Generator):
                parts.close()  # an upload that ends early ends its source as well

    async def __aiter__(self) -> AsyncIterator[bytes]:
        parts = self._open_parts()
        try:
            if isinstance(parts, AsyncIterable):
                async for part in parts:
                    yield part_bytes(part)
            elif self._in_thread:
                import asyncio

                iterator = iter(parts)
                while (found := await asyncio.to_thread(next, iterator, None)) is not None:
                    yield part_bytes(found)
            else:
                for part in parts:
                    yield part_bytes(part)
        except Exception as exc:
            self.failure = exc
            raise
        finally:
            if isinstance(parts, AsyncGenerator):
                await parts.aclose()
            elif isinstance(parts, Generator) and not self._in_thread:
                parts.close()


class ResponseBody(Protocol):
    """Body of a response that is read while it comes in, by blocking code.

    Every wait ends at the attempt's `until`. The connection and its place in the pool are released at the end of
    the body, or by `close`.
    """

    def parts(self) -> Iterator[bytes]:
        """Return the bytes as they come, transfer coding undone and content coding not.

        Raises:
            MeshTimeout: the attempt's time was up.
            UpstreamUnavailable: the connection broke.
            BadResponse: the body is larger than `max_response_bytes`.
        """
        ...

    def close(self) -> None:
        """Close the body; a connection that still has parts of it is closed as well."""
        ...


class AsyncResponseBody(Protocol):
    """Body of a response that is read while it comes in, by asyncio code; otherwise as `ResponseBody`."""

    def parts(self) -> AsyncIterator[bytes]:
        """Return the bytes as they come; see `ResponseBody.parts`."""
        ...

    async def aclose(self) -> None:
        """Close the body; see `ResponseBody.close`."""
        ...


def part_bytes(part: object) -> bytes:
    """Return one part of a body as bytes.

    Raises:
        InvalidRequest: it is of another type.
    """
    if isinstance(part, bytes):
        return part
    if isinstance(part, bytearray | memoryview):
        return bytes(part)
    raise InvalidRequest(f"A part of the body is of type {type(part).__name__}; each part must be bytes.")
