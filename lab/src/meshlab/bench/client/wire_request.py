"""An HTTP request as it goes on the wire."""

from __future__ import annotations

import re
from typing import Literal

from meshlab.quick_dataclass import dataclass

__all__ = ["WireRequest"]

_FORBIDDEN = re.compile("[\r\n\0]")


@dataclass(frozen=True)
class WireRequest:
    """A request whose parts are sent as they are.

    Attributes:
        method: The method.
        target: The request target (`:path`).
        authority: The Host (`:authority`); `None` to send none.
        headers: The other headers in order.
        body: The body.
        scheme: `:scheme`, for HTTP/2.
        version: The version of HTTP.

    Raises:
        ValueError: A part holds a line break or a zero byte, which would end it early.
    """

    method: str
    target: str
    authority: str | None
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = b""
    scheme: str = "http"
    version: Literal["1.1", "2"] = "1.1"

    def __post_init__(self) -> None:
        parts = [self.method, self.target, self.authority or ""]
        for pair in self.headers:
            parts += pair
        for part in parts:
            if _FORBIDDEN.search(part):
                raise ValueError(f"{part!r} holds a line break or a zero byte; take it out of the request")

    @property
    def announces_body(self) -> bool:
        """Whether a header already says how long the body is."""
        return bool({"content-length", "transfer-encoding"} & {name.lower() for name, _ in self.headers})
