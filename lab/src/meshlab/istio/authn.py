"""Request authentication: RequestAuthentication to Envoy's jwt_authn filter.

Follows `pilot/pkg/security/authn/policy_applier.go#convertToEnvoyJwtConfig`. What that means for a request: a token
that is absent passes (an AuthorizationPolicy has to ask for one); a token that is expired, forged, or of an issuer
that no rule names is refused; `exp` is tested with Envoy's default skew of 60 seconds, and not required.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from meshlab.istio.fields import Fields, Json, spec_of
from meshlab.istio.jwks import check_jwks
from meshlab.istio.selection import TARGET_REFS, Attachment, read_attachment

if TYPE_CHECKING:
    from collections.abc import Iterable

    from meshlab.manifest import Manifest

__all__ = [
    "JWT_FILTER",
    "PAYLOAD_KEY",
    "JwtRule",
    "RequestAuthentication",
    "jwt_filter",
    "read_request_authentication",
]

JWT_FILTER = "envoy.filters.http.jwt_authn"
PAYLOAD_KEY = "payload"
"""The key of jwt_authn's dynamic metadata under which policies find the verified claims."""

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


def jwt_filter(policies: Iterable[RequestAuthentication], *, clear_route_cache: bool) -> Json | None:
    """The filter that verifies tokens, or `None` where no rule reaches the workload.

    Args:
        policies: What reaches the workload.
        clear_route_cache: Whether routes may depend on claims, as on gateways.
    """
    rules = sorted((rule for policy in policies for rule in policy.rules), key=lambda rule: rule.issuer)
    if not rules:
        return None
    names = [f"origins-{index}" for index in range(len(rules))]
    optional = [
        {"requiresAny": {"requirements": [{"providerName": name}, {"allowMissing": {}}]}} for name in names
    ]
    # Any one rule may accept the token. Where none does, every rule must find no token of its own.
    several = [*({"providerName": name} for name in names), {"requiresAll": {"requirements": optional}}]
    requires = optional[0] if len(rules) == 1 else {"requiresAny": {"requirements": several}}
    return {
        "name": JWT_FILTER,
        "typedConfig": {
            "@type": "type.googleapis.com/envoy.extensions.filters.http.jwt_authn.v3.JwtAuthentication",
            "providers": {
                name: _provider(rule, clear_route_cache=clear_route_cache)
                for name, rule in zip(names, rules, strict=True)
            },
            "rules": [{"match": {"prefix": "/"}, "requires": requires}],
            "bypassCorsPreflight": True,
        },
    }


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


def _provider(rule: JwtRule, *, clear_route_cache: bool) -> Json:
    # clockSkewSeconds, requireExpiration and maxLifetime stay unset because istiod never sets them.
    provider: Json = {
        "issuer": rule.issuer,
        "localJwks": {"inlineString": rule.jwks},
        "payloadInMetadata": PAYLOAD_KEY,
        "normalizePayloadInMetadata": {"spaceDelimitedClaims": ["permission", "scope"]},
    }
    optional = {
        "audiences": list(rule.audiences),
        "forward": rule.forward_original_token,
        "forwardPayloadHeader": rule.output_payload_to_header,
        "fromHeaders": [
            {"name": name, **({"valuePrefix": prefix} if prefix else {})}
            for name, prefix in rule.from_headers
        ],
        "fromParams": list(rule.from_params),
        "fromCookies": list(rule.from_cookies),
        "claimToHeaders": [
            {"headerName": header, "claimName": claim} for header, claim in rule.output_claim_to_headers
        ],
        "clearRouteCache": clear_route_cache,
    }
    return provider | {name: value for name, value in optional.items() if value}
