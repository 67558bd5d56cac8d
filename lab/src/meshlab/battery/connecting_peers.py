"""Who may connect: workloads of the meshes, identities that policies name, near misses of both, and strangers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from meshlab.battery.request_values import Peer
from meshlab.bench.authorities import MESH
from meshlab.istio.model.credentials import client_ca_resource

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from meshlab.battery.clauses import Atom
    from meshlab.istio.read.gateway import Server
    from meshlab.istio.read.workload_ref import WorkloadRef

__all__ = ["identities_of", "mesh_peers", "outside_peers"]

_MOST = 80
"""How many identities there are beside those that policies name."""

_MOST_NAMED = 1000
_ACCOUNT = "default"


def mesh_peers(
    known: Mapping[str, WorkloadRef],
    atoms: Sequence[Atom],
    trust_domain: str,
    stranger: str,
    *,
    strict: bool,
) -> tuple[Peer, ...]:
    """Return the clients of a proxy that takes the mesh's own mTLS; the first is one that it may let in.

    Args:
        known: The identities of workloads, each with the first workload that has it.
        atoms: The conditions on peers.
        trust_domain: The mesh's.
        stranger: An authority that signs no certificate of the mesh.
        strict: Whether it takes mTLS alone.
    """
    named = list(dict.fromkeys(each for atom in atoms for each in identities_of(atom, trust_domain)))
    near = [other for identity in named for other in _beside(identity)]
    unknown = f"spiffe://{trust_domain}/ns/stranger/sa/stranger"
    everyone = dict.fromkeys((*named[:_MOST_NAMED], *[*known, unknown, *near][:_MOST]))
    peers = [Peer("mtls", identity, MESH, workload=known.get(identity)) for identity in everyone]
    foreign = next(iter(everyone))
    plain = (Peer("plaintext"),)
    others = (*plain, *peers) if not strict else (*peers, *plain)
    return (*others, Peer("mtls", foreign, stranger), Peer("tls"))


def identities_of(atom: Atom, trust_domain: str) -> Iterator[str]:
    """Yield SPIFFE ids that meet a condition on peers."""
    kind, _, words = atom.name.partition(" ")
    local = f"spiffe://{trust_domain}/ns"
    for word in words.split(" "):
        match kind:
            case "principal":
                filled = (
                    f"{trust_domain}/ns/any/sa/{_ACCOUNT}" if word == "*" else _filled(word, trust_domain)
                )
                yield f"spiffe://{filled}"
            case "namespace":
                yield f"{local}/{word.replace('*', 'any')}/sa/{_ACCOUNT}"
            case "account":
                namespace, _, account = word.partition("/")
                yield f"{local}/{namespace}/sa/{account}"
            case "trust-domain":
                yield f"spiffe://{word.replace('*', 'any')}/ns/default/sa/{_ACCOUNT}"


def outside_peers(servers: Sequence[Server], identities: Sequence[str], stranger: str) -> tuple[Peer, ...]:
    """Return the clients outside of the servers of a gateway; the first is one that they may let in.

    Args:
        servers: The servers on one port.
        identities: SPIFFE ids that policies name.
        stranger: An authority that they do not know.
    """
    authorities: list[str] = []
    names: list[str] = []
    for server in servers:
        tls = server.tls
        if tls is not None and server.is_tls and tls.asks_for_certificate:
            authority = client_ca_resource(tls)
            if authority is not None and authority.credential:
                authorities.append(authority.credential)
                names += tls.subject_alt_names
    return _certificates(authorities, names, identities, stranger) if authorities else (Peer("open"),)


def _certificates(
    authorities: Iterable[str], names: Iterable[str], identities: Iterable[str], stranger: str
) -> tuple[Peer, ...]:
    """Return the clients outside of a gateway that asks for certificates; the first has a good one, the last none.

    Args:
        authorities: The authorities that it checks clients with.
        names: The names of which a certificate must have one.
        identities: SPIFFE ids that policies name.
        stranger: An authority that it does not know.
    """
    wanted = list(dict.fromkeys((*names, *identities))) or ["client.example"]
    near = [each for name in wanted for each in (f"{name}x", name[:-1])]
    trusted = list(dict.fromkeys(authorities))
    found = [_with_name(name, authority) for authority in trusted for name in wanted][:_MOST_NAMED]
    found += [_with_name(name, authority) for authority in trusted for name in near][:_MOST]
    return (*dict.fromkeys(found), _with_name(wanted[0], stranger), Peer("open"))


def _with_name(name: str, authority: str) -> Peer:
    if "://" in name:
        return Peer("mtls", name, authority)
    return Peer("mtls", "", authority, dns=name.replace("*", "any"))


def _filled(word: str, trust_domain: str) -> str:
    """Return a principal that a wildcard stands for."""
    if word.startswith("*"):
        rest = word[1:]
        # What is left of `*/ns/shop/sa/cart` begins in the middle of an identity.
        for start in ("/ns/", "/sa/"):
            if rest.startswith(start):
                return f"{trust_domain}{rest}" if start == "/ns/" else f"{trust_domain}/ns/any{rest}"
        return f"{trust_domain}/ns/any/sa/any{rest}"
    if word.endswith("*"):
        stem = word[:-1]
        if "/sa/" in stem:
            return f"{stem}{_ACCOUNT}"
        if "/ns/" in stem:
            whole = stem.endswith("/") and not stem.endswith("/ns/")
            return f"{stem}sa/{_ACCOUNT}" if whole else f"{stem}any/sa/{_ACCOUNT}"
        return f"{stem.rstrip('/')}/ns/any/sa/{_ACCOUNT}" if stem else f"{trust_domain}/ns/any/sa/{_ACCOUNT}"
    return word


def _beside(identity: str) -> tuple[str, ...]:
    """Return identities that look like one: another end of the account, the namespace and the trust domain."""
    domain, slash, rest = identity.removeprefix("spiffe://").partition("/ns/")
    namespace, middle, account = rest.partition("/sa/")
    if not (slash and middle):
        return (f"{identity}x",)
    return (
        f"spiffe://{domain}/ns/{namespace}/sa/{account}x",
        f"spiffe://{domain}/ns/{namespace}x/sa/{account}",
        f"spiffe://x{domain}/ns/{namespace}/sa/{account}",
        f"spiffe://{domain}/ns/{namespace}/sa/x{account}",
    )
