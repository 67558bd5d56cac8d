"""Response whose body is read while it comes in: decoded in bounded slices, within the call's deadline and limit."""

import time
from collections.abc import AsyncIterator, Iterable, Iterator
from typing import TYPE_CHECKING, cast

import httpx

from meshpass._call.content_coding import Decoder, NotDecodableError, TooLargeError
from meshpass._call.failures import not_decodable, timed_out, too_large
from meshpass._call.response import RawResponse, Response

if TYPE_CHECKING:
    from meshpass._call.body import AsyncResponseBody, ResponseBody
    from meshpass._call.request import Attempt
    from meshpass._call.service import Service
    from meshpass._errors import MeshError

# The longest that decoding holds the event loop, in seconds, but for the slice in hand.
_WORK_S = 0.001


class StreamedResponse(Response):
    """An `httpx.Response` whose body is still to be read.

    Args:
        received: The response as it came over the wire.
        headers: Its headers.
        body: Its body.
        attempt: The attempt that it belongs to.
        service: What was called.
    """

    def __init__(
        self,
        received: RawResponse,
        headers: httpx.Headers,
        body: "ResponseBody | AsyncResponseBody",
        attempt: "Attempt",
        service: "Service",
    ) -> None:
        stream: _AsyncStream | _Stream
        is_async = hasattr(body, "aclose")
        stream = (
            _AsyncStream(cast("AsyncResponseBody", body)) if is_async else _Stream(cast("ResponseBody", body))
        )
        httpx.Response.__init__(self, received.status, headers=headers, stream=stream)
        self._set_request(received, attempt, service.origin.url)
        self._service = service
        # Not the attempt itself: it holds the token.
        self._until, self._limit_s = attempt.until, attempt.limit_s
        self._max_bytes = attempt.max_response_bytes
        self._is_empty = attempt.method == "HEAD"

    def iter_bytes(self, chunk_size: int | None = None) -> Iterator[bytes]:
        """Return the decoded body part by part, or in parts of `chunk_size` bytes.

        Raises:
            MeshTimeout: the call's time was up.
            UpstreamUnavailable: the connection broke.
            BadResponse: the body is too large, or cannot be decoded.
        """
        if hasattr(self, "_content"):
            yield from super().iter_bytes(chunk_size)
            return
        chunks, decoder = _Chunks(chunk_size), self._decoder_or_close()
        try:
            fed = False
            for raw in self.iter_raw():
                fed = True
                for part in self._checked(decoder.feed(raw)):
                    yield from chunks.add(part)
            for part in self._checked(decoder.finish() if fed else iter(())):
                yield from chunks.add(part)
        finally:
            self.close()
        yield from chunks.rest()

    async def aiter_bytes(self, chunk_size: int | None = None) -> AsyncIterator[bytes]:
        """Return the decoded body part by part; see `iter_bytes`."""
        if hasattr(self, "_content"):
            async for part in super().aiter_bytes(chunk_size):
                yield part
            return
        import asyncio

        chunks, decoder = _Chunks(chunk_size), self._decoder_or_close()
        try:
            resumed = time.monotonic()
            fed = False
            async for raw in self.aiter_raw():
                fed = True
                for part in self._checked(decoder.feed(raw)):
                    for chunk in chunks.add(part):
                        yield chunk
                    if time.monotonic() - resumed > _WORK_S:
                        await asyncio.sleep(0)
                        resumed = time.monotonic()
            for part in self._checked(decoder.finish() if fed else iter(())):
                for chunk in chunks.add(part):
                    yield chunk
        finally:
            await self.aclose()
        for chunk in chunks.rest():
            yield chunk

    def _decoder_or_close(self) -> Decoder:
        coding = "" if self._is_empty else self.headers.get("content-encoding", "")
        failure: MeshError
        try:
            return Decoder(coding, self._max_bytes)
        except NotDecodableError as exc:
            failure = not_decodable(self._service, str(exc))
        raise failure

    def _checked(self, slices: Iterator[bytes]) -> Iterator[bytes]:
        failure: MeshError | None = None
        try:
            for part in slices:
                if time.monotonic() > self._until:
                    failure = timed_out(self._service, self._limit_s, "body")
                    break
                yield part
        except TooLargeError:
            failure = too_large(self._service, self._max_bytes)
        except NotDecodableError as exc:
            failure = not_decodable(self._service, str(exc))
        if failure is not None:
            raise failure


class _Chunks:
    """Parts of any size, cut into chunks of one size where that is asked for."""

    def __init__(self, size: int | None) -> None:
        self._size = size
        self._buffer = bytearray()

    def add(self, part: bytes) -> Iterable[bytes]:
        if self._size is None:
            return (part,) if part else ()
        self._buffer += part
        whole = len(self._buffer) // max(1, self._size) * max(1, self._size)
        chunks = [bytes(self._buffer[at : at + self._size]) for at in range(0, whole, max(1, self._size))]
        del self._buffer[:whole]
        return chunks

    def rest(self) -> Iterable[bytes]:
        return (bytes(self._buffer),) if self._buffer else ()


class _Stream(httpx.SyncByteStream):
    def __init__(self, body: "ResponseBody") -> None:
        self._body = body

    def __iter__(self) -> Iterator[bytes]:
        return self._body.parts()

    def close(self) -> None:
        self._body.close()


class _AsyncStream(httpx.AsyncByteStream):
    def __init__(self, body: "AsyncResponseBody") -> None:
        self._body = body

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self._body.parts()

    async def aclose(self) -> None:
        await self._body.aclose()
