"""Values of an AuthorizationPolicy as atoms: what each of them takes, as `istio.envoy.rbac` compiles it."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass, field
from itertools import pairwise
from typing import TYPE_CHECKING

from meshlab.battery.clauses import Atom, Requirement, comparison
from meshlab.battery.text import Pattern, wildcard
from meshlab.battery.texts_read import asked_server_name, host_with_port, normalized_path, plain_text
from meshlab.battery.token_rules import accepted, signature
from meshlab.battery.values import ADDRESS, METHOD, NAME, PATH, PEER, TOKEN, Peer, Text, Token, header
from meshlab.istio.envoy.rbac.trust_domains import with_aliases_of_domains, with_aliases_of_principals

if TYPE_CHECKING:
    from collections.abc import Callable

    from meshlab.battery.values import Value
    from meshlab.istio.read.authorization_policy import Values
    from meshlab.istio.read.request_authentication import JwtRule

__all__ = ["Here", "claim_names", "requirement_of", "text_atom"]

_SPACE_DELIMITED = ("scope", "permission")
_PSEUDO = {":authority": "hosts", ":method": "methods", ":path": "paths"}


@dataclass(frozen=True)
class Here:
    """The proxy that a rule is for.

    Attributes:
        port: The pod's port.
        http: Whether requests are judged, rather than connections.
        trust_domains: The mesh's trust domain, then its aliases.
        token_rules: The rules that verify tokens here.
        forwarded: Whether a token that an earlier proxy verified comes here.
        token_way: What decides about that, as a text.
        peer: Who connects, where that is always the same proxy; `None` for the client itself.
        unread: Receives what is not asked about.
    """

    port: int
    http: bool
    trust_domains: tuple[str, ...]
    token_rules: tuple[JwtRule, ...] = ()
    forwarded: Callable[[Token], bool] = field(default=lambda _: True, compare=False)
    token_way: str = ""
    peer: Peer | None = None
    unread: dict[str, None] = field(default_factory=dict, compare=False)


def claim_names(key: str) -> tuple[str, ...] | None:
    """Return the names in `request.auth.claims[a][b]`; `None` for another key."""
    if key == "request.auth.presenter":
        return ("azp",)
    inner = key.removeprefix("request.auth.claims")
    if inner == key or not (inner.startswith("[") and inner.endswith("]")):
        return None
    names = inner[1:-1].split("][")
    return (inner[1:-1],) if any("[" in name or "]" in name for name in names) else tuple(names)


def requirement_of(key: str, values: Values, namespace: str, here: Here) -> Requirement | None:
    """Return what a field or a condition of a rule asks for, `None` for what is not taken apart here.

    Args:
        key: The field of a source or an operation, or the key of a condition.
        values: Its values.
        namespace: The namespace of the policy.
        here: The proxy.
    """
    make = _maker(key, namespace, here)
    if make is None:
        return None
    any_of = tuple(make(value) for value in values.any_of)
    none_of = tuple(make(value) for value in values.none_of)
    if any(atom.pattern is not None and not atom.pattern.readable() for atom in (*any_of, *none_of)):
        return None
    return Requirement((*any_of, *none_of)[0].dimension, any_of, none_of)


def text_atom(dimension: str, pattern: Pattern) -> Atom:
    """Return the atom of a condition on a text."""
    reads = normalized_path if dimension == PATH else plain_text
    return comparison(dimension, _named(pattern), reads, pattern, pattern.value)


def _named(pattern: Pattern) -> str:
    marks = ("~" if pattern.ignore_case else "") + ("/" if pattern.segments else "")
    return f"{pattern.kind}{marks} {pattern.value}"


def _maker(key: str, namespace: str, here: Here) -> Callable[[str], Atom] | None:
    match key:
        case "hosts":
            return _host
        case "methods":
            return lambda value: text_atom(METHOD, wildcard(value))
        case "paths":
            return lambda value: text_atom(PATH, _path(value))
        case "connection.sni":
            return _sni
        case "ipBlocks" | "source.ip" | "remoteIpBlocks" | "remote.ip":
            return _block
        case "principals" | "source.principal":
            return lambda value: _principal(value, here)
        case "namespaces" | "source.namespace":
            return lambda value: _peer_atom("namespace", value, lambda peer: _glob(value, _part(peer, "ns")))
        case "serviceAccounts" | "source.serviceAccount":
            return lambda value: _account(value, namespace)
        case "trustDomains" | "source.trustDomain":
            return lambda value: _domain(value, here)
        case "requestPrincipals" | "request.auth.principal":
            return lambda value: _token_atom(here, "principal", value, _request_principal(value))
        case "request.auth.audiences":
            return lambda value: _token_atom(here, "audience", value, _claim(("aud",), value, here))
    if (path := claim_names(key)) is not None:
        return lambda value: _token_atom(here, f"claim {path}", value, _claim(path, value, here))
    if not key.startswith("request.headers["):
        return None
    name = key.removeprefix("request.headers[").removesuffix("]")
    if name.lower() in _PSEUDO:
        return _maker(_PSEUDO[name.lower()], namespace, here)
    if not name.startswith(":"):
        return lambda value: text_atom(header(name), wildcard(value))
    return None


def _host(value: str) -> Atom:
    pattern = wildcard(value, ignore_case=True)
    return comparison(NAME, f"host {_named(pattern)}", host_with_port, pattern, value)


def _sni(value: str) -> Atom:
    pattern = wildcard(value)
    return comparison(NAME, f"sni {_named(pattern)}", asked_server_name, pattern, value)


def _path(value: str) -> Pattern:
    if "{*}" in value or "{**}" in value:
        return Pattern("template", value)
    return wildcard(value)


def _block(value: str) -> Atom:
    network = ipaddress.ip_network(value, strict=False)

    def holds(address: Value) -> bool:
        return (
            isinstance(address, Text) and address.text != "" and ipaddress.ip_address(address.text) in network
        )

    return Atom(ADDRESS, str(network), holds, None, str(network))


def _peer_atom(kind: str, value: str, holds: Callable[[str], bool]) -> Atom:
    def met(peer: Value) -> bool:
        return isinstance(peer, Peer) and peer.identity.startswith("spiffe://") and holds(peer.identity)

    return Atom(PEER, f"{kind} {value}", met, None, value)


def _principal(value: str, here: Here) -> Atom:
    names = list(dict.fromkeys(with_aliases_of_principals([value], here.trust_domains)))
    patterns = [wildcard(each) for each in names]
    return _peer_atom(
        "principal",
        " ".join(names),
        lambda identity: any(pattern.meets(identity.removeprefix("spiffe://")) for pattern in patterns),
    )


def _domain(value: str, here: Here) -> Atom:
    names = with_aliases_of_domains([value], here.trust_domains)
    return _peer_atom(
        "trust-domain",
        " ".join(names),
        lambda identity: any(
            _glob(name, identity.removeprefix("spiffe://").partition("/")[0]) for name in names
        ),
    )


def _account(value: str, namespace: str) -> Atom:
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


def _token_atom(here: Here, kind: str, value: str, holds: Callable[[Token], bool]) -> Atom:
    def met(token: Value) -> bool:
        return (
            isinstance(token, Token)
            and here.forwarded(token)
            and accepted(token, here.token_rules)
            and holds(token)
        )

    known = f"{here.token_way} {' '.join(map(signature, here.token_rules))}"
    return Atom(TOKEN, f"{kind} {value} ({known})", met, None, value)


def _claim(path: tuple[str, ...], value: str, here: Here) -> Callable[[Token], bool]:
    pattern = wildcard(value)
    split = {name for rule in here.token_rules for name in rule.space_delimited_claims} | {*_SPACE_DELIMITED}

    def met(token: Token) -> bool:
        found = token.claim(path)
        if found is None:
            return False
        texts = (found,) if isinstance(found, str) else found
        if len(path) == 1 and path[0] in split and isinstance(found, str):
            texts = tuple(found.split(" "))
        return any(pattern.meets(text) for text in texts)

    return met


def _request_principal(value: str) -> Callable[[Token], bool]:
    """Mirror `istio.envoy.rbac.request_principals`."""
    issuer, slash, subject = value.rpartition("/")
    if not slash:
        issuer, subject = value, ""
    some = Pattern("present")
    wanted = Pattern("exact", issuer), Pattern("exact", subject)
    if value == "*":
        wanted = some, some
    elif value.startswith("*") and slash:
        wanted = (some if issuer == "*" else Pattern("suffix", issuer[1:])), wanted[1]
    elif value.startswith("*"):
        wanted = some, Pattern("suffix", value[1:])
    elif value.endswith("*") and slash:
        wanted = wanted[0], (some if subject == "*" else Pattern("prefix", subject[:-1]))
    elif value.endswith("*"):
        wanted = Pattern("prefix", value[:-1]), some
    return lambda token: wanted[0].meets(token.issuer) and wanted[1].meets(token.subject)
