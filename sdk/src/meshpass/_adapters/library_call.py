"""Conversion of another library's request into a call of a client."""

from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import TYPE_CHECKING

from meshpass._call.path import check_target
from meshpass._call.request import Call
from meshpass._errors import ConfigurationError, InvalidRequest
from meshpass._values import is_number, shown

if TYPE_CHECKING:
    from meshpass._call.body import RequestBody
    from meshpass._call.service import Service

TEMPLATE = "/{+path}"
"""The path in logs and errors, a template of RFC 6570. The real path may hold names of people."""

# RFC 9110, section 7.6.1 (connection-specific fields), and those of the framing, which the client sets.
_DROPPED = frozenset(
    {
        *("connection", "keep-alive", "proxy-connection", "te", "trailer", "upgrade", "expect"),
        *("content-length", "transfer-encoding"),
    }
)
_DECODED = ("gzip", "deflate", "identity")


def make_call(
    service: "Service",
    method: str,
    origin: tuple[str, str, int | None],
    target: str,
    headers: Iterable[tuple[str, str]],
    content: "bytes | RequestBody | None",
    timeouts_s: tuple[object, object],
    authorization_header: str | None,
    *,
    stream: bool,
) -> Call:
    """Check a request and return it as a call.

    Args:
        service: The one service that may be called.
        method: The HTTP method.
        origin: Scheme, host and port of the request's URL; None for the scheme's own port.
        target: Path and query, encoded.
        headers: Names in lower case, and values.
        content: The body.
        timeouts_s: The library's limits for connecting and for reading; the service's own count where they are smaller.
        authorization_header: The header to which the request's own Authorization is moved; None refuses one.
        stream: Whether the response's body is read while it comes in.

    Raises:
        InvalidRequest: it goes to another origin, or cannot be sent safely as written; nothing was sent.
    """
    _check_origin(service, origin)
    sent: dict[str, str] = {}
    for name, value in headers:
        if name in _DROPPED:
            continue
        if name == "host":
            _check_host(service, value)
        elif name == "authorization":
            sent[_own_authorization(authorization_header)] = value
        elif name in sent:
            # RFC 9110, section 5.3; RFC 6265, section 5.4 for cookies.
            sent[name] += ("; " if name == "cookie" else ", ") + value
        else:
            sent[name] = value
    if "accept-encoding" in sent:
        sent["accept-encoding"] = _decodable(sent["accept-encoding"])
    connect_s, read_s = (_seconds(given) for given in timeouts_s)
    return Call(
        method,
        TEMPLATE,
        {},
        headers=sent,
        content=content or None,
        timeout=service.timeout_s if read_s is None else min(read_s, service.timeout_s),
        connect_timeout_s=connect_s,
        target=_within(service, check_target(target)),
        cookies=False,
        stream=stream,
    )


def length_of(headers: Mapping[str, str]) -> int | None:
    """Return the length that a library declares for a body that it sends in parts; None if it declares none.

    Args:
        headers: The request's headers, with names looked up in any case.
    """
    length = headers.get("content-length", "")
    return int(length) if length.isascii() and length.isdigit() else None


def check_header_name(name: str | None) -> str | None:
    """Return the name for the caller's own Authorization in lower case.

    Raises:
        ConfigurationError: the header cannot carry it.
    """
    if name is None:
        return None
    lower = name.lower()
    if lower in ("authorization", "host", "cookie", *_DROPPED) or not lower.replace("-", "").isalnum():
        raise ConfigurationError(
            f"authorization_header is {name!r}; it must be a header such as X-User-Authorization."
        )
    return lower


def _seconds(given: object) -> float | None:
    if given is not None and not (is_number(given) and given > 0):
        raise InvalidRequest(
            f"The time limit is {shown(given)}; it must be a number of seconds above 0, or None."
        )
    return given


def _check_origin(service: "Service", origin: tuple[str, str, int | None]) -> None:
    own = service.origin
    scheme, host, port = origin
    if port is None:
        port = 443 if scheme == "https" else 80
    if (scheme, host, port) != (own.scheme, own.host, own.port):
        raise InvalidRequest(
            f"The request goes to {scheme}://{host}:{port}, and this transport calls {own.url} only: "
            "a token is never sent to another origin.",
            service=service.name,
            hint="Use another client for it, and do not follow redirects to other hosts.",
        )


def _within(service: "Service", target: str) -> str:
    base = service.base_path
    if base and target != base and not target.startswith((f"{base}/", f"{base}?")):
        raise InvalidRequest(
            f"The path is not below {base}, the base path of this transport's service.",
            service=service.name,
            hint="Write the whole path, base path included.",
        )
    return target


def _check_host(service: "Service", value: str) -> None:
    own = service.origin
    if value == own.host and own.port in (80, 443):
        return
    host = value.lower()
    if host != own.url.partition("://")[2] and host != f"{own.host}:{own.port}":
        raise InvalidRequest(
            f"The Host header differs from {own.host}, the service that this transport calls.",
            service=service.name,
            hint="Leave Host to the transport; another host needs a transport of its own.",
        )


def _own_authorization(header: str | None) -> str:
    if header is None:
        raise InvalidRequest(
            "The request has an Authorization header, which is reserved for the mesh's token.",
            hint="Remove it (`auth=`, a default header, .netrc), "
            "or set `authorization_header` to the header to which its value is moved.",
        )
    return header


# A library sends the same codings on each request.
@lru_cache(maxsize=64)
def _decodable(codings: str) -> str:
    # A library lists the codings that it can decode. Here the client decodes, so only its codings are kept.
    kept = [part.strip() for part in codings.split(",") if part.partition(";")[0].strip() in _DECODED]
    return ", ".join(kept) or "identity"
