"""No error, log line, response or object of an adapter shows the caller's token."""

import asyncio
import logging
import pickle
import socket
from collections.abc import Callable
from typing import Any

import grpc
import httpx
import meshpass
import pytest
import requests
from meshpass.testing import FakeGateway, Reply

from .conftest import RawServer
from .traces import shown_by, shown_by_error, shown_by_records

ORIGIN = "http://user-profile.internal"
Send = Callable[[str, dict[str, Any]], object]


def by_httpx(auth: meshpass.SignedJWT, address: str, timeout_s: float) -> Send:
    transport = meshpass.Transport(ORIGIN, auth=auth, address=address, timeout_s=timeout_s)
    client = httpx.Client(transport=transport, base_url=ORIGIN, timeout=None)

    def send(path: str, headers: dict[str, Any]) -> object:
        with client:
            return client.get(path, headers=headers)

    return send


def by_async_httpx(auth: meshpass.SignedJWT, address: str, timeout_s: float) -> Send:
    async def call(path: str, headers: dict[str, Any]) -> object:
        transport = meshpass.AsyncTransport(ORIGIN, auth=auth, address=address, timeout_s=timeout_s)
        async with httpx.AsyncClient(transport=transport, base_url=ORIGIN, timeout=None) as client:
            return await client.get(path, headers=headers)

    return lambda path, headers: asyncio.run(call(path, headers))


def by_requests(auth: meshpass.SignedJWT, address: str, timeout_s: float) -> Send:
    def send(path: str, headers: dict[str, Any]) -> object:
        adapter = meshpass.RequestsAdapter(ORIGIN, auth=auth, address=address, timeout_s=timeout_s)
        with requests.Session() as session:
            session.mount(f"{ORIGIN}/", adapter)
            return session.get(f"{ORIGIN}{path}", headers=headers)

    return send


@pytest.fixture(params=[by_httpx, by_async_httpx, by_requests])
def sender(request: pytest.FixtureRequest, auth: meshpass.SignedJWT) -> Callable[..., Send]:
    return lambda address, timeout_s=10.0: request.param(auth, address, timeout_s)


def echo(connection: socket.socket) -> None:
    """Answer as a gateway that refuses, with all that was sent: Envoy's words may hold anything."""
    data = connection.recv(65536)
    connection.sendall(
        b"HTTP/1.1 403 Forbidden\r\nserver: istio-envoy\r\ncontent-length: %d\r\n\r\n%b" % (len(data), data)
    )


def nothing(connection: socket.socket) -> None:
    """Read until the peer closes."""
    while connection.recv(65536):
        pass


def half(connection: socket.socket) -> None:
    """Begin a response and break off."""
    connection.recv(65536)
    connection.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nab")


@pytest.mark.parametrize("serve", [echo, nothing, half])
def test_no_failed_call_shows_the_token(
    raw_server: RawServer,
    sender: Callable[..., Send],
    auth: meshpass.SignedJWT,
    caplog: pytest.LogCaptureFixture,
    serve: Callable[[socket.socket], None],
) -> None:
    caplog.set_level(logging.DEBUG)
    token = auth.token().value

    with pytest.raises(meshpass.MeshError) as failed:
        sender(raw_server(serve), 0.5)("/", {})

    shown = shown_by_error(failed.value) + shown_by_records(caplog.records)
    assert "user-profile.internal" in shown
    assert [part for part in (token, *token.split(".")[1:]) if part in shown] == []


def test_no_response_shows_the_token(
    sender: Callable[..., Send], auth: meshpass.SignedJWT, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    token = auth.token().value
    with FakeGateway() as gateway:
        gateway.trust(auth.jwks()["keys"])
        gateway.service = lambda _: Reply.json({"user_id": "u-1"})
        response = sender(gateway.address)("/", {})

    assert isinstance(response, httpx.Response | requests.Response)
    assert response.status_code == 200
    shown = shown_by(response) + repr(response.request.headers) + shown_by_records(caplog.records)
    assert token not in shown
    assert token not in pickle.dumps(response).decode("latin-1")


def test_no_failed_call_of_grpc_shows_the_token(
    raw_server: RawServer, auth: meshpass.SignedJWT, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    token = auth.token().value
    address = raw_server(half)

    channel = meshpass.grpc_channel(ORIGIN, auth=auth, address=address)
    with channel, pytest.raises(grpc.RpcError) as failed:
        channel.unary_unary("/p.P/Get")(b"", timeout=5)

    assert token not in str(failed.value) + repr(failed.value) + shown_by_records(caplog.records)
