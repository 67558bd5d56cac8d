"""What is known of a request or a connection when policies judge it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True)
class Token:
    """The one token of a request.

    Attributes:
        place: `header`, `param` or `cookie`.
        name: The name of the header, parameter or cookie.
        prefix: What stands before the token in a header.
        claims: What it says, without times.
        good: Whether its issuer signed it and its time has not run out.
    """

    place: str
    name: str
    prefix: str
    claims: Mapping[str, Any]
    good: bool = True


@dataclass(frozen=True)
class Facts:
    """A request, or a connection where `method` is empty.

    Attributes:
        path: The path as sent, with its query and its fragment.
        caller: The caller's SPIFFE ID; an empty string for plaintext.
        forwarded_for: The addresses of X-Forwarded-For as sent.
        port: The targetPort.
    """

    method: str = "GET"
    path: str = "/"
    host: str = "cart.shop"
    headers: Mapping[str, str] = field(default_factory=dict)
    caller: str = ""
    source_ip: str = "127.0.0.1"
    destination_ip: str = "127.0.0.1"
    forwarded_for: tuple[str, ...] = ()
    port: int = 8080
    sni: str = ""
    token: Token | None = None


@dataclass(frozen=True)
class Mesh:
    """The mesh-wide settings that policies depend on."""

    trust_domain: str = "cluster.local"
    aliases: tuple[str, ...] = ()
    root_namespace: str = "istio-system"
    trusted_proxies: int = 0

    @property
    def trust_domains(self) -> tuple[str, ...]:
        """Every name of the mesh's own trust domain."""
        return (self.trust_domain, *self.aliases)


@dataclass(frozen=True)
class Place:
    """The workload whose proxy judges."""

    namespace: str = "shop"
    labels: Mapping[str, str] = field(default_factory=lambda: {"app": "cart"})
    gateway: bool = False
