"""One deadline for the whole call: token, connecting, attempts, waits and body."""

import asyncio
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

import meshpass
import pytest
from meshpass._call.service import DEADLINE_HEADER
from meshpass._tokens.cache import CachedSource

from .conftest import Connect, Server

_LIMIT_S = 0.4
_TRIES = 20
_ENVOY = {"server": "istio-envoy", "content-type": "text/plain"}


class SlowSource(CachedSource):
    """A source whose token never comes."""

    def __init__(self) -> None:
        self.never = threading.Event()

    def _cache_key(self) -> object:
        return self

    def _fetch(self, deadline_s: float) -> meshpass.Token:
        self.never.wait(deadline_s)
        raise meshpass.MeshError("No token.")


@contextmanager
def dripping_address(start: bytes) -> Iterator[str]:
    """An address that begins an answer with `start` and goes on byte by byte for ever."""
    over = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def drip(connection: socket.socket) -> None:
            with connection, suppress(OSError):
                connection.recv(4096)
                connection.sendall(start)
                while start and not over.wait(0.01):
                    connection.sendall(b"x")
                over.wait()

        def accept() -> None:
            with suppress(OSError):
                while True:
                    threading.Thread(target=drip, args=(listener.accept()[0],), daemon=True).start()

        thread = threading.Thread(target=accept, daemon=True)
        thread.start()
        yield f"127.0.0.1:{listener.getsockname()[1]}"
        over.set()
        listener.shutdown(socket.SHUT_RDWR)
        thread.join()


def within_five_percent(call: Callable[[], object]) -> meshpass.MeshTimeout:
    """Call until one is on time: on a busy machine many a thread is woken late, but not always."""
    took_s = []
    for _ in range(_TRIES):
        started = time.monotonic()
        with pytest.raises(meshpass.MeshTimeout) as caught:
            call()
        took_s.append(time.monotonic() - started)
        assert took_s[-1] >= _LIMIT_S * 0.99
        if took_s[-1] <= _LIMIT_S * 1.05:
            return caught.value
    raise AssertionError(f"none of {_TRIES} calls with {_LIMIT_S} s was on time: {took_s}")


def test_a_token_that_does_not_come_is_waited_for_until_the_deadline(
    connect: Connect, server: Server
) -> None:
    source = SlowSource()
    client = connect(address=server.address, auth=source, timeout_s=_LIMIT_S)

    error = within_five_percent(lambda: client.get("/"))

    source.never.set()
    assert (error.code, error.attempts, error.service) == ("timeout_token", 0, "user-profile.internal")
    assert not server.seen


def test_a_connection_that_does_not_come_is_waited_for_until_the_deadline(
    connect: Connect, full_address: str
) -> None:
    client = connect(address=full_address, timeout_s=_LIMIT_S)

    error = within_five_percent(lambda: client.get("/"))

    assert (error.code, error.attempts) == ("timeout_connect", 1)
    assert "nothing was sent" in str(error)


@pytest.mark.parametrize(
    ("start", "code"),
    [
        (b"", "timeout_read"),
        (b"HTTP/1.1 200 OK\r\nx: ", None),
        (b"HTTP/1.1 200 OK\r\n\r\n", "timeout_body"),
    ],
    ids=["silence", "dripping head", "dripping body"],
)
def test_an_answer_that_does_not_end_is_waited_for_until_the_deadline(
    connect: Connect, start: bytes, code: str | None
) -> None:
    with dripping_address(start) as address:
        client = connect(address=address, timeout_s=_LIMIT_S)

        error = within_five_percent(lambda: client.get("/"))

    assert error.code in (code, *(() if code else ("timeout_read", "timeout_body")))
    assert error.retryable


def test_attempts_and_the_waits_between_them_end_with_the_deadline(connect: Connect, server: Server) -> None:
    server.answer = lambda _: (503, _ENVOY, b"no healthy upstream")
    policy = meshpass.RetryPolicy(attempts=10**6, backoff_s=0.05, max_backoff_s=0.05, budget_burst=10**6)
    limit_s = 5 * _LIMIT_S
    client = connect(address=server.address, timeout_s=limit_s, retry=policy)
    started = time.monotonic()

    # The last attempt fails as all the others did, or the deadline ends it.
    with pytest.raises((meshpass.UpstreamUnavailable, meshpass.MeshTimeout)) as caught:
        client.get("/")

    assert time.monotonic() - started < 2 * limit_s
    assert caught.value.attempts > 3
    left_ms = [int(seen.headers[DEADLINE_HEADER]) for seen in server.seen]
    assert left_ms == sorted(left_ms, reverse=True)
    assert left_ms[0] <= limit_s * 1000


def test_an_attempt_has_a_limit_of_its_own_so_that_there_is_time_for_another(connect: Connect) -> None:
    with dripping_address(b"") as address:
        client = connect(
            address=address, timeout_s=30, attempt_timeout_s=0.5, retry=meshpass.RetryPolicy(backoff_s=0)
        )

        with pytest.raises(meshpass.MeshTimeout) as caught:
            client.get("/")

    assert (caught.value.code, caught.value.attempts) == ("timeout_read", 3)


def test_the_service_learns_what_is_left(connect: Connect, server: Server) -> None:
    connect(address=server.address, timeout_s=70).get("/")
    connect(address=server.address, deadline_header="x-left").get("/", timeout_s=30)
    connect(address=server.address, deadline_header=None).get("/")

    first, second, third = (seen.headers for seen in server.seen)
    assert 40_000 < int(first[DEADLINE_HEADER]) <= 70_000
    assert 0 < int(second["x-left"]) <= 30_000
    assert not {DEADLINE_HEADER, "x-left"} & third.keys()


def test_calls_may_share_one_deadline(connect: Connect, server: Server) -> None:
    client = connect(address=server.address)
    deadline = meshpass.Deadline.after(60)

    client.get("/", timeout_s=deadline)
    client.get("/", timeout_s=deadline)

    first, second = (int(seen.headers[DEADLINE_HEADER]) for seen in server.seen)
    assert second <= first <= 60_000


def test_a_deadline_that_is_over_sends_nothing(connect: Connect, server: Server) -> None:
    with pytest.raises(meshpass.MeshTimeout, match="was over before anything was sent") as caught:
        connect(address=server.address).get("/", timeout_s=meshpass.Deadline.after(-1))

    assert (caught.value.code, server.connections) == ("deadline", 0)


@pytest.mark.parametrize("wrong", [0, -1, float("nan"), float("inf")])
def test_a_time_that_is_none_is_refused(connect: Connect, wrong: float) -> None:
    with pytest.raises(meshpass.ConfigurationError, match="timeout_s"):
        connect(timeout_s=wrong)
    with pytest.raises(meshpass.InvalidRequest, match="timeout_s"):
        connect(address="127.0.0.1:9").get("/", timeout_s=wrong)


def test_a_cancelled_call_leaves_the_client_as_it_was(auth: meshpass.SignedJWT, server: Server) -> None:
    async def call() -> int:
        async with meshpass.AsyncClient("http://h.internal", auth=auth, address=server.address) as client:
            with dripping_address(b"") as silent:
                other = meshpass.AsyncClient("http://h.internal", auth=auth, address=silent)
                with pytest.raises(TimeoutError):
                    async with asyncio.timeout(0.1):
                        await other.get("/")
                await other.aclose()
            return (await client.get("/")).status_code

    assert asyncio.run(call()) == 200
