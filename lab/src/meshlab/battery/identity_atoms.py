"""Values of an AuthorizationPolicy on who connects, as atoms."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

from meshlab.battery.clauses import Atom
from meshlab.battery.patterns import wildcard
from meshlab.battery.request_values import PEER, Peer
from meshlab.istio.envoy.rbac.trust_domains import with_aliases_of_domains, with_aliases_of_principals

if TYPE_CHECKING:
    from collections.abc import Callable

    from meshlab.battery.policy_proxy import PolicyProxy
    from meshlab.battery.request_values import Value

__all__ = ["account_atom", "namespace_atom", "principal_atom", "trust_domain_atom"]


def namespace_atom(value: str) -> Atom:
    """Return the atom of a namespace, which may have stars."""
    return _peer_atom("namespace", value, lambda peer: _glob(value, _part(peer, "ns")))


def _peer_atom(kind: str, value: str, holds: Callable[[str], bool]) -> Atom:
    def met(peer: Value) -> bool:
        return isinstance(peer, Peer) and peer.identity.startswith("spiffe://") and holds(peer.identity)

    return Atom(PEER, f"{kind} {value}", met, None, value)


def principal_atom(value: str, proxy: PolicyProxy) -> Atom:
    """Return the atom of a principal, with the aliases of its trust domain."""
    names = list(dict.fromkeys(with_aliases_of_principals([value], proxy.trust_domains)))
    patterns = [wildcard(each) for each in names]
    return _peer_atom(
        "principal",
        " ".join(names),
        lambda identity: any(pattern.meets(identity.removeprefix("spiffe://")) for pattern in patterns),
    )


def trust_domain_atom(value: str, proxy: PolicyProxy) -> Atom:
    """Return the atom of a trust domain, with its aliases."""
    names = with_aliases_of_domains([value], proxy.trust_domains)
    return _peer_atom(
        "trust-domain",
        " ".join(names),
        lambda identity: any(
            _glob(name, identity.removeprefix("spiffe://").partition("/")[0]) for name in names
        ),
    )


def account_atom(value: str, namespace: str) -> Atom:
    """Return the atom of a service account, of the policy's namespace where it names none."""
    wanted, slash, account = value.partition("/")
    if not slash:
        wanted, account = namespace, value
    return _peer_atom(
        "account",
        f"{wanted}/{account}",
        lambda identity: (_part(identity, "ns"), _part(identity, "sa")) == (wanted, account),
    )


def _part(identity: str, name: str) -> str:
    """Return the namespace (`ns`) or the service account (`sa`) of a SPIFFE id."""
    parts = identity.removeprefix("spiffe://").split("/")
    return next((after for before, after in pairwise(parts) if before == name), "")


def _glob(pattern: str, text: str) -> bool:
    """Return whether a text is what a pattern with `*` for any text says; in linear time for one star."""
    first, *rest = pattern.split("*")
    if not rest:
        return text == pattern
    if not text.startswith(first):
        return False
    at = len(first)
    for part in rest[:-1]:
        found = text.find(part, at)
        if found < 0:
            return False
        at = found + len(part)
    return len(text) - at >= len(rest[-1]) and text.endswith(rest[-1])
