"""As little HTTP/1.1 as a fake needs, so that serving it costs next to nothing beside the contender it serves."""

import asyncio
import json
import re
import signal
import ssl
from collections.abc import Awaitable, Callable
from http import HTTPStatus
from typing import cast

import uvloop
from meshlab.processes.ports import LOOPBACK

Answer = tuple[float, bytes]
"""How long to take, in seconds, and then the whole response."""

Answering = Callable[[bytes, bytes], Answer]
"""Answers a request, given its head and its body."""

_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)


def response(status: int, body: bytes, headers: bytes = b"") -> bytes:
    """A response of JSON.

    Args:
        status: The status.
        body: The body.
        headers: More header lines, each with its CRLF.
    """
    return b"HTTP/1.1 %d %b\r\ncontent-type: application/json\r\ncontent-length: %d\r\n%b\r\n%b" % (
        status,
        HTTPStatus(status).phrase.encode(),
        len(body),
        headers,
        body,
    )


def serve(
    answer: Answering,
    report: Callable[[], object],
    beside: Callable[[], Awaitable[object]] | None = None,
    tls: ssl.SSLContext | None = None,
) -> None:
    """Serve on a free port of 127.0.0.1 until a signal ends the process; the port is announced on standard output.

    Args:
        answer: Answers every request but one.
        report: Answers `GET /report`, as JSON: tells what was seen and forgets it.
        beside: Starts another server in the same event loop; what it returns is kept.
        tls: The certificate to serve with; plaintext without it.
    """
    uvloop.run(_serve(answer, report, beside, tls))


async def _serve(
    answer: Answering,
    report: Callable[[], object],
    beside: Callable[[], Awaitable[object]] | None,
    tls: ssl.SSLContext | None,
) -> None:
    loop = asyncio.get_running_loop()
    end = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, end.set)

    def answer_all(head: bytes, body: bytes) -> Answer:
        if head.startswith(b"GET /report "):
            return 0.0, response(200, json.dumps(report()).encode())
        return answer(head, body)

    kept = await beside() if beside else None
    server = await loop.create_server(lambda: _Connection(answer_all), LOOPBACK, 0, backlog=512, ssl=tls)
    print(f"listening {LOOPBACK}:{server.sockets[0].getsockname()[1]}", flush=True)
    await end.wait()
    del kept


class _Connection(asyncio.Protocol):
    """Answers one request after the other."""

    def __init__(self, answer: Answering) -> None:
        self._answer = answer
        self._unread = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # which uvloop's is without saying so
        self._later = asyncio.get_running_loop().call_later

    def data_received(self, data: bytes) -> None:
        self._unread += data
        while (ended := self._unread.find(b"\r\n\r\n")) >= 0:
            head, rest = self._unread[: ended + 2], self._unread[ended + 4 :]
            found = _LENGTH.search(head)
            length = int(found[1]) if found else 0
            if len(rest) < length:
                return
            self._unread = rest[length:]
            delay_s, answer = self._answer(head, rest[:length])
            if delay_s:
                self._later(delay_s, self._transport.write, answer)
            else:
                self._transport.write(answer)
