"""Answers: how large they may be, how they are decoded, what they keep of their request."""

import gzip
import pickle
import socket
import threading
import zlib
from collections.abc import Callable
from typing import Any

import httpx
import meshpass
import pytest

from .conftest import Connect, Server


@pytest.mark.parametrize("size", [1000, 1001])
def test_an_answer_up_to_the_limit_is_returned_and_a_larger_one_is_not(
    connect: Connect, server: Server, size: int
) -> None:
    server.answer = lambda _: (200, {}, b"x" * size)
    client = connect(address=server.address, max_response_bytes=1000)

    if size <= 1000:
        assert client.get("/").content == b"x" * size
    else:
        with pytest.raises(meshpass.BadResponse, match="larger than 1000 bytes") as caught:
            client.get("/")
        assert (caught.value.code, caught.value.attempts) == ("response_too_large", 1)


@pytest.mark.parametrize("coding", ["identity", "gzip"])
def test_a_call_may_have_a_limit_of_its_own(connect: Connect, server: Server, coding: str) -> None:
    body = b"x" * 2000
    server.answer = lambda _: (
        200,
        {"content-encoding": coding},
        gzip.compress(body) if coding == "gzip" else body,
    )

    larger = connect(address=server.address, max_response_bytes=1000)
    assert larger.get("/", max_response_bytes=2000).content == body
    with pytest.raises(meshpass.BadResponse, match="larger than 1000 bytes"):
        larger.get("/")
    for verb in ("get", "options", "delete", "post", "put", "patch"):
        with pytest.raises(meshpass.BadResponse, match="larger than 1999 bytes"):
            getattr(connect(address=server.address), verb)("/", max_response_bytes=1999)


@pytest.mark.parametrize("size", [0, -1, 1.5, "10", True, [1]])
def test_a_calls_limit_is_checked(connect: Connect, server: Server, size: Any) -> None:  # noqa: ANN401
    with pytest.raises(meshpass.InvalidRequest, match=r"max_response_bytes is .*a whole number above 0"):
        connect(address=server.address).get("/", max_response_bytes=size)


_ENDLESS = b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * 1001
_CHUNKED = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n" + b"5\r\nxxxxx\r\n" * 201 + b"0\r\n\r\n"


@pytest.mark.parametrize("wire", [_ENDLESS, _CHUNKED], ids=["until close", "chunked"])
def test_an_answer_without_a_length_is_limited_too(connect: Connect, wire: bytes) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def answer() -> None:
            connection, _ = listener.accept()
            with connection:
                connection.recv(65536)
                connection.sendall(wire)

        thread = threading.Thread(target=answer)
        thread.start()
        with pytest.raises(meshpass.BadResponse):
            connect(address=f"127.0.0.1:{listener.getsockname()[1]}", max_response_bytes=1000).get("/")
        thread.join()


@pytest.mark.parametrize("times", [1, 2])
def test_a_small_answer_that_unpacks_to_a_large_one_is_refused(
    connect: Connect, server: Server, times: int
) -> None:
    bomb = b"\0" * 20_000_000
    for _ in range(times):
        bomb = gzip.compress(bomb)
    server.answer = lambda _: (200, {"content-encoding": ", ".join(["gzip"] * times)}, bomb)

    with pytest.raises(meshpass.BadResponse, match="larger than"):
        connect(address=server.address).get("/")


@pytest.mark.parametrize(
    ("coding", "encode"),
    [
        ("gzip", gzip.compress),
        ("deflate", zlib.compress),
        ("Deflate", lambda body: zlib.compress(body, wbits=-15)),
        ("deflate, gzip", lambda body: gzip.compress(zlib.compress(body))),
        ("identity", lambda body: body),
    ],
)
def test_an_answer_is_decoded_and_still_says_how_it_came(
    connect: Connect, server: Server, coding: str, encode: Callable[[bytes], bytes]
) -> None:
    server.answer = lambda _: (200, {"content-encoding": coding}, encode(b'{"a": "\xc3\xa4"}'))

    response = connect(address=server.address).get("/")

    assert (response.json(), response.text) == ({"a": "ä"}, '{"a": "ä"}')
    assert response.headers["content-encoding"] == coding
    assert b"".join(response.iter_bytes()) == response.content


def test_an_answer_is_an_httpx_response_with_its_request(connect: Connect, server: Server) -> None:
    response = connect(address=server.address).request(
        "POST", "/{x}", json={"b": 1}, x="ü", params={"q": "1"}
    )

    assert isinstance(response, httpx.Response)
    assert response.raise_for_status() is response
    assert (response.request.method, response.request.content) == ("POST", b'{"b":1}')
    assert str(response.url) == "http://user-profile.internal/%C3%BC?q=1"
    assert response.elapsed.total_seconds() > 0
    copied = pickle.loads(pickle.dumps(response))
    assert (copied.status_code, copied.content) == (200, b"{}")


def test_the_headers_of_an_answer_are_httpx_s_own(connect: Connect, server: Server) -> None:
    server.answer = lambda _: (
        200,
        {"content-type": "text/plain; charset=latin-1", "x-name": "\xe4"},
        b"\xe4",
    )
    client = connect(address=server.address)

    unread, read, changed = (client.get("/") for _ in range(3))
    assert read.headers is read.headers
    assert (read.headers["X-Name"], read.text, read.charset_encoding) == ("\xe4", "\xe4", "latin-1")
    for response in (unread, read):
        copied = pickle.loads(pickle.dumps(response))
        assert (copied.headers, copied.text) == (read.headers, "\xe4")
    changed.headers = httpx.Headers({"x-other": "1"})
    assert dict(changed.headers) == {"x-other": "1"}


def test_a_failed_answer_raises_for_its_status_as_in_httpx(connect: Connect, server: Server) -> None:
    server.answer = lambda _: (418, {"content-type": "application/json"}, b"{}")

    with pytest.raises(httpx.HTTPStatusError, match="418"):
        connect(address=server.address).get("/").raise_for_status()
