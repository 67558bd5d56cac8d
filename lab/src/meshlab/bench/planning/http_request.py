"""A case's HTTP request with its tokens, as it goes on the wire."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from meshlab.bench.client.wire_request import WireRequest
from meshlab.bench.echo.exchange import MARK_HEADER
from meshlab.bench.token_maker import make_token

if TYPE_CHECKING:
    from collections.abc import Iterable

    from meshlab.bench.case import HttpRequest, TokenSpec
    from meshlab.bench.issuers import Issuers

__all__ = ["wire_request"]


def wire_request(
    request: HttpRequest, tokens: Iterable[TokenSpec], issuers: Issuers, mark: str
) -> WireRequest:
    """Write a case's HTTP request.

    Args:
        request: The request.
        tokens: The tokens that go along, in order. Each becomes a header of its own, a query parameter or a cookie.
        issuers: Sign them.
        mark: The mark that goes along as a header.

    Raises:
        LookupError: A token cannot be made.
        ValueError: A part of it holds a line break or a zero byte.
    """
    parts = urlsplit(request.url)
    target = request.target
    if target is None:
        target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    headers = list(request.headers)
    if any(name.lower() == MARK_HEADER for name, _ in headers):
        raise ValueError(
            f"the header {MARK_HEADER} is the bench's own, and joins a request with what became of it; remove it"
        )
    hosts = [value for name, value in headers if name.lower() == "host"]
    if hosts:
        first = next(index for index, (name, _) in enumerate(headers) if name.lower() == "host")
        del headers[first]
    cookies = []
    for spec in tokens:
        token = make_token(spec, issuers)
        match spec.placement:
            case "header":
                headers.append((spec.name or "authorization", f"{spec.prefix}{token}"))
            case "query":
                separator = "&" if "?" in target else "?"
                target = f"{target}{separator}{spec.name or 'access_token'}={token}"
            case "cookie":
                cookies.append(f"{spec.name or 'access_token'}={token}")
    if cookies:
        headers.append(("cookie", "; ".join(cookies)))
    authority = hosts[0] if hosts else parts.netloc.rpartition("@")[2]
    return WireRequest(
        method=request.method,
        target=target,
        authority=authority,
        headers=(*headers, (MARK_HEADER, mark)),
        body=request.body.encode(),
        scheme=parts.scheme,
        version=request.version,
    )
