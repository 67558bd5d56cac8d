"""RequestAuthentication: whose tokens are verified, and with which keys."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from meshlab.istio.read.attachment import TARGET_REFS, Attachment, read_attachment
from meshlab.istio.read.fields import Fields, spec_of
from meshlab.istio.read.jwks import check_jwks

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
    "forwardOriginalToken",
    "fromHeaders",
    "fromParams",
    "fromCookies",
    "outputPayloadToHeader",
    "outputClaimToHeaders",
)
_JWKS_URI = "the lab has no network to fetch keys from; write them inline in jwks."
_RULE_REFUSED = {
    "jwksUri": _JWKS_URI,
    "jwks_uri": _JWKS_URI,
    "timeout": "it only bounds the fetch of a jwksUri, which the lab does not do; remove it.",
    "presence": "older supported Istio releases do not know it; ask for the token in an AuthorizationPolicy.",
    "spaceDelimitedClaims": "older supported Istio releases do not know it; scope and permission are split anyway.",
}


@dataclass(frozen=True)
class JwtRule:
    """One issuer and how its tokens are found and checked."""

    issuer: str
    jwks: str
    audiences: tuple[str, ...] = ()
    forward_original_token: bool = False
    from_headers: tuple[tuple[str, str], ...] = ()
    from_params: tuple[str, ...] = ()
    from_cookies: tuple[str, ...] = ()
    output_payload_to_header: str = ""
    output_claim_to_headers: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class RequestAuthentication:
    """A RequestAuthentication as read."""

    attachment: Attachment
    rules: tuple[JwtRule, ...]


def read_request_authentication(manifest: Manifest) -> RequestAuthentication:
    """Read and check a RequestAuthentication.

    Raises:
        ManifestError: An unknown field, a missing issuer, or keys that Envoy could not use.
    """
    spec = spec_of(manifest, ("selector", "jwtRules"), TARGET_REFS)
    rules = spec.items("jwtRules", _RULE_FIELDS, _RULE_REFUSED)
    return RequestAuthentication(read_attachment(spec), tuple(_rule(rule) for rule in rules))


def _rule(rule: Fields) -> JwtRule:
    if "jwks" not in rule:
        raise rule.where.key("jwks").error("missing; the lab needs the issuer's public keys inline.")
    return JwtRule(
        issuer=rule.required("issuer"),
        jwks=check_jwks(rule.string("jwks"), rule.where.key("jwks")),
        audiences=rule.strings("audiences"),
        forward_original_token=rule.boolean("forwardOriginalToken"),
        from_headers=tuple(
            (header.required("name"), header.string("prefix"))
            for header in rule.items("fromHeaders", ("name", "prefix"))
        ),
        from_params=rule.strings("fromParams"),
        from_cookies=rule.strings("fromCookies"),
        output_payload_to_header=rule.string("outputPayloadToHeader"),
        output_claim_to_headers=tuple(
            (entry.required("header"), entry.required("claim"))
            for entry in rule.items("outputClaimToHeaders", ("header", "claim"))
        ),
    )
