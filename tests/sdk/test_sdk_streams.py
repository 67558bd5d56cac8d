# ruff: noqa: ANN401, PERF401, PERF402
"""Bodies that are not whole in memory: files and iterables that are sent, and responses that are read as they come."""

import asyncio
import gzip
import io
import os
import socket
import time
import zlib
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx
import meshpass
import pytest

from .conftest import Connect, RawServer, Server

_HOST = "http://user-profile.internal"


def generator() -> Iterator[bytes]:
    yield b"one"
    yield b""
    yield bytearray(b"two")  # type: ignore[misc]
    yield b"x" * 100_000


class Unseekable(io.RawIOBase):
    def __init__(self, content: bytes) -> None:
        self._content = io.BytesIO(content)

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        return self._content.read(size)


def test_a_generator_is_sent_in_chunks(connect: Connect, server: Server) -> None:
    connect(address=server.address).post("/", content=generator())

    assert server.seen[-1].body == b"onetwo" + b"x" * 100_000
    assert server.seen[-1].headers["transfer-encoding"] == "chunked"
    assert "content-length" not in server.seen[-1].headers


def test_a_file_is_sent_from_where_it_stands_with_its_length(
    connect: Connect, server: Server, tmp_path: Path
) -> None:
    file = tmp_path / "file"
    content = os.urandom(300_000)
    file.write_bytes(content)
    with file.open("rb") as opened:
        opened.seek(7)
        connect(address=server.address).put("/", content=opened)

    assert server.seen[-1].body == content[7:]
    assert server.seen[-1].headers["content-length"] == str(len(content) - 7)


def test_a_file_without_a_length_is_sent_in_chunks(connect: Connect, server: Server) -> None:
    connect(address=server.address).put("/", content=Unseekable(b"abc" * 50_000))

    assert server.seen[-1].body == b"abc" * 50_000
    assert server.seen[-1].headers["transfer-encoding"] == "chunked"


@pytest.mark.parametrize("file", [io.StringIO("x"), None])
def test_a_file_in_text_mode_is_refused(connect: Connect, server: Server, tmp_path: Path, file: Any) -> None:
    (tmp_path / "file").write_text("ü\n")
    with (tmp_path / "file").open() as opened:
        for body in ({"content": file or opened}, {"files": {"f": file or opened}}):
            with pytest.raises(meshpass.InvalidRequest, match="text mode"):
                connect(address=server.address).post("/", **body)

    assert server.seen == []


@pytest.mark.parametrize("seekable", [True, False])
def test_files_of_a_form_are_sent_in_parts(connect: Connect, server: Server, seekable: bool) -> None:
    content = os.urandom(200_000)
    file = io.BytesIO(content) if seekable else Unseekable(content)
    connect(address=server.address).post(
        "/", data={"a": "ü"}, files=[("f", ("n.bin", file)), ("g", b"small")]
    )

    seen = server.seen[-1]
    expected = httpx.Request(
        "POST",
        "http://x",
        data={"a": "ü"},
        files=[("f", ("n.bin", content)), ("g", b"small")],
        headers={"content-type": seen.headers["content-type"]},
    )
    assert seen.body == expected.read()
    assert ("content-length" in seen.headers) is seekable


class _Flaky:
    """Refuses with 503 as often as is left."""

    def __init__(self, server: Server, failures: int) -> None:
        self.failures = failures
        server.answer = self.answer

    def answer(self, _: Any) -> tuple[int, dict[str, str], bytes]:
        self.failures -= 1
        return (503, {"retry-after": "0"}, b"") if self.failures >= 0 else (200, {}, b"{}")


def test_a_file_is_sent_again_from_its_beginning(connect: Connect, server: Server) -> None:
    _Flaky(server, 2)
    file, part = io.BytesIO(b"skipped, sent"), io.BytesIO(b"part")
    file.seek(9)
    client = connect(address=server.address)

    assert client.put("/", content=file).status_code == 200
    assert [seen.body for seen in server.seen] == [b"sent"] * 3
    _Flaky(server, 1)
    assert client.post("/", files={"f": part}, idempotent=True).status_code == 200
    assert server.seen[-1].body == server.seen[-2].body
    assert b"part" in server.seen[-1].body


def test_a_generator_is_never_sent_again(connect: Connect, server: Server) -> None:
    _Flaky(server, 1)

    assert connect(address=server.address).put("/", content=generator()).status_code == 503
    assert len(server.seen) == 1


class _OwnError(Exception):
    pass


@pytest.mark.parametrize(
    "error", [_OwnError("x"), TimeoutError("x"), OSError("x"), meshpass.MeshTimeout("x")]
)
def test_what_the_callers_iterator_raises_leaves_the_call_as_it_is(
    connect: Connect, server: Server, error: Exception
) -> None:
    def broken() -> Iterator[bytes]:
        yield b"x" * 70_000
        raise error

    client = connect(address=server.address)
    with pytest.raises(type(error)) as caught:
        client.put("/", content=broken())

    assert caught.value is error
    assert client.get("/").status_code == 200


