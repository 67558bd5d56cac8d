"""Values of an AuthorizationPolicy as atoms: what each of them takes, as `istio.envoy.rbac` compiles it."""

from __future__ import annotations

import ipaddress
from typing import TYPE_CHECKING

from meshlab.battery.clauses import Atom, Requirement, comparison
from meshlab.battery.compared_texts import (
    asked_server_name,
    host_with_port,
    normalized_path,
    presence,
    sent_text,
    text_or_empty,
)
from meshlab.battery.identity_atoms import account_atom, namespace_atom, principal_atom, trust_domain_atom
from meshlab.battery.patterns import Pattern, wildcard
from meshlab.battery.request_values import ADDRESS, METHOD, NAME, PATH, Text, header
from meshlab.battery.token_atoms import audience_atom, claim_atom, claim_names, request_principal_atom

if TYPE_CHECKING:
    from collections.abc import Callable

    from meshlab.battery.policy_proxy import PolicyProxy
    from meshlab.battery.request_values import Value
    from meshlab.istio.read.authorization_policy import Values

__all__ = ["requirement_of", "text_atom"]

_PSEUDO = {":authority": "hosts", ":method": "methods", ":path": "paths"}


def requirement_of(key: str, values: Values, namespace: str, proxy: PolicyProxy) -> Requirement | None:
    """Return what a field or a condition of a rule asks for, `None` for what is not taken apart here.

    Args:
        key: The field of a source or an operation, or the key of a condition.
        values: Its values.
        namespace: The namespace of the policy.
        proxy: The proxy.
    """
    make = _maker(key, namespace, proxy)
    if make is None:
        return None
    any_of = tuple(make(value) for value in values.any_of)
    none_of = tuple(make(value) for value in values.none_of)
    if any(atom.pattern is not None and not atom.pattern.readable() for atom in (*any_of, *none_of)):
        return None
    return Requirement((*any_of, *none_of)[0].dimension, any_of, none_of)


def text_atom(dimension: str, pattern: Pattern, *, missing_is_empty: bool = False) -> Atom:
    """Return the atom of a condition on a text.

    Args:
        dimension: The dimension of the text.
        pattern: The condition.
        missing_is_empty: Whether a header that is not sent is compared as an empty one, as Envoy does with
            `treat_missing_header_as_empty`. Otherwise such a header never meets the condition.
    """
    of_header = text_or_empty if missing_is_empty else sent_text
    if pattern.kind == "present":
        # `present_match` asks for no value, and takes an empty one.
        of_header = presence
    reads = normalized_path if dimension == PATH else of_header
    name = _named(pattern, "?" if missing_is_empty else "")
    return comparison(dimension, name, reads, pattern, pattern.value)


def _named(pattern: Pattern, mark: str = "") -> str:
    marks = ("~" if pattern.ignore_case else "") + ("/" if pattern.segments else "") + mark
    return f"{pattern.kind}{marks} {pattern.value}"


def _maker(key: str, namespace: str, proxy: PolicyProxy) -> Callable[[str], Atom] | None:
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
            return lambda value: principal_atom(value, proxy)
        case "namespaces" | "source.namespace":
            return namespace_atom
        case "serviceAccounts" | "source.serviceAccount":
            return lambda value: account_atom(value, namespace)
        case "trustDomains" | "source.trustDomain":
            return lambda value: trust_domain_atom(value, proxy)
        case "requestPrincipals" | "request.auth.principal":
            return lambda value: request_principal_atom(value, proxy)
        case "request.auth.audiences":
            return lambda value: audience_atom(value, proxy)
    if (path := claim_names(key)) is not None:
        return lambda value: claim_atom(path, value, proxy)
    if not key.startswith("request.headers["):
        return None
    name = key.removeprefix("request.headers[").removesuffix("]")
    if name.lower() in _PSEUDO:
        return _maker(_PSEUDO[name.lower()], namespace, proxy)
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
