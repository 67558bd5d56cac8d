"""Entrances to a mesh, and the requests that cases send at each of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from meshlab.battery.request_values import (
    ADDRESS,
    CHANGED,
    METHOD,
    NAME,
    PATH,
    PEER,
    TOKEN,
    Name,
    Peer,
    Text,
    Token,
)
from meshlab.bench.case import (
    Certificate,
    FromBypass,
    FromForeignMesh,
    FromOutside,
    FromWorkload,
    HttpRequest,
    TcpRequest,
    TlsRequest,
)
from meshlab.quick_dataclass import dataclass

if TYPE_CHECKING:
    from collections.abc import Iterator

    from meshlab.battery.request_values import Value
    from meshlab.bench.case import Sender, TokenSpec
    from meshlab.istio.read.workload_ref import WorkloadRef

__all__ = ["UNSENDABLE", "Entrance"]

UNSENDABLE = frozenset(
    {
        "host",
        "connection",
        "content-length",
        "transfer-encoding",
        "te",
        "trailer",
        "keep-alive",
        "proxy-connection",
        "expect",
    }
)
"""Headers that belong to the connection or to the message, so that a case does not choose them."""

_HEADER_VALUES = {"x-forwarded-for": "192.0.2.77", "x-forwarded-proto": "https", "x-real-ip": "192.0.2.77"}
_DEFAULT_PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True)
class Entrance:
    """Where requests enter.

    Attributes:
        kind: `gateway` from outside; `pod` past the client's sidecar; `client` through it.
        ref: The gateway, the pod's workload, or the client.
        port: The port that clients of a gateway or a host connect to; the pod's own port for `pod`.
        speaks: What the client speaks inside of what the entrance takes.
        host: The host that a client resolves; for other entrances the usual Host.
        tls: Whether a client outside or in the mesh speaks TLS of its own.
        alike: Further clients that are treated as this one.
    """

    kind: Literal["gateway", "pod", "client"]
    ref: WorkloadRef
    port: int
    speaks: Literal["http", "tcp"]
    host: str
    tls: bool = False
    alike: tuple[str, ...] = ()

    @property
    def key(self) -> str:
        """What it is, alike in each mesh that has it."""
        host = self.host if self.kind == "client" else ""
        return f"{self.kind} {self.ref} {host}:{self.port} {self.speaks} {self.tls}"

    def sender(self, values: dict[str, Value]) -> Sender:
        """Return who sends a request."""
        peer = values.get(PEER)
        peer = peer if isinstance(peer, Peer) else Peer("open")
        address = _text(values, ADDRESS) or None
        if self.kind == "client":
            return FromWorkload(self.ref)
        if self.kind == "gateway":
            shown = None
            if peer.mode == "mtls":
                uris = (peer.identity,) if peer.identity else ()
                shown = Certificate(peer.authority, uris, (peer.dns,) if peer.dns else ())
            return FromOutside(self.ref, address, shown)
        # A workload has the address of its pod. With its identity alone a client may have any.
        if peer.mode == "mtls" and peer.workload is not None and peer.authority == "mesh" and address is None:
            return FromBypass(peer.workload, self.ref, self.port, "mtls")
        if peer.mode == "mtls":
            return FromForeignMesh(peer.identity, peer.authority, self.ref, self.port, address)
        return FromBypass(None, self.ref, self.port, "tls" if peer.mode == "tls" else "plaintext", address)

    def request(self, values: dict[str, Value]) -> HttpRequest | TcpRequest | TlsRequest:
        """Return what is sent."""
        name = values.get(NAME)
        name = name if isinstance(name, Name) else Name(self.host)
        bare = name.host.partition(":")[0]
        resolved = self.host if self.kind == "client" else bare
        if self.speaks == "tcp":
            if self.tls:
                return TlsRequest(resolved, self.port, sni=name.server_name)
            return TcpRequest(resolved, self.port)
        scheme = "https" if self.tls else "http"
        usual = self.kind == "pod" or self.port == _DEFAULT_PORTS[scheme]
        authority = resolved if usual else f"{resolved}:{self.port}"
        headers = [] if name.host == authority else [("host", name.host)]
        parameters = []
        for dimension, value in values.items():
            kind, colon, key = dimension.partition(":")
            if not colon or not isinstance(value, Text) or not value.sent:
                continue
            if kind == "query":
                parameters.append(f"{key}={value.text}")
                continue
            if key == "upgrade":
                headers.append(("connection", "Upgrade"))
            headers.append((key, value.text))
        if changed := _text(values, CHANGED):
            headers += [(each, _HEADER_VALUES.get(each, "x")) for each in changed.split(",")]
        asked = f"?{'&'.join(parameters)}" if parameters else ""
        sni = None if name.sni is None else name.sni
        if (self.tls or self.kind == "pod") and sni is None and resolved.lower() != name.server_name:
            sni = name.server_name
        return HttpRequest(
            f"{scheme}://{authority}{_text(values, PATH) or '/'}{asked}",
            method=_text(values, METHOD) or "GET",
            headers=tuple(headers),
            sni=sni,
        )

    def tokens(self, values: dict[str, Value]) -> tuple[TokenSpec, ...]:
        """Return the tokens that go along."""
        token = values.get(TOKEN)
        spec = token.spec() if isinstance(token, Token) else None
        return (spec,) if spec is not None and self.speaks == "http" else ()

    def caller(self, values: dict[str, Value]) -> str:
        """Return who sends a request, and with which token, in words."""
        words = [self._who(values)]
        token = values.get(TOKEN)
        if isinstance(token, Token) and token.issuer:
            words.append(token.label)
        if address := _text(values, ADDRESS):
            words.append(f"at {address}")
        return ", ".join(words)

    def request_class(self, values: dict[str, Value]) -> str:
        """Return what is sent, in words."""
        name = values.get(NAME)
        name = name if isinstance(name, Name) else Name(self.host)
        sni = f", server name {name.sni}" if name.sni is not None else ""
        if self.speaks == "tcp":
            shown = self.host if self.kind == "client" else name.host
            if self.kind == "client" and name.server_name != self.host:
                sni = f", server name {name.server_name}"
            return f"{'TLS' if self.tls else 'TCP'} {shown}:{self.port}{sni}"
        method, path = _text(values, METHOD) or "GET", _text(values, PATH) or "/"
        extras = "".join(self._extras(values)) + sni
        if self.kind == "client":
            host = "" if name.host == self.host else f", Host {name.host}"
            return f"{method} {self.host}:{self.port}{path}{host}{extras}"
        if self.kind == "pod":
            host = "" if name.host == self.host else f", Host {name.host}"
            return f"{method} :{self.port}{path}{host}{extras}"
        return f"{method} {name.host}{path}{extras}"

    def _extras(self, values: dict[str, Value]) -> Iterator[str]:
        if changed := _text(values, CHANGED):
            yield f", with {changed.count(',') + 1} headers that routes change"
        for dimension, value in values.items():
            kind, colon, key = dimension.partition(":")
            if colon and isinstance(value, Text) and value.sent:
                yield f", {key}: {value.text or '(empty)'}" if kind == "header" else f", ?{key}={value.text}"

    def _who(self, values: dict[str, Value]) -> str:
        peer = values.get(PEER)
        peer = peer if isinstance(peer, Peer) else Peer("open")
        if self.kind == "client":
            return str(self.ref)
        shown = peer.identity or peer.dns
        if self.kind == "gateway":
            certificate = f", certificate of {peer.authority} for {shown}" if peer.mode == "mtls" else ""
            return f"outside {self.ref}{certificate}"
        if peer.mode in ("plaintext", "tls"):
            return "plaintext past the sidecar" if peer.mode == "plaintext" else "TLS without a certificate"
        if peer.authority != "mesh":
            return f"mTLS as {shown}, signed by {peer.authority}"
        if peer.workload and not _text(values, ADDRESS):
            return f"{peer.workload} past its sidecar"
        return f"mTLS as {shown}"


def _text(values: dict[str, Value], dimension: str) -> str:
    value = values.get(dimension)
    return value.text if isinstance(value, Text) else ""
