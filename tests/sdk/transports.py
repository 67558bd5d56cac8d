# ruff: noqa: ANN401
"""Both connection pools behind one face, for tests of what goes over a connection."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from types import TracebackType
from typing import Any, cast

import meshpass
from meshpass._call.body import AsyncResponseBody, RequestBody, ResponseBody
from meshpass._call.request import Attempt, Request
from meshpass._call.response import RawResponse
from meshpass._call.service import DEFAULT_MAX_RESPONSE_BYTES, ClientOptions, make_service
from meshpass._http.async_pool import AsyncConnectionPool
from meshpass._http.pool import ConnectionPool
from meshpass._http.tls import TLSContext

Outcome = RawResponse | meshpass.MeshError | TimeoutError
SECRET = "s3cret-t0ken-that-must-not-show"


def attempt_of(
    content: bytes | RequestBody | None = None,
    *,
    method: str = "POST",
    timeout_s: float = 30.0,
    stream: bool = False,
    max_response_bytes: int = DEFAULT_MAX_RESPONSE_BYTES,
) -> Attempt:
    """Return an attempt as a plan makes it."""
    length = len(content) if isinstance(content, bytes) else None
    length = content.length if isinstance(content, RequestBody) else length
    framing = {"content-length": str(length)} if length is not None else {"transfer-encoding": "chunked"}
    deadline = meshpass.Deadline.after(timeout_s)
    request = Request(
        method, "/", {}, content, deadline, timeout_s, stream, max_response_bytes=max_response_bytes
    )
    return Attempt(
        request,
        {} if content is None else framing,
        {"authorization": f"Bearer {SECRET}"},
        time.monotonic() + timeout_s,
        fresh=False,
    )


def body_of(
    *parts: bytes,
    length: int | None = None,
    between: Callable[[], object] = lambda: None,
    replayable: bool = True,
) -> RequestBody:
    """Return a body of these parts; `between` is called before each."""

    def produce() -> Iterator[bytes]:
        for part in parts:
            between()
            yield part

    return RequestBody(produce, length=length, replayable=replayable)


@dataclass
class Transport:
    """A pool of either client, used from blocking code."""

    pool: ConnectionPool | AsyncConnectionPool
    runner: asyncio.Runner

    def send(self, attempt: Attempt) -> Outcome:
        try:
            if isinstance(self.pool, ConnectionPool):
                return self.pool.send(attempt)
            return self.runner.run(self._send(self.pool, attempt))
        except TimeoutError as exc:
            return exc

    def read(self, body: bytes | ResponseBody | AsyncResponseBody) -> bytes:
        """Read a streamed body to its end."""
        return b"".join(self.parts(body))

    def parts(self, body: Any) -> Iterator[bytes]:
        if isinstance(self.pool, ConnectionPool):
            yield from body.parts()
            return
        parts: AsyncIterator[bytes] = body.parts()
        while True:
            try:
                yield self.runner.run(anext(parts))  # type: ignore[arg-type]
            except StopAsyncIteration:
                return

    def close(self, body: Any) -> None:
        if isinstance(self.pool, ConnectionPool):
            body.close()
        else:
            self.runner.run(body.aclose())

    async def _send(self, pool: AsyncConnectionPool, attempt: Attempt) -> RawResponse | meshpass.MeshError:
        async with asyncio.timeout(attempt.left_s()):
            return await pool.send(attempt)


class Transports:
    """Makes transports of one kind, and closes them."""

    def __init__(self, kind: str) -> None:
        self._kind = kind
        self._stack = ExitStack()
        self._runner = self._stack.enter_context(asyncio.Runner())

    def __enter__(self) -> "Transports":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()

    def __call__(
        self, address: str, base_url: str = "http://h.internal", ca_file: Any = None, **options: Any
    ) -> Transport:
        service = make_service(base_url, address, ca_file, cast("ClientOptions", options))
        if self._kind == "sync":
            pool = ConnectionPool(service)
            self._stack.callback(pool.close)
            return Transport(pool, self._runner)

        async def make() -> AsyncConnectionPool:
            return AsyncConnectionPool(service, TLSContext(service))

        async_pool = self._runner.run(make())
        self._stack.callback(lambda: self._runner.run(async_pool.aclose()))
        return Transport(async_pool, self._runner)
