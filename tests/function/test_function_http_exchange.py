"""A short reply is written at once; every other response is uvicorn's own, byte for byte."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Sequence
from typing import Any

import pytest
import uvicorn
from enrichment.drivers.http_connection import HttpConnection
from uvicorn.server import ServerState

TEXT = (b"content-type", b"text/plain; charset=utf-8")
GET = b"GET / HTTP/1.1\r\nhost: a\r\n\r\n"
Message = dict[str, Any]


class Written(asyncio.Transport):
    """A transport that keeps what is written."""

    def __init__(self) -> None:
        super().__init__()
        self.writes: list[bytes] = []
        self.closed = False

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.writes.append(bytes(data))

    def get_extra_info(self, name: str, default: object = None) -> object:
        return {"peername": ("127.0.0.1", 1), "sockname": ("127.0.0.1", 2)}.get(name, default)

    def is_closing(self) -> bool:
        return self.closed

    def close(self) -> None:
        self.closed = True

    def pause_reading(self) -> None:
        pass

    def resume_reading(self) -> None:
        pass


def answered(request: bytes, messages: Sequence[Message]) -> Written:
    """Send one request to an application that answers with these messages."""

    async def application(_: object, __: object, send: Callable[[Message], Awaitable[None]]) -> None:
        for message in messages:
            await send(message)

    async def serve() -> Written:
        config = uvicorn.Config(
            application, http=HttpConnection, ws="none", lifespan="off", interface="asgi3", log_config=None
        )
        config.load()
        state = ServerState()
        state.default_headers = [(b"server", b"uvicorn")]
        transport = Written()
        connection = HttpConnection(config, state, {})
        connection.access_log = False
        connection.connection_made(transport)
        connection.data_received(request)
        await asyncio.gather(*state.tasks)
        return transport

    return asyncio.run(serve())


def reply(status: int, text: bytes, *headers: tuple[bytes, bytes]) -> list[Message]:
    length = (b"content-length", b"%d" % len(text))
    return [
        {"type": "http.response.start", "status": status, "headers": [length, TEXT, *headers]},
        {"type": "http.response.body", "body": text},
    ]


@pytest.mark.parametrize(("status", "line"), [(200, b"200 OK"), (503, b"503 Service Unavailable")])
def test_a_text_is_written_at_once(status: int, line: bytes) -> None:
    written = answered(GET, reply(status, b"some text"))
    assert written.writes == [
        b"HTTP/1.1 %b\r\nserver: uvicorn\r\ncontent-type: text/plain; charset=utf-8\r\ncontent-length: 9\r\n\r\n"
        b"some text" % line
    ]
    assert not written.closed


@pytest.mark.parametrize(
    "request_", [b"GET / HTTP/1.0\r\n\r\n", b"GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n"]
)
def test_a_connection_that_is_not_kept_says_so_and_is_closed(request_: bytes) -> None:
    written = answered(request_, reply(200, b"OK"))
    assert written.closed
    assert len(written.writes) == 1
    assert b"\r\nconnection: close\r\n" in written.writes[0]
    assert written.writes[0].endswith(b"\r\n\r\nOK")


def others() -> Iterator[Any]:
    start, body = reply(200, b"OK")
    yield pytest.param(GET, reply(200, b"OK", (b"x-more", b"1")), b"OK", id="another header")
    yield pytest.param(
        GET, [start, {**body, "body": b"O", "more_body": True}, {**body, "body": b"K"}], b"OK", id="two parts"
    )
    yield pytest.param(GET, [{**start, "headers": [TEXT]}, body], b"2\r\nOK\r\n0\r\n\r\n", id="no length")
    yield pytest.param(GET.replace(b"GET", b"HEAD"), [start, body], b"", id="HEAD")
    yield pytest.param(
        GET,
        [{**start, "headers": [(b"content-length", b"2"), (b"content-type", b"application/json")]}, body],
        b"OK",
        id="another type",
    )


@pytest.mark.parametrize(("request_", "messages", "sent"), list(others()))
def test_any_other_response_is_uvicorns(request_: bytes, messages: Sequence[Message], sent: bytes) -> None:
    head, _, rest = b"".join(answered(request_, messages).writes).partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200 OK\r\nserver: uvicorn\r\n")
    assert rest == sent


@pytest.mark.parametrize(
    "header", [(b"content-type", b"text/plain; charset=utf-8\r\nx: y"), (b"x y", b"z")], ids=["value", "name"]
)
def test_a_header_that_would_end_its_line_is_never_written(header: tuple[bytes, bytes]) -> None:
    start, body = reply(200, b"OK")
    written = answered(GET, [{**start, "headers": [(b"content-length", b"2"), header]}, body])
    assert written.writes == []
    assert written.closed


def test_a_response_without_a_body_is_an_error_of_the_server() -> None:
    start, _ = reply(200, b"OK")
    assert b"".join(answered(GET, [start]).writes).startswith(b"HTTP/1.1 500 ")
