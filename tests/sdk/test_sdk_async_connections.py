"""What the asyncio client does with its connections; that it answers as the blocking one does is tested with that."""

import asyncio
import socket
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import meshpass
import pytest
import uvloop
from meshpass._call.service import KEEPALIVE_S, MAX_CONNECTIONS
from meshpass._http import async_pool

from .conftest import Authority, RawServer, Server

OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}"


def client_of(auth: meshpass.SignedJWT, address: str) -> meshpass.AsyncClient:
    return meshpass.AsyncClient(
        "http://h.internal", auth=auth, address=address, retry=meshpass.RetryPolicy(attempts=1)
    )


def test_more_calls_than_connections_wait_for_one_and_all_are_answered(
    auth: meshpass.SignedJWT, server: Server
) -> None:
    calls = MAX_CONNECTIONS + 50

    async def call() -> set[int]:
        async with client_of(auth, server.address) as client:
            answers = await asyncio.gather(*(client.get("/{n}", n=n) for n in range(calls)))
            return {answer.status_code for answer in answers}

    assert asyncio.run(call()) == {200}
    assert len(server.seen) == calls
    assert server.connections <= MAX_CONNECTIONS


def test_a_call_that_gives_up_its_wait_for_a_connection_takes_none_away(
    auth: meshpass.SignedJWT, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("meshpass._http.async_pool.MAX_CONNECTIONS", 1)
    arrived, release = threading.Event(), threading.Event()

    def answer(_: object) -> tuple[int, dict[str, str], bytes]:
        arrived.set()
        release.wait(10)
        return 200, {}, b"{}"

    server.answer = answer

    async def call() -> int:
        async with client_of(auth, server.address) as client:
            first = asyncio.create_task(client.get("/first"))
            waiting = asyncio.create_task(client.get("/waiting"))
            assert await asyncio.to_thread(arrived.wait, 10)
            waiting.cancel()
            with pytest.raises(asyncio.CancelledError):
                await waiting
            release.set()
            await first
            return (await client.get("/third")).status_code

    assert asyncio.run(call()) == 200
    assert [seen.target for seen in server.seen] == ["/first", "/third"]


def test_a_connection_that_says_what_no_call_asked_is_closed(
    auth: meshpass.SignedJWT, raw_server: RawServer
) -> None:
    closed_by_the_client = threading.Event()

    def answer_and_go_on(connection: socket.socket) -> None:
        while connection.recv(4096):
            connection.sendall(OK)
            connection.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: 7\r\n\r\nsecrets")
        closed_by_the_client.set()

    async def call() -> list[str]:
        async with client_of(auth, raw_server(answer_and_go_on)) as client:
            first = await client.get("/")
            assert await asyncio.to_thread(closed_by_the_client.wait, 10)
            return [first.text, (await client.get("/")).text]

    assert asyncio.run(call()) == ["{}", "{}"]


@pytest.mark.parametrize("clock", ["monotonic", "time"])
def test_no_connection_is_kept_longer_than_it_may_by_either_clock(
    auth: meshpass.SignedJWT, server: Server, monkeypatch: pytest.MonkeyPatch, clock: str
) -> None:
    async def call() -> None:
        async with client_of(auth, server.address) as client:
            await client.get("/")
            await client.get("/")
            assert server.connections == 1
            later = getattr(time, clock)() + KEEPALIVE_S
            monkeypatch.setattr(async_pool, "time", _Clocks(**{clock: later}))
            await client.get("/")

    asyncio.run(call())
    assert server.connections == 2


def test_closing_the_client_ends_the_calls_under_way(auth: meshpass.SignedJWT, raw_server: RawServer) -> None:
    arrived, closed = threading.Event(), threading.Event()

    def never_answer(connection: socket.socket) -> None:
        while connection.recv(4096):
            arrived.set()
        closed.set()

    async def call() -> None:
        client = client_of(auth, raw_server(never_answer))
        task = asyncio.create_task(client.get("/"))
        assert await asyncio.to_thread(arrived.wait, 10)
        await client.aclose()
        with pytest.raises(meshpass.UpstreamUnavailable) as caught:
            await task
        assert caught.value.code == "connection_lost"
        assert await asyncio.to_thread(closed.wait, 10)

    asyncio.run(call())


def test_it_works_in_an_event_loop_of_uvloop(auth: meshpass.SignedJWT, server: Server) -> None:
    async def call() -> list[int]:
        async with client_of(auth, server.address) as client:
            return [(await client.get("/")).status_code for _ in range(3)]

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        assert runner.run(call()) == [200, 200, 200]
    assert server.connections == 1


class _Clocks:
    """The module `time` with its clocks at a later time."""

    def __init__(self, **now: float) -> None:
        self._now = now

    def monotonic(self) -> float:
        return self._now.get("monotonic", time.monotonic())

    def time(self) -> float:
        return self._now.get("time", time.time())


@pytest.mark.parametrize("secure", [False, True], ids=["http", "https"])
def test_bodies_that_arrive_together_do_not_mix(
    auth: meshpass.SignedJWT, serve: Callable[..., Server], ca: Authority, *, secure: bool
) -> None:
    """The connections of a thread read into one buffer: two loops in two threads, with calls at once in each."""
    server = serve(ca.context("h.internal")) if secure else serve()
    server.answer = lambda seen: (200, {}, seen.target.encode() * 20_000)
    trust = {"ca_file": str(ca.file)} if secure else {}

    async def call(loop: str) -> list[bool]:
        url = "https://h.internal" if secure else "http://h.internal"
        async with meshpass.AsyncClient(url, auth=auth, address=server.address, **trust) as client:  # type: ignore[arg-type]
            answers = await asyncio.gather(*(client.get("/{l}/{n}", l=loop, n=n) for n in range(8)))
            return [answer.content == f"/{loop}/{n}".encode() * 20_000 for n, answer in enumerate(answers)]

    def run(loop: str) -> list[bool]:
        factory = uvloop.new_event_loop if loop == "uvloop" else asyncio.new_event_loop
        with asyncio.Runner(loop_factory=factory) as runner:
            return runner.run(call(loop))

    with ThreadPoolExecutor(2) as threads:
        assert list(threads.map(run, ["asyncio", "uvloop"])) == [[True] * 8] * 2
