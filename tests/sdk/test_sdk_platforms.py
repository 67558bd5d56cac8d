"""Platforms that have no `select.poll`: Windows, and programs in which eventlet has taken it away."""

import select
import socket
import threading
import time

import meshpass
import pytest
from meshpass._http.readiness import idle_check, wait

from .conftest import Connect, RawServer, Server


@pytest.fixture(params=["poll", "select"])
def without_poll(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if request.param == "select":
        for name in ("poll", "epoll", "kqueue", "devpoll"):
            monkeypatch.delattr(select, name, raising=False)


@pytest.mark.usefixtures("without_poll")
def test_calls_need_no_poll(connect: Connect, server: Server) -> None:
    client = connect(address=server.address)

    for _ in range(3):
        assert client.get("/").status_code == 200
    assert client.request("POST", "/", content=b"x" * 5_000_000).status_code == 200

    assert server.connections == 1


@pytest.mark.usefixtures("without_poll")
def test_an_idle_connection_that_was_closed_is_noticed(
    auth: meshpass.SignedJWT, raw_server: RawServer
) -> None:
    closed = threading.Event()

    def answer_once(connection: socket.socket) -> None:
        connection.recv(4096)
        connection.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}")
        connection.shutdown(socket.SHUT_RDWR)
        closed.set()

    with meshpass.Client("http://h.internal", auth=auth, address=raw_server(answer_once)) as client:
        for _ in range(3):
            closed.clear()
            assert client.request("POST", "/").status_code == 200  # which would not be sent again
            assert closed.wait(10)


@pytest.mark.usefixtures("without_poll")
def test_waiting_reports_what_is_ready_and_ends_in_time() -> None:
    here, there = socket.socketpair()
    with here, there:
        assert wait([here], [here], 10) == {here}
        assert not idle_check(here)()
        began = time.monotonic()
        assert wait([here], [], 0.02) == set()
        assert time.monotonic() - began >= 0.02
        there.send(b"x")
        assert wait([here], [], 10) == {here}
        assert idle_check(here)()