def test_an_asynchronous_iterable_is_sent_by_the_asyncio_client_alone(
    server: Server, auth: meshpass.SignedJWT
) -> None:
    async def parts() -> AsyncIterator[bytes]:
        yield b"one"
        await asyncio.sleep(0)
        yield b"two"

    async def main() -> None:
        async with meshpass.AsyncClient(_HOST, address=server.address, auth=auth) as client:
            await client.post("/", content=parts())

    asyncio.run(main())
    assert server.seen[-1].body == b"onetwo"
    with (
        meshpass.Client(_HOST, address=server.address, auth=auth) as client,
        pytest.raises(meshpass.InvalidRequest, match=r"Use meshpass\.AsyncClient"),
    ):
        client.post("/", content=parts())


class Reading:
    """Reads a response of either client in one way, and gives what came."""

    def __init__(self, server: Server | str, auth: meshpass.SignedJWT, *, is_async: bool) -> None:
        self.address = server if isinstance(server, str) else server.address
        self.auth = auth
        self.is_async = is_async
        self.response: httpx.Response
        self.call_options: dict[str, Any] = {}

    def read(self, how: str, *args: Any, path: str = "/", **options: Any) -> list[Any]:
        found: list[Any] = []
        if not self.is_async:
            with (
                meshpass.Client(_HOST, address=self.address, auth=self.auth, **options) as client,
                client.stream("GET", path, **self.call_options) as self.response,
            ):
                if how == "read":
                    return [self.response.read()]
                for part in getattr(self.response, f"iter_{how}")(*args):
                    found.append(part)
            return found

        async def main() -> None:
            async with (
                meshpass.AsyncClient(_HOST, address=self.address, auth=self.auth, **options) as client,
                client.stream("GET", path, **self.call_options) as self.response,
            ):
                if how == "read":
                    found.append(await self.response.aread())
                    return
                async for part in getattr(self.response, f"aiter_{how}")(*args):
                    found.append(part)

        asyncio.run(main())
        return found


@pytest.fixture(params=["sync", "async"])
def reading(request: pytest.FixtureRequest, server: Server, auth: meshpass.SignedJWT) -> Reading:
    return Reading(server, auth, is_async=request.param == "async")


_TEXT = "".join(f"line {number} ü\n" for number in range(20_000))


@pytest.mark.parametrize("coding", ["identity", "gzip", "deflate", "deflate, gzip"])
def test_a_response_is_read_as_it_comes_in_each_of_httpxs_ways(
    reading: Reading, server: Server, coding: str
) -> None:
    body = _TEXT.encode()
    for name in coding.split(", "):
        body = gzip.compress(body) if name == "gzip" else zlib.compress(body) if name == "deflate" else body
    server.answer = lambda _: (
        200,
        {"content-encoding": coding, "content-type": "text/plain; charset=utf-8"},
        body,
    )

    assert b"".join(reading.read("bytes")) == _TEXT.encode()
    assert reading.response.is_closed
    assert b"".join(reading.read("raw")) == body
    assert "".join(reading.read("text")) == _TEXT
    assert reading.read("lines") == _TEXT.splitlines()
    assert reading.read("read") == [_TEXT.encode()]
    assert reading.response.text == _TEXT
    chunks = reading.read("bytes", 1000)
    assert {len(chunk) for chunk in chunks[:-1]} == {1000}
    assert b"".join(chunks) == _TEXT.encode()
    assert isinstance(reading.response, httpx.Response)
    assert reading.response.request.url.path == "/"
    assert "authorization" not in reading.response.request.headers


def test_a_connection_is_used_again_when_the_body_was_read(server: Server, auth: meshpass.SignedJWT) -> None:
    server.answer = lambda _: (200, {}, b"x" * 200_000)
    with meshpass.Client(_HOST, address=server.address, auth=auth) as client:
        for _ in range(3):
            with client.stream("GET", "/") as response:
                assert sum(map(len, response.iter_bytes())) == 200_000
        assert server.connections == 1
        with client.stream("GET", "/") as response:
            next(response.iter_bytes())
        assert client.get("/").content == b"x" * 200_000
        assert server.connections == 2


@pytest.mark.parametrize("status", [404, 500])
def test_a_response_that_is_no_success_is_read_whole(reading: Reading, server: Server, status: int) -> None:
    server.answer = lambda _: (status, {"content-type": "application/json"}, b'{"a": 1}')

    assert b"".join(reading.read("bytes")) == b'{"a": 1}'
    assert reading.response.json() == {"a": 1}
    assert b"".join(reading.read("raw")) == b'{"a": 1}'


def test_what_the_mesh_answers_in_the_services_place_is_raised(reading: Reading, server: Server) -> None:
    server.answer = lambda _: (403, {"server": "istio-envoy"}, b"RBAC: access denied")

    with pytest.raises(meshpass.NotAllowed):
        reading.read("bytes")


