"""One request to the echo server and its response, whatever the protocol."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from meshlab.bench.echo.authorizer import decide
from meshlab.quick_dataclass import dataclass

if TYPE_CHECKING:
    from meshlab.bench.echo.table import EchoPort

__all__ = ["MARK_HEADER", "ReceivedRequest", "Response", "TlsFacts", "respond"]

MARK_HEADER = "x-meshlab-case"
"""The request header that joins a case, the proxies' access logs and what the application received."""

_RECORDED_BODY_BYTES = 65_536
_NO_BODY = (204, 304)


@dataclass(frozen=True)
class TlsFacts:
    """What the application knows about the client's TLS connection.

    Attributes:
        sni: The server name that the client asked for.
        alpn: The protocol agreed on.
        version: Such as `TLSv1.3`.
        client: The URI and DNS names of the client's certificate.
    """

    sni: str
    alpn: str
    version: str
    client: tuple[str, ...]


@dataclass(frozen=True)
class ReceivedRequest:
    """A request as it reached the application.

    Attributes:
        protocol: `HTTP/1.1`, `HTTP/2` or `TCP`.
        peer: Address of the connection's other end.
        method: The method; empty for TCP.
        target: The raw request target.
        host: The Host or `:authority`.
        headers: The headers in order, without pseudo headers.
        body: The body, or the first bytes of a TCP connection.
        tls: The client's TLS, if any.
    """

    protocol: str
    peer: str
    method: str = ""
    target: str = ""
    host: str = ""
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = b""
    tls: TlsFacts | None = None

    def header(self, name: str) -> str:
        """Return the first value of a header, or nothing."""
        return next((value for key, value in self.headers if key.lower() == name), "")

    def facts(self, port: EchoPort) -> dict[str, Any]:
        """Return what the echo says and records about it."""
        asked_for = (self.tls.sni if self.tls else "") or self.host.partition(":")[0]
        return {
            "app": port.app or asked_for,
            "version": port.version,
            "port": port.port,
            "mark": self.header(MARK_HEADER),
            **{name: value for name, value in asdict(self).items() if name != "body"},
            "body": self.body[:_RECORDED_BODY_BYTES].decode(errors="replace"),
        }


@dataclass(frozen=True)
class Response:
    """A response."""

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes

    @property
    def has_body(self) -> bool:
        """Whether HTTP allows a body with that status."""
        return self.status >= 200 and self.status not in _NO_BODY


def respond(request: ReceivedRequest, port: EchoPort) -> Response:
    """Answer an HTTP request: as an authorizer's script says, statically, or with what was received."""
    if port.rules is not None:
        decision = decide(port.rules, request.method, request.target, request.headers)
        return Response(decision.status, tuple(decision.headers.items()), decision.body.encode())
    if (static := port.response_for(request.host)) is not None:
        return Response(static.status, tuple(static.headers.items()), static.body.encode())
    facts = request.facts(port)
    body = json.dumps(facts).encode() + b"\n"
    headers = (("content-type", "application/json"), ("x-meshlab-app", facts["app"]))
    return Response(200, headers, body)
