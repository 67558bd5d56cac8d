"""One line of a proxy's evidence."""

from __future__ import annotations

import json
import math
from dataclasses import field
from typing import TYPE_CHECKING, Any, Literal

from meshlab.quick_dataclass import dataclass

if TYPE_CHECKING:
    from collections.abc import Mapping

    from meshlab.istio.read.workload_ref import WorkloadRef

__all__ = ["EvidenceLine", "parse_line"]

_NOTHING = (None, "", "-")
_TCP_CONNECTED = "TcpUpstreamConnected"


@dataclass(frozen=True)
class EvidenceLine:
    """What one proxy logged about a request or connection.

    Attributes:
        proxy: The workload whose proxy it is.
        scope: `http` for a request, `tcp` for a proxied connection, `connection` for any connection of a listener.
        start: When the request or connection began, in seconds since the epoch; 0 where the line does not say.
        end: When it was over, at the latest; infinite while it lasts, and where the line does not say.
        connected: Whether it was logged when a TCP connection began rather than when it ended.
        listener: Name of the listener.
        chain: Name of the filter chain; empty where none matched.
        client: The other end of the connection on this machine, which joins it to the client or proxy before.
        server: The proxy's end of the connection on this machine.
        source: The client's address as the proxy sees it.
        destination: The address that the client connected to, as the proxy sees it.
        sni: The server name that the client asked for.
        peer: URI names of the client's certificate.
        flags: Envoy's response flags, such as `UH`.
        details: Envoy's response code details, such as `via_upstream`.
        termination: Envoy's connection termination details.
        downstream_failure: Why TLS with the client failed.
        local_close: Why the proxy closed the connection.
        cluster: The cluster that was chosen.
        upstream: Address of the endpoint that was chosen.
        upstream_client: The proxy's end of the connection to it, which joins it to the proxy after.
        upstream_failure: Why the connection to the endpoint failed.
        attempts: How often the proxy tried; 0 where it did not.
        mark: The case's mark.
        method: The method.
        path: The path before rewriting.
        authority: The Host.
        protocol: The version of HTTP.
        status: The HTTP status; 0 for none.
        route: Name of the route.
        route_mark: Which route it was, see `instrument.route_mark`.
        rbac: What the RBAC filters left in the metadata, results of dry runs included.
        tls_version: The version of TLS with the client. This and what follows is logged for explanations only.
        tls_cipher: The cipher suite.
        upstream_tls_version: The version of TLS with the endpoint.
        upstream_tls_cipher: The cipher suite.
        upstream_peer: URI names of the endpoint's certificate.
        claims: The claims of a verified token.
        seen_headers: Headers as policies saw them, see `condition_probes.seen_key`.
    """

    proxy: WorkloadRef
    scope: Literal["http", "tcp", "connection"]
    start: float = 0.0
    end: float = math.inf
    connected: bool = False
    listener: str = ""
    chain: str = ""
    client: str = ""
    server: str = ""
    source: str = ""
    destination: str = ""
    sni: str = ""
    peer: str = ""
    flags: str = ""
    details: str = ""
    termination: str = ""
    downstream_failure: str = ""
    local_close: str = ""
    cluster: str = ""
    upstream: str = ""
    upstream_client: str = ""
    upstream_failure: str = ""
    mark: str = ""
    method: str = ""
    path: str = ""
    authority: str = ""
    protocol: str = ""
    status: int = 0
    attempts: int = 0
    route: str = ""
    route_mark: str = ""
    rbac: Mapping[str, Any] = field(default_factory=dict)
    tls_version: str = ""
    tls_cipher: str = ""
    upstream_tls_version: str = ""
    upstream_tls_cipher: str = ""
    upstream_peer: str = ""
    claims: Mapping[str, Any] = field(default_factory=dict, repr=False)
    seen_headers: Mapping[str, str] = field(default_factory=dict, repr=False)


_TEXTS = tuple(
    name
    for name, kind in EvidenceLine.__annotations__.items()
    if kind == "str" and name not in ("proxy", "scope")
)


def parse_line(proxy: WorkloadRef, text: str) -> EvidenceLine:
    """Read a line that the loggers of `instrument` wrote.

    Raises:
        ValueError: It is something else.
    """
    document = json.loads(text)
    if not isinstance(document, dict) or "scope" not in document:
        raise ValueError("a line of another logger")
    texts = {name: str(document[name]) for name in _TEXTS if document.get(name) not in _NOTHING}
    connected = document.get("log_type") == _TCP_CONNECTED
    start, duration_ms = _seconds(document.get("start")), document.get("duration_ms")
    lasts = connected or not start or duration_ms in _NOTHING
    return EvidenceLine(
        proxy,
        document["scope"],
        start=start,
        # Envoy cuts off parts of a millisecond.
        end=math.inf if lasts else start + (_number(duration_ms) + 1) / 1000,
        connected=connected,
        status=_number(document.get("status")),
        attempts=_number(document.get("attempts")),
        rbac=document.get("rbac") or {},
        claims=document.get("claims") or {},
        seen_headers=document.get("seen_headers") or {},
        **texts,
    )


def _seconds(value: object) -> float:
    return 0.0 if value in _NOTHING else float(str(value))


def _number(value: object) -> int:
    return 0 if value in _NOTHING else int(str(value))
