"""Requests that the first proxy refuses whatever else is in them, so that one of them is enough."""

from __future__ import annotations

from typing import TYPE_CHECKING

from meshlab.battery.request_values import PEER, TOKEN, Peer, Token
from meshlab.battery.token_rules import refused
from meshlab.bench.authorities import MESH
from meshlab.quick_dataclass import dataclass

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from meshlab.battery.clauses import Atom
    from meshlab.battery.request_values import Value
    from meshlab.istio.read.gateway import Server
    from meshlab.istio.read.request_authentication import JwtRule

__all__ = ["absorbed_at_pod", "absorbed_outside"]


def absorbed_outside(
    rules: Sequence[tuple[JwtRule, ...]], servers: Sequence[Server], atoms: Mapping[str, Sequence[Atom]]
) -> Callable[[dict[str, Value]], str]:
    """Return why a gateway refuses a request from outside: a certificate, or a token.

    Args:
        rules: The rules for tokens in each mesh.
        servers: Its servers on the port.
        atoms: The conditions on the way.
    """
    needed = all(
        server.tls is not None and server.is_tls and server.tls.mode == "MUTUAL" for server in servers
    )
    asked = [atom for atom in atoms.get(PEER, ()) if atom.name.startswith("certificate of ")]
    return _Outside(tuple(rules), tuple(asked), needed=needed)


def absorbed_at_pod(
    rules: Sequence[tuple[JwtRule, ...]], *, strict: bool
) -> Callable[[dict[str, Value]], str]:
    """Return why a pod's proxy refuses a request: who connects and how, or a token.

    Args:
        rules: The rules for tokens in each mesh.
        strict: Whether it takes mTLS alone in each of them.
    """
    return _AtPod(tuple(rules), strict=strict)


@dataclass(frozen=True)
class _Outside:
    rules: tuple[tuple[JwtRule, ...], ...]
    asked: tuple[Atom, ...]
    needed: bool

    def __call__(self, values: dict[str, Value]) -> str:
        peer = values.get(PEER)
        if self.needed and isinstance(peer, Peer) and not any(atom.holds(peer) for atom in self.asked):
            return f"certificate {peer}"
        return _refused_token(values, self.rules)


@dataclass(frozen=True)
class _AtPod:
    rules: tuple[tuple[JwtRule, ...], ...]
    strict: bool

    def __call__(self, values: dict[str, Value]) -> str:
        peer = values.get(PEER)
        if isinstance(peer, Peer) and peer.mode == "mtls" and peer.authority != MESH:
            return "a foreign authority"
        if self.strict and isinstance(peer, Peer) and peer.mode != "mtls":
            return f"no mTLS: {peer.mode}"
        return _refused_token(values, self.rules)


def _refused_token(values: dict[str, Value], rules: Sequence[tuple[JwtRule, ...]]) -> str:
    token = values.get(TOKEN)
    if isinstance(token, Token) and rules and all(refused(token, known) for known in rules):
        audiences = " ".join(token.audiences)
        return f"token {token.issuer} {token.flaw} {audiences} {token.placement} {token.name}"
    return ""
