"""What a proxy looks at before any policy: the server name, the client's certificate, and whether a token is good."""

from __future__ import annotations

from typing import TYPE_CHECKING

from meshlab.battery.clauses import Atom, Requirement
from meshlab.battery.request_values import NAME, PEER, TOKEN, Peer, Token
from meshlab.battery.route_clauses import server_name
from meshlab.battery.token_rules import refused, signature, verifies
from meshlab.battery.tried_tokens import FLAWS, STRANGER
from meshlab.bench.authorities import MESH
from meshlab.istio.model.credentials import client_ca_resource

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from meshlab.battery.request_values import Value
    from meshlab.istio.read.gateway import Server
    from meshlab.istio.read.request_authentication import JwtRule

__all__ = ["entry", "peers_watched", "tokens_watched"]


def entry(server: Server, *, asks: bool) -> Iterator[Requirement]:
    """Yield what a server asks of a connection: a server name, and a certificate."""
    tls = server.tls
    if tls is None or not server.is_tls:
        return
    named = tuple(server_name(host.name) for host in server.hosts if host.name != "*")
    if named and len(named) == len(server.hosts):
        yield Requirement(NAME, (_one_of(named),))
    if not asks or not tls.asks_for_certificate:
        return
    if tls.mode == "ISTIO_MUTUAL":
        yield Requirement(PEER, (_certificate(MESH, "", optional=False),))
        return
    authority = client_ca_resource(tls)
    if authority is not None:
        optional = tls.mode == "OPTIONAL_MUTUAL"
        signer = authority.credential
        names = tls.subject_alt_names or ("",)
        yield Requirement(PEER, tuple(_certificate(signer, name, optional=optional) for name in names))


def _one_of(atoms: tuple[Atom, ...]) -> Atom:
    """Return the atom that one of several holds: a server takes each of its names alike."""
    name = " or ".join(atom.name for atom in atoms)
    return Atom(atoms[0].dimension, name, lambda value: any(atom.holds(value) for atom in atoms))


def _certificate(authority: str, name: str, *, optional: bool) -> Atom:
    def holds(peer: Value) -> bool:
        if not isinstance(peer, Peer):
            return False
        if peer.mode != "mtls":
            return optional
        return peer.authority == authority and (not name or name in (peer.identity, peer.dns))

    words = f"certificate of {authority} for {name or 'any name'}" + (", or none" if optional else "")
    return Atom(PEER, words, holds, None, name)


def peers_watched(peer: Peer | None, servers: Sequence[Server] = ()) -> Iterator[Atom]:
    """Yield what distinguishes peers whatever the policies are: how they connect, who signed, whose identity it is."""
    if peer is not None:
        return
    for mode in ("plaintext", "tls", "open"):
        yield Atom(PEER, f"mode {mode}", _in_mode(mode))
    authorities = {client_ca_resource(each.tls) for each in servers if each.tls is not None}
    signers = {MESH, *(each.credential for each in authorities if each is not None)}
    for signer in sorted(signers):
        yield Atom(PEER, f"signed by {signer}", _signed_by(signer))
    yield Atom(PEER, "a workload", lambda value: isinstance(value, Peer) and value.workload is not None)


def _signed_by(signer: str) -> Callable[[Value], bool]:
    return lambda value: isinstance(value, Peer) and value.authority == signer


def _in_mode(mode: str) -> Callable[[Value], bool]:
    return lambda value: isinstance(value, Peer) and value.mode == mode


def tokens_watched(rules: Sequence[JwtRule]) -> Iterator[Atom]:
    """Yield what distinguishes tokens whatever the policies are: which rule verifies one, and why none does."""
    known = tuple(rules)
    every = " ".join(map(signature, known))
    for rule in known:
        yield Atom(TOKEN, f"verified by {signature(rule)}", _verified(rule))
        for flaw in FLAWS:
            yield Atom(TOKEN, f"{flaw}, of {rule.issuer}", _flawed(rule.issuer, flaw))
        yield Atom(TOKEN, f"refused, of {rule.issuer}, by {every}", _refused(rule.issuer, known))
    if known:
        yield Atom(TOKEN, f"refused, of a stranger, by {every}", _refused(STRANGER, known))


def _verified(rule: JwtRule) -> Callable[[Value], bool]:
    return lambda value: isinstance(value, Token) and value.issuer == rule.issuer and verifies(value, rule)


def _flawed(issuer: str, flaw: str) -> Callable[[Value], bool]:
    return lambda value: isinstance(value, Token) and (value.issuer, value.flaw) == (issuer, flaw)


def _refused(issuer: str, rules: tuple[JwtRule, ...]) -> Callable[[Value], bool]:
    return lambda value: isinstance(value, Token) and value.issuer == issuer and refused(value, rules)
