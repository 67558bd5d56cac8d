"""The attributes of a request that policies ask about, and how each is compared with a value."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tests.lab.istio.oracle.facts import Facts, Mesh, Place


@dataclass(frozen=True)
class Attributes:
    """A request or a connection, with the claims that its token was good for."""

    facts: Facts
    claims: Mapping[str, Any]
    mesh: Mesh
    place: Place

    @property
    def is_connection(self) -> bool:
        """Whether nothing of HTTP is known."""
        return not self.facts.method

    @property
    def principal(self) -> str:
        """The caller as policies write it: `TRUST-DOMAIN/ns/NAMESPACE/sa/ACCOUNT`, or nothing."""
        return self.facts.caller.removeprefix("spiffe://")

    @property
    def identity(self) -> tuple[str, str, str]:
        """Trust domain, namespace and account of the caller; empty texts for plaintext."""
        if not self.principal:
            return "", "", ""
        domain, _, namespace, _, account = self.principal.split("/")
        return domain, namespace, account

    @property
    def remote_ip(self) -> str:
        """The client's address: a gateway believes its trusted proxies, a sidecar the last address."""
        proxies = self.mesh.trusted_proxies if self.place.gateway else 1
        known = self.facts.forwarded_for
        return (
            known[-proxies] if not self.is_connection and 0 < proxies <= len(known) else self.facts.source_ip
        )


def is_http_only(key: str) -> bool:
    """Whether connections do not have the attribute."""
    return key in ("host", "method", "path") or key.startswith("request.")


def matches(key: str, value: str, attributes: Attributes, namespace: str) -> bool:
    """Compare one attribute with one value of a policy in that namespace."""
    facts = attributes.facts
    domain, caller_namespace, account = attributes.identity
    if key == "source.principal":
        return _principal(value, attributes)
    if key == "source.namespace":
        return bool(domain) and text_matches(value, caller_namespace)
    if key == "source.serviceAccount":
        wanted_namespace, _, wanted = value.rpartition("/")
        return bool(domain) and (wanted_namespace or namespace, wanted) == (caller_namespace, account)
    if key == "source.trustDomain":
        own = attributes.mesh.trust_domains
        return bool(domain) and (domain in own if value in own else text_matches(value, domain))
    if key == "source.ip":
        return _in_block(facts.source_ip, value)
    if key == "remote.ip":
        return _in_block(attributes.remote_ip, value)
    if key == "destination.ip":
        return _in_block(facts.destination_ip, value)
    if key == "destination.port":
        return facts.port == int(value)
    if key == "connection.sni":
        return text_matches(value, facts.sni)
    if key == "host":
        return text_matches(value.lower(), facts.host.lower())
    if key == "method":
        return text_matches(value, facts.method)
    if key == "path":
        return _path(value, normalized(facts.path))
    return _request_attribute(key, value, attributes)


def text_matches(pattern: str, text: str) -> bool:
    """Compare as policies do: exactly, by a prefix `x*`, by a suffix `*x`, or `*` for any text at all."""
    if pattern == "*":
        return text != ""
    if pattern.startswith("*"):
        return text.endswith(pattern[1:])
    return text.startswith(pattern[:-1]) if pattern.endswith("*") else text == pattern


def normalized(target: str) -> str:
    """The path that policies see: no query, no fragment, no dots, doubled slashes kept."""
    path = target.partition("#")[0].partition("?")[0]
    done: list[str] = []
    parts = path.split("/")[1:]
    for index, part in enumerate(parts):
        last = index == len(parts) - 1
        if part in (".", ".."):
            if part == ".." and done:
                done.pop()
            if last:
                done.append("")
        else:
            done.append(part)
    return "/" + "/".join(done)


def _principal(value: str, attributes: Attributes) -> bool:
    if not attributes.principal:
        return False
    own = attributes.mesh.trust_domains
    written, _, rest = value.partition("/")
    # A principal in full that names the mesh means the mesh by any of its names.
    names_the_mesh = value.count("/") == 4 and (written == "cluster.local" or written in own)
    if names_the_mesh:
        domain, _, called = attributes.principal.partition("/")
        return domain in own and text_matches(rest, called)
    return text_matches(value, attributes.principal)


def _in_block(address: str, block: str) -> bool:
    return ipaddress.ip_address(address) in ipaddress.ip_network(block, strict=False)


def _path(value: str, path: str) -> bool:
    if "{*}" not in value and "{**}" not in value:
        return text_matches(value, path)
    parts = re.split(r"(\{\*\*?\})", value)
    pattern = {"{*}": "[^/]+", "{**}": ".*"}
    return bool(re.fullmatch("".join(pattern.get(part) or re.escape(part) for part in parts), path))


def _request_attribute(key: str, value: str, attributes: Attributes) -> bool:
    claims = attributes.claims
    if key == "request.auth.principal":
        issuer, subject = claims.get("iss"), claims.get("sub")
        return bool(issuer and subject) and text_matches(value, f"{issuer}/{subject}")
    if key == "request.auth.audiences":
        return _claim(value, claims.get("aud"))
    if key == "request.auth.presenter":
        return _claim(value, claims.get("azp"))
    names = key.partition("[")[2].removesuffix("]").split("][")
    if key.startswith("request.headers"):
        found = attributes.facts.headers.get(names[0])
        return found is not None and (value == "*" or text_matches(value, found))
    place: Any = claims
    for name in names:
        place = place.get(name) if isinstance(place, dict) else None
    return _claim(value, place)


def _claim(value: str, found: object) -> bool:
    texts = found if isinstance(found, list) else [found]
    return any(isinstance(text, str) and text_matches(value, text) for text in texts)
