"""Cookies of one virtual host: kept from its responses, and sent back to it alone."""

import threading
from collections.abc import Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, cast

from meshpass._call.fields import is_field_value
from meshpass._errors import InvalidRequest

if TYPE_CHECKING:
    from email.message import Message
    from http.client import HTTPResponse
    from http.cookiejar import CookieJar

    import httpx

MAX_COOKIES = 50
"""Cookies that are kept of one host: RFC 6265, section 6.1, asks for as many at least. The oldest go first."""

MAX_COOKIE_BYTES = 4096
"""The size of one cookie that is kept, its attributes included; from the same section."""

MAX_HEADER_BYTES = 16 * 1024
"""The size of all cookies together. Envoy refuses a request whose head is larger than 60 KiB."""


class Cookies:
    """A jar that costs nothing until a service sets a cookie, as a mesh does for session affinity.

    Each client has its own, so that nothing passes from one virtual host to another at the same address. What a
    response sets is kept only if a request can carry it: a cookie that is too large or not ASCII is ignored.
    """

    __slots__ = ("_jar", "_lock")

    def __init__(self) -> None:
        self._jar: httpx.Cookies | None = None
        self._lock = threading.Lock()

    @property
    def jar(self) -> "httpx.Cookies":
        """The cookies, to look at or to change."""
        if self._jar is None:
            import httpx

            self._jar = httpx.Cookies()
        return self._jar

    def header_for(self, url: str) -> str | None:
        """Return the `Cookie` header for a request to this URL of the service; None when there is none to send.

        Raises:
            InvalidRequest: the caller has put a cookie into the jar that a header cannot hold.
        """
        if not self._jar:
            return None
        from urllib.request import Request

        request, header = Request(url), None  # noqa: S310 - nothing is opened
        try:
            with self._lock:
                self._jar.jar.add_cookie_header(request)
            header = request.get_header("Cookie")
        except Exception:  # noqa: BLE001 - cookies of the caller's own, of any type
            header = "\n"
        if header is not None and not is_field_value(header):
            raise InvalidRequest(
                "The client's cookies have one that is not ASCII.", hint="Look at client.cookies."
            )
        return header

    def keep(self, url: str, lines: Sequence[bytes]) -> None:
        """Keep the cookies that a response to a request to this URL sets.

        Args:
            url: The URL.
            lines: The values of its `Set-Cookie` headers.
        """
        texts = [text for line in lines[:MAX_COOKIES] if (text := _text(line)) is not None]
        if not texts:
            return
        from urllib.request import Request

        jar = self.jar.jar
        request = Request(url)  # noqa: S310 - nothing is opened
        with self._lock:
            for text in texts:
                # One by one: a cookie that the standard library cannot read is no cookie, and takes no other with it.
                with suppress(Exception):
                    jar.extract_cookies(cast("HTTPResponse", _SetCookie(text)), request)
            with suppress(Exception):  # the caller may be changing the jar
                _evict(jar)


class _SetCookie:
    """The part of a response that the standard library's jar asks for."""

    def __init__(self, text: str) -> None:
        self._text = text

    def info(self) -> "Message":
        from email.message import Message

        message = Message()
        message["Set-Cookie"] = self._text
        return message


def _text(line: bytes) -> str | None:
    if len(line) > MAX_COOKIE_BYTES:
        return None
    pair, *_ = line.split(b";", 1)
    text = line.decode("latin-1")
    return text if is_field_value(pair.decode("latin-1")) else None


def _evict(jar: "CookieJar") -> None:
    kept = list(jar)
    size = sum(_size(cookie.name, cookie.value) for cookie in kept)
    while kept and (len(kept) > MAX_COOKIES or size > MAX_HEADER_BYTES):
        oldest = kept.pop(0)
        size -= _size(oldest.name, oldest.value)
        jar.clear(oldest.domain, oldest.path, oldest.name)


def _size(name: str, value: str | None) -> int:
    return len(str(name)) + len(str(value)) + len("=; ")
