"""Filter chains of a sidecar's port: which connections are taken, as what, and over which TLS.

Follows `pilot/pkg/networking/core/filterchain_options.go`. The mesh knows its own mutual TLS by the protocol names
(ALPN) that its proxies offer. So at a PERMISSIVE port TLS of another kind reaches the application as it is, unless the
port is declared as HTTP: there no chain takes it, and it is refused.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from meshlab.quick_dataclass import dataclass

if TYPE_CHECKING:
    from meshlab.istio.read.peer_authentication import Mode

__all__ = ["MESH_ALPN", "InboundChain", "inbound_chains"]

MESH_ALPN = ("istio", "istio-peer-exchange", "istio-http/1.0", "istio-http/1.1", "istio-h2")
"""What proxies of the mesh offer to each other."""

_MESH_HTTP = ("istio-http/1.0", "istio-http/1.1", "istio-h2")
_MESH_TCP = ("istio-peer-exchange", "istio")
_PLAIN_HTTP = ("http/1.1", "h2c")


@dataclass(frozen=True)
class InboundChain:
    """One filter chain.

    Attributes:
        inside: What is spoken: `http`, or `tcp` for what is passed on as it is.
        transport: Whether the client speaks TLS.
        mutual: Whether the proxy ends it, as the mesh's mutual TLS.
        alpn: The application protocols, of which the client offers one; empty for any.
    """

    inside: Literal["http", "tcp"]
    transport: Literal["tls", "raw_buffer"]
    mutual: bool
    alpn: tuple[str, ...] = ()


def inbound_chains(protocol: str, mode: Mode) -> tuple[InboundChain, ...]:
    """Return the filter chains of a port.

    Args:
        protocol: What the port is declared to speak, as `read.protocols` names it; `auto` is sniffed.
        mode: Which connections it takes.
    """
    if protocol == "auto":
        return _SNIFFED[mode]
    inside: Literal["http", "tcp"] = "http" if protocol in ("http", "http2") else "tcp"
    plaintext = InboundChain(inside, "raw_buffer", mutual=False)
    match mode:
        case "STRICT":
            return (InboundChain(inside, "tls", mutual=True),)
        case "DISABLE":
            return (plaintext,)
        case "PERMISSIVE":
            mutual = InboundChain(inside, "tls", mutual=True, alpn=MESH_ALPN)
            foreign = (InboundChain("tcp", "tls", mutual=False),) if inside == "tcp" else ()
            return (mutual, *foreign, plaintext)


_SNIFFED: dict[Mode, tuple[InboundChain, ...]] = {
    "STRICT": (
        InboundChain("http", "tls", mutual=True, alpn=_MESH_HTTP),
        InboundChain("tcp", "tls", mutual=True),
    ),
    "PERMISSIVE": (
        InboundChain("http", "tls", mutual=True, alpn=_MESH_HTTP),
        InboundChain("http", "raw_buffer", mutual=False, alpn=_PLAIN_HTTP),
        InboundChain("tcp", "tls", mutual=True, alpn=_MESH_TCP),
        InboundChain("tcp", "raw_buffer", mutual=False),
        InboundChain("tcp", "tls", mutual=False),
    ),
    "DISABLE": (
        InboundChain("http", "raw_buffer", mutual=False, alpn=_PLAIN_HTTP),
        InboundChain("tcp", "raw_buffer", mutual=False),
    ),
}
