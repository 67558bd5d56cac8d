"""The relay at its end: connections that are still open close without a word."""

from __future__ import annotations

import socket
from contextlib import ExitStack
from typing import TYPE_CHECKING

from meshlab.bench.relay import Relay
from meshlab.istio.envoy.placement import Address
from meshlab.processes.ports import free_ports

if TYPE_CHECKING:
    import pytest


def test_a_relay_that_ends_with_open_connections_says_nothing(caplog: pytest.LogCaptureFixture) -> None:
    ports = free_ports()
    address = Address("127.0.0.1", next(ports))
    with socket.create_server(("127.0.0.1", 0)) as behind, ExitStack() as open_connections:
        onward = Address("127.0.0.1", behind.getsockname()[1])
        with Relay(address, lambda _ip, _port: onward):
            client = open_connections.enter_context(socket.create_connection((address.host, address.port)))
            client.sendall(b"PROXY TCP4 10.0.0.1 10.0.0.2 1 80\r\nhello")
            passed_on = open_connections.enter_context(behind.accept()[0])
            assert passed_on.recv(5) == b"hello"
    ports.close()  # type: ignore[attr-defined]
    # asyncio logs what was not caught, and without logging set up that is a traceback on stderr.
    assert caplog.records == []
