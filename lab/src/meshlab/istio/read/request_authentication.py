"""RequestAuthentication: whose tokens are verified, and with which keys."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from meshlab.istio.read.attachment import Attachment, read_attachment
from meshlab.istio.read.fields import Fields, spec_of
from meshlab.istio.read.jwks import check_jwks
from meshlab.quick_dataclass import dataclass

if TYPE_CHECKING:
    from meshlab.manifest import Manifest

__all__ = [
    "JwtRule",
    "RequestAuthentication",
    "read_request_authentication",
]

_RULE_FIELDS = (
    "issuer",
    "audiences",
    "jwks",
    "jwksUri",
    "jwks_uri",
    "forwardOriginalToken",
    "fromHeaders",
    "fromParams",
    "fromCookies",
    "outputPayloadToHeader",
    "outputClaimToHeaders",
    "presence",
    "spaceDelimitedClaims",
    "timeout",
)
_HEADER_NAME = re.compile(r"[-_A-Za-z0-9]+")


@dataclass(frozen=True)
class JwtRule:
    """One issuer and how its tokens are found and checked.

    Attributes:
        issuer: The issuer; an empty string for any.
        jwks: Its keys as written; an empty string where they stand behind `jwks_uri`.
        jwks_uri: Where its keys stand. Without it and without `jwks` Istio asks the issuer by OpenID discovery.
    """

    issuer: str
    jwks: str = ""
    jwks_uri: str = ""
    audiences: tuple[str, ...] = ()
    forward_original_token: bool = False
    from_headers: tuple[tuple[str, str], ...] = ()
    from_params: tuple[str, ...] = ()
    from_cookies: tuple[str, ...] = ()
    output_payload_to_header: str = ""
    output_claim_to_headers: tuple[tuple[str, str], ...] = ()
    space_delimited_claims: tuple[str, ...] = ()


@dataclass(frozen=True)
class RequestAuthentication:
    """A RequestAuthentication as read."""

    attachment: Attachment
    rules: tuple[JwtRule, ...]


def read_request_authentication(manifest: Manifest) -> RequestAuthentication:
    """Read and check a RequestAuthentication.

    Raises:
        ManifestError: An unknown field, neither an issuer nor an address of keys, or keys that Envoy could not use.
    """
    spec = spec_of(manifest, ("selector", "targetRef", "targetRefs", "jwtRules"))
    rules = _items(spec, "jwtRules", _RULE_FIELDS)
    return RequestAuthentication(read_attachment(spec), tuple(_rule(rule) for rule in rules))


def _rule(rule: Fields) -> JwtRule:
    uri = _jwks_uri(rule)
    issuer = rule.string("issuer")
    if not issuer and not uri:
        raise rule.where.key("issuer").error("missing; Istio wants an issuer or a jwksUri.")
    rule.duration_s("timeout")  # bounds a fetch, which the lab does not do
    if rule.choice("presence", ("OPTIONAL", "REQUIRED"), "OPTIONAL") == "REQUIRED":
        problem = "istiod does not act on it yet; ask for the token in an AuthorizationPolicy."
        raise rule.where.key("presence").error(problem)
    return JwtRule(
        issuer=issuer,
        jwks=check_jwks(rule.string("jwks"), rule.where.key("jwks")) if rule.string("jwks") else "",
        jwks_uri=uri,
        audiences=_strings(rule, "audiences"),
        forward_original_token=rule.boolean("forwardOriginalToken"),
        from_headers=tuple(
            (header.required("name"), header.string("prefix"))
            for header in _items(rule, "fromHeaders", ("name", "prefix"))
        ),
        from_params=_strings(rule, "fromParams"),
        from_cookies=_strings(rule, "fromCookies"),
        output_payload_to_header=rule.string("outputPayloadToHeader"),
        output_claim_to_headers=tuple(
            (_header_name(entry), entry.required("claim"))
            for entry in _items(rule, "outputClaimToHeaders", ("header", "claim"))
        ),
        space_delimited_claims=_strings(rule, "spaceDelimitedClaims"),
    )


def _jwks_uri(rule: Fields) -> str:
    if "jwksUri" in rule and "jwks_uri" in rule:
        raise rule.where.key("jwks_uri").error("is another spelling of jwksUri; keep one of them.")
    name = "jwks_uri" if "jwks_uri" in rule else "jwksUri"
    uri = rule.string(name)
    if uri and urlsplit(uri).scheme not in ("http", "https"):
        raise rule.where.key(name).error(f"{uri!r} is not an http or https address.")
    return uri


def _header_name(entry: Fields) -> str:
    name = entry.required("header")
    if not _HEADER_NAME.fullmatch(name):
        raise entry.where.key("header").error(
            f"{name!r} is not the name of a header; write letters and digits."
        )
    return name


def _strings(part: Fields, name: str) -> tuple[str, ...]:
    # To Istio an empty list is an absent one.
    return () if part.raw(name) in (None, []) else part.strings(name)


def _items(part: Fields, name: str, known: tuple[str, ...]) -> tuple[Fields, ...]:
    return () if part.raw(name) in (None, []) else part.items(name, known)
