"""One request and its response on uvicorn's HTTP/1.1 connection, written at once where the response is a short one.

uvicorn writes the head of a response and its body apart, which is two system calls and two packets, and searches each
header for characters that it must not hold. Nearly every response here is a reply to a delivery: some bytes of text.
"""

from typing import TYPE_CHECKING

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, RequestResponseCycle

if TYPE_CHECKING:
    from collections.abc import Iterable

    from uvicorn._types import ASGISendEvent, HTTPResponseStartEvent

# With any other header uvicorn writes the response.
_LENGTH = b"content-length"
_TYPE = b"content-type"
_TEXT = b"text/plain; charset=utf-8"


class Exchange(RequestResponseCycle):
    """uvicorn's cycle of a request and its response, with one write for a text that is whole."""

    _start: "HTTPResponseStartEvent | None" = None

    async def send(self, message: "ASGISendEvent") -> None:
        """Send a part of the response, as ASGI has it. The head waits for the first part of the body."""
        if message["type"] == "http.response.start" and not self.response_started:
            # In the place of one that waits: where the application broke off after it, uvicorn sends its own.
            self._start = message
            return
        start, self._start = self._start, None
        if start is not None:
            if message["type"] == "http.response.body" and not message.get("more_body"):
                body = message.get("body", b"")
                if self._is_plain(start, body):
                    self._write(start["status"], body)
                    return
            await super().send(start)
        await super().send(message)

    def _is_plain(self, start: "HTTPResponseStartEvent", body: bytes) -> bool:
        if self.disconnected or self.flow.write_paused or self.access_log or self.scope["method"] == "HEAD":
            return False
        return _is_text(start.get("headers", ()), len(body))

    def _write(self, status: int, body: bytes) -> None:
        lines = [STATUS_LINE[status]]
        for name, value in self.default_headers:
            lines += (name, b": ", value, b"\r\n")
        close = b"" if self.keep_alive else b"connection: close\r\n"
        lines += (_TYPE, b": ", _TEXT, b"\r\n%bcontent-length: %d\r\n\r\n" % (close, len(body)), body)
        self.response_started = self.response_complete = True
        self.waiting_for_100_continue = False
        self.transport.write(b"".join(lines))
        self.message_event.set()
        if not self.keep_alive:
            self.transport.close()
        self.on_response()


def _is_text(headers: "Iterable[tuple[bytes, bytes]]", length: int) -> bool:
    """Return whether these are the headers of a plain text of this length, and no others."""
    found = dict(headers)
    return len(found) == 2 and found.get(_TYPE) == _TEXT and found.get(_LENGTH) == b"%d" % length
