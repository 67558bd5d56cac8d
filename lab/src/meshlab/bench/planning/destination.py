"""Where a request goes, as its client sees it."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from meshlab.bench.case import TcpRequest, TlsRequest
from meshlab.errors import LabError
from meshlab.quick_dataclass import dataclass

if TYPE_CHECKING:
    from meshlab.bench.case import HttpRequest

__all__ = ["Destination", "destination_of"]

_DEFAULT_PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True)
class Destination:
    """The host and port that a request names, and whether the client speaks TLS."""

    host: str
    port: int
    tls: bool


def destination_of(request: HttpRequest | TcpRequest | TlsRequest) -> Destination:
    """Return where a request goes.

    Raises:
        LabError: Its URL has no scheme `http` or `https`, no host, or a port that is no number.
    """
    if isinstance(request, TcpRequest):
        return Destination(request.host, request.port, tls=False)
    if isinstance(request, TlsRequest):
        return Destination(request.host, request.port, tls=True)
    return _of_url(request.url)


@lru_cache(maxsize=1024)
def _of_url(url: str) -> Destination:
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise LabError(f"the URL {url!r} cannot be read: {error}") from error
    if parts.scheme not in _DEFAULT_PORTS or not parts.hostname:
        raise LabError(f"the URL {url!r} needs http:// or https:// and a host")
    return Destination(parts.hostname, port or _DEFAULT_PORTS[parts.scheme], tls=parts.scheme == "https")