@pytest.mark.parametrize(
    "body", [b"x" * 1001, *(gzip.compress(b"x" * size, mtime=0) for size in (1001, 10_000_000))]
)
def test_the_limit_holds_for_a_body_that_is_read_as_it_comes(
    reading: Reading, server: Server, body: bytes
) -> None:
    coding = "gzip" if body[:1] == b"\x1f" else "identity"
    server.answer = lambda _: (200, {"content-encoding": coding}, body)

    with pytest.raises(meshpass.BadResponse, match="larger than 1000 bytes"):
        reading.read("bytes", max_response_bytes=1000)


@pytest.mark.parametrize("coding", ["identity", "gzip"])
def test_a_streamed_call_may_have_a_limit_of_its_own(reading: Reading, server: Server, coding: str) -> None:
    body = b"x" * 2000
    sent = gzip.compress(body, mtime=0) if coding == "gzip" else body
    server.answer = lambda _: (200, {"content-encoding": coding}, sent)

    reading.call_options = {"max_response_bytes": 2000}
    assert b"".join(reading.read("bytes", max_response_bytes=1000)) == body
    reading.call_options = {"max_response_bytes": 1999}
    with pytest.raises(meshpass.BadResponse, match="larger than 1999 bytes"):
        reading.read("bytes")


@pytest.mark.parametrize(
    ("coding", "body"),
    [
        ("gzip", b"no gzip"),
        ("gzip", gzip.compress(b"x" * 99, mtime=0)[:-3]),
        ("br", b"x"),
        (",".join(["gzip"] * 9), b"x"),
    ],
)
def test_a_damaged_body_is_a_bad_response(reading: Reading, server: Server, coding: str, body: bytes) -> None:
    server.answer = lambda _: (200, {"content-encoding": coding}, body)

    with pytest.raises(meshpass.BadResponse, match="cannot be decoded"):
        reading.read("bytes")


@pytest.mark.parametrize("body", [b"", gzip.compress(b"", mtime=0)])
def test_an_empty_body_has_no_bytes(reading: Reading, server: Server, body: bytes) -> None:
    server.answer = lambda _: (200, {"content-encoding": "gzip"}, body)

    assert b"".join(reading.read("bytes")) == b""


@pytest.mark.parametrize("is_async", [False, True])
def test_the_deadline_holds_for_a_body_that_stalls(
    raw_server: RawServer, auth: meshpass.SignedJWT, is_async: bool
) -> None:
    def stall(connection: socket.socket) -> None:
        connection.recv(65536)
        connection.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nfirst")
        connection.recv(1)

    reading = Reading(raw_server(stall), auth, is_async=is_async)
    with pytest.raises(meshpass.MeshTimeout) as caught:
        reading.read("bytes", timeout_s=1.5)

    assert caught.value.code == "timeout_body"


@pytest.mark.parametrize("is_async", [False, True])
def test_a_connection_that_breaks_in_the_body_is_an_error_of_this_package(
    raw_server: RawServer, auth: meshpass.SignedJWT, is_async: bool
) -> None:
    def cut(connection: socket.socket) -> None:
        connection.recv(65536)
        connection.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nfirst")

    reading = Reading(raw_server(cut), auth, is_async=is_async)
    with pytest.raises(meshpass.UpstreamUnavailable, match="broke"):
        reading.read("bytes")


def test_the_deadline_holds_while_a_streamed_body_is_decoded(
    reading: Reading, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.answer = lambda _: (200, {"content-encoding": "gzip"}, gzip.compress(b"x"))

    reading.read("bytes")  # the first call of a process takes time of its own
    done: list[int] = []

    def slow(self: object, data: bytes) -> Iterator[bytes]:
        for index in range(4000):
            time.sleep(0.001)
            done.append(index)
            yield b"."

    monkeypatch.setattr("meshpass._call.content_coding.Decoder.feed", slow)
    monkeypatch.setattr("meshpass._call.content_coding.Decoder.finish", lambda self: iter(()))
    with pytest.raises(meshpass.MeshTimeout):
        reading.read("bytes", timeout_s=1)

    assert 0 < len(done) < 4000


@pytest.mark.parametrize("is_async", [False, True])
def test_a_response_hook_that_fails_closes_the_body(
    server: Server, auth: meshpass.SignedJWT, is_async: bool
) -> None:
    server.answer = lambda _: (200, {}, b"x" * 200_000)
    seen: list[httpx.Response] = []

    def fail(response: httpx.Response) -> None:
        seen.append(response)
        raise KeyError

    with suppress(KeyError):
        Reading(server, auth, is_async=is_async).read("bytes", event_hooks={"response": [fail]})

    assert seen[0].is_closed


@pytest.mark.parametrize("is_async", [False, True])
def test_the_token_does_not_stay_with_a_streamed_response(
    server: Server, auth: meshpass.SignedJWT, is_async: bool
) -> None:
    reading = Reading(server, auth, is_async=is_async)
    reading.read("bytes")

    assert auth.token().value not in repr(vars(reading.response))
