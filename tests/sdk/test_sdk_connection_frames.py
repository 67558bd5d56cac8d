# ruff: noqa: ANN401
"""No frame of an exception shows the token: an error tracker sends the local variables of each of them."""

import asyncio
import re
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import meshpass
import pytest
from meshpass._call.service import make_service
from meshpass._http.async_pool import AsyncConnectionPool
from meshpass._http.tls import TLSContext

from .conftest import Authority, RawServer
from .traces import Secrets, shown_by_error
from .transports import SECRET, Transports, attempt_of, body_of

BIG = b"x" * (16 * 1024 * 1024)

pytestmark = pytest.mark.usefixtures("garbage_freed")


def read_forever(connection: socket.socket) -> None:
    while connection.recv(1 << 20):
        pass


def stall(connection: socket.socket) -> None:
    """Read the head alone, until the peer gives up."""
    connection.recv(10)
    _HELD.wait(30)


_HELD = threading.Event()


@pytest.fixture(autouse=True)
def hold() -> Iterator[None]:
    _HELD.clear()
    yield
    _HELD.set()


@pytest.fixture(params=["plain", "tls"])
def address(
    request: pytest.FixtureRequest, raw_server: RawServer, ca: Authority
) -> Callable[[Callable[[Any], None]], dict[str, Any]]:
    """Serve with a function; returns how to reach it."""

    def build(serve: Callable[[Any], None]) -> dict[str, Any]:
        if request.param == "plain":
            return {"address": raw_server(serve), "base_url": "http://h.internal"}
        context = ca.context("h.internal")

        def over_tls(connection: socket.socket) -> None:
            with context.wrap_socket(connection, server_side=True) as secure:
                serve(secure)

        return {"address": raw_server(over_tls), "base_url": "https://h.internal", "ca_file": ca.file}

    return build


def shows(error: BaseException) -> str | None:
    # Nothing of the token can be in the middle of a body of millions of x, which each frame shows again.
    text = re.sub("x{100,}", "x" * 100, shown_by_error(error))
    return Secrets().add(SECRET).in_text(text)


CONTENTS = pytest.mark.parametrize("content", [b"small", BIG, "streamed"], ids=["small", "large", "streamed"])


def attempt_with(content: bytes | str) -> Any:
    return attempt_of(body_of(BIG, BIG) if isinstance(content, str) else content, timeout_s=30)


@CONTENTS
@pytest.mark.parametrize("how", ["timeout", "cancel"])
def test_no_frame_shows_the_token_after_a_time_out_or_a_cancellation(
    address: Callable[..., dict[str, Any]], content: bytes | str, how: str
) -> None:
    caught: list[BaseException] = []

    async def call() -> None:
        where = address(read_forever if content == b"small" else stall)
        service = make_service(where["base_url"], where["address"], where.get("ca_file"), {})
        pool = AsyncConnectionPool(service, TLSContext(service))
        attempt = attempt_with(content)
        task = asyncio.create_task(pool.send(attempt))
        while attempt.phase == "connect":  # noqa: ASYNC110
            await asyncio.sleep(0.01)
        await asyncio.sleep(0.05)
        try:
            if how == "cancel":
                task.cancel()
                await task
            else:
                async with asyncio.timeout(0.05):
                    await task
        except (asyncio.CancelledError, TimeoutError) as exc:
            caught.append(exc)
        _HELD.set()
        await pool.aclose()

    asyncio.run(call())

    assert len(caught) == 1
    assert shows(caught[0]) is None


@CONTENTS
@pytest.mark.parametrize("kind", ["sync", "async"])
def test_no_frame_shows_the_token_after_an_interrupt(
    address: Callable[..., dict[str, Any]], content: bytes | str, kind: str
) -> None:
    attempt = attempt_with(content)

    def interrupt() -> None:
        while attempt.phase == "connect":
            time.sleep(0.01)
        time.sleep(0.1)
        signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGUSR1)

    def raise_interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGUSR1, raise_interrupt)
    thread = threading.Thread(target=interrupt)
    try:
        with Transports(kind) as transports:
            transport = transports(**address(read_forever if content == b"small" else stall))
            thread.start()
            with pytest.raises((KeyboardInterrupt, asyncio.CancelledError)) as caught:
                transport.send(attempt)
            thread.join()
            _HELD.set()
    finally:
        signal.signal(signal.SIGUSR1, before)

    assert shows(caught.value) is None


@CONTENTS
@pytest.mark.parametrize("kind", ["sync", "async"])
def test_no_frame_shows_the_token_after_a_deadline(
    address: Callable[..., dict[str, Any]], content: bytes | str, kind: str
) -> None:
    attempt = attempt_with(content)
    attempt.until = time.monotonic() + 1
    with Transports(kind) as transports:
        transport = transports(**address(read_forever if content == b"small" else stall))
        outcome = transport.send(attempt)
        _HELD.set()

    assert isinstance(outcome, TimeoutError)
    assert shows(outcome) is None


def test_a_client_that_is_timed_out_from_outside_shows_no_token(
    auth: meshpass.SignedJWT, raw_server: RawServer
) -> None:
    secrets = Secrets().add_token(auth.token().value)
    caught: list[BaseException] = []

    async def call() -> None:
        async with meshpass.AsyncClient(
            "http://h.internal", auth=auth, address=raw_server(read_forever)
        ) as client:
            try:
                async with asyncio.timeout(0.3):
                    await client.get("/")
            except TimeoutError as exc:
                caught.append(exc)

    asyncio.run(call())

    assert secrets.in_text(shown_by_error(caught[0])) is None
