# ruff: noqa: ANN401
"""A name with several addresses: all of them are tried within the time for connecting (RFC 8305)."""

import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import meshpass
import pytest
from meshpass._http.dialing import DELAY_S, Schedule, interleaved

from .conftest import Authority, Connect, RawServer, Server

V4, V6 = socket.AF_INET, socket.AF_INET6


def four(last: int, port: int = 1) -> tuple[socket.AddressFamily, tuple[str, int]]:
    return V4, (f"192.0.2.{last}", port)


def six(last: int) -> tuple[socket.AddressFamily, tuple[str, int, int, int]]:
    return V6, (f"2001:db8::{last}", 1, 0, 0)


def test_families_alternate_and_the_resolvers_first_choice_comes_first() -> None:
    assert list(interleaved([six(1), six(2), six(3), four(1), four(2)])) == [
        six(1),
        four(1),
        six(2),
        four(2),
        six(3),
    ]
    assert list(interleaved([four(1), four(1), six(1)])) == [four(1), six(1)]


def test_an_address_begins_after_a_delay_or_as_soon_as_another_has_failed() -> None:
    schedule = Schedule([four(1), four(2), four(3)])

    assert schedule.next(10.0) == four(1)
    assert schedule.next(10.0 + DELAY_S / 2) is None
    assert schedule.wait_s(10.0 + DELAY_S / 2) == pytest.approx(DELAY_S / 2)
    assert schedule.next(10.0 + DELAY_S) == four(2)
    schedule.hurry()
    assert schedule.next(10.0 + DELAY_S) == four(3)
    assert (schedule.next(99.0), schedule.wait_s(99.0)) == (None, None)


@pytest.fixture
def silent() -> Iterator[Callable[[], int]]:
    """Return ports that take no more connections, and refuse none."""
    with ExitStack() as stack:

        def open_port() -> int:
            full = stack.enter_context(socket.create_server(("127.0.0.1", 0), backlog=0))
            for _ in range(4):
                waiting = stack.enter_context(socket.socket())
                waiting.setblocking(False)
                waiting.connect_ex(full.getsockname())
            port: int = full.getsockname()[1]
            return port

        yield open_port


@pytest.fixture
def resolve(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Let the name `localhost` have these addresses; they may have ports of their own."""
    real = socket.getaddrinfo

    def set_addresses(*addresses: tuple[str, int]) -> None:
        def getaddrinfo(host: Any, *args: Any, **options: Any) -> Any:
            if host != "localhost":
                return real(host, *args, **options)
            return [(V4, socket.SOCK_STREAM, 6, "", address) for address in addresses]

        monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)

    return set_addresses


def test_a_dead_first_address_does_not_keep_a_call_from_the_second(
    connect: Connect, server: Server, silent: Callable[[], int], resolve: Callable[..., None]
) -> None:
    resolve(("127.0.0.1", silent()), ("127.0.0.1", silent()), ("127.0.0.1", server.server_port))
    client = connect(address="localhost:80", retry=meshpass.RetryPolicy(attempts=1), connect_timeout_s=20)

    assert client.get("/").status_code == 200


def test_an_address_that_refuses_is_followed_by_the_next(
    connect: Connect, server: Server, resolve: Callable[..., None]
) -> None:
    resolve(("127.0.0.1", 9), ("127.0.0.1", server.server_port))

    assert connect(address="localhost:80", retry=meshpass.RetryPolicy(attempts=1)).get("/").status_code == 200


def _read_all(connection: socket.socket) -> None:
    while connection.recv(4096):
        pass


def test_an_address_whose_tls_fails_is_followed_by_the_next(
    connect: Connect,
    serve: Callable[..., Server],
    ca: Authority,
    raw_server: RawServer,
    resolve: Callable[..., None],
) -> None:
    good = serve(ca.context("h.internal"))
    bad = raw_server(lambda connection: connection.sendall(b"HTTP/1.1 400 Bad\r\n\r\n"))
    mute = raw_server(_read_all)
    resolve(
        ("127.0.0.1", int(bad.partition(":")[2])),
        ("127.0.0.1", int(mute.partition(":")[2])),
        ("127.0.0.1", good.server_port),
    )
    client = connect(
        "https://h.internal",
        address="localhost:443",
        ca_file=ca.file,
        connect_timeout_s=4,
        timeout_s=60,
        retry=meshpass.RetryPolicy(attempts=1),
    )

    assert client.get("/").status_code == 200


def test_where_no_address_answers_the_time_for_connecting_is_kept(
    connect: Connect, silent: Callable[[], int], resolve: Callable[..., None]
) -> None:
    resolve(("127.0.0.1", silent()), ("127.0.0.1", silent()))
    client = connect(address="localhost:80", retry=meshpass.RetryPolicy(attempts=1), connect_timeout_s=0.6)

    with pytest.raises(meshpass.GatewayUnreachable, match=r"no connection within 0\.6 s"):
        client.get("/")


def test_where_all_addresses_refuse_the_reason_is_reported(
    connect: Connect, resolve: Callable[..., None]
) -> None:
    resolve(("127.0.0.1", 9), ("127.0.0.1", 9))
    client = connect(address="localhost:80", retry=meshpass.RetryPolicy(attempts=1))

    with pytest.raises(meshpass.GatewayUnreachable, match="Connection refused"):
        client.get("/")
