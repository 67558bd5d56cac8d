"""Whether two cases send the same request, although they are written otherwise."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from meshlab.bench.case import FromBypass, FromForeignMesh, FromOutside, HttpRequest
from meshlab.bench.planning.destination import destination_of

if TYPE_CHECKING:
    from meshlab.bench.case import Case
    from meshlab.istio import Mesh

__all__ = ["is_same_request"]

_DEFAULT_PORTS = (":80", ":443")


def is_same_request(one: Case, other: Case, mesh: Mesh) -> bool:
    """Return whether two cases send the same request, whichever claims beside the subject their tokens have.

    Ports are compared as the proxies know them: a port of a gateway's Service is its target port, and a request past
    the caller's own proxy goes to the pod's port, whichever port its URL has.

    Args:
        one: A case.
        other: Another one.
        mesh: The mesh.
    """
    ports = _port(one, mesh), _port(other, mesh)
    return _key(one) == _key(other) and (ports[0] == ports[1] or None in ports)


def _port(case: Case, mesh: Mesh) -> int | None:
    """Return the port that a request arrives at; `None` for the only one of a pod."""
    match case.sender:
        case FromBypass(port=port) | FromForeignMesh(port=port):
            return port
        case FromOutside(gateway=gateway):
            port = destination_of(case.request).port
            return mesh.target_port(mesh.workload(gateway), port)
    return destination_of(case.request).port


def _key(case: Case) -> tuple[object, ...]:
    sender = case.sender
    if isinstance(sender, FromBypass | FromForeignMesh):
        sender = replace(sender, port=None)
    to = destination_of(case.request)
    tokens = tuple(
        (token.issuer, token.claims.get("sub"), token.flaw, token.literal) for token in case.tokens
    )
    if not isinstance(case.request, HttpRequest):
        return (sender, to.host.lower(), to.tls, tokens)
    target = case.request.target or urlsplit(case.request.url).path or "/"
    headers = [(name.lower(), value) for name, value in case.request.headers]
    hosts = [_without_default_port(value) for name, value in headers if name == "host"]
    others = sorted(header for header in headers if header[0] != "host")
    return (sender, to.tls, case.request.method, hosts or [to.host.lower()], target, others, tokens)


def _without_default_port(host: str) -> str:
    name = host.lower()
    return next((name.removesuffix(port) for port in _DEFAULT_PORTS if name.endswith(port)), name)
