"""Request authentication: RequestAuthentication to Envoy's jwt_authn filter.

Follows `pilot/pkg/security/authn/policy_applier.go#convertToEnvoyJwtConfig`. What that means for a request: a token
that is absent passes (an AuthorizationPolicy has to ask for one); a token that is expired, forged, or of an issuer
that no rule names is refused; `exp` is tested with Envoy's default skew of 60 seconds, and not required.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from meshlab.istio.envoy.unheld_key import UNHELD_JWKS

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from meshlab.istio.envoy.config import Json
    from meshlab.istio.read.request_authentication import JwtRule, RequestAuthentication

__all__ = ["JWT_FILTER", "PAYLOAD_KEY", "jwt_filter"]

JWT_FILTER = "envoy.filters.http.jwt_authn"
PAYLOAD_KEY = "payload"
"""The key of jwt_authn's dynamic metadata under which policies find the verified claims."""


def jwt_filter(
    policies: Iterable[RequestAuthentication],
    *,
    clear_route_cache: bool,
    keys: Mapping[str, str] | None = None,
) -> Json | None:
    """Return the filter that verifies tokens, or `None` where no rule reaches the workload.

    Args:
        policies: What reaches the workload, in Istio's order. Where two rules name one issuer, the first that accepts
            a token decides which headers it leaves.
        clear_route_cache: Whether routes may depend on claims, as on gateways.
        keys: Issuer to a JWKS that replaces its keys, wherever those are. An issuer with keys behind an address and
            none here gets a key that nothing was ever signed with.
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
                name: _provider(rule, keys or {}, clear_route_cache=clear_route_cache)
                for name, rule in zip(names, rules, strict=True)
            },
            "rules": [{"match": {"prefix": "/"}, "requires": requires}],
            "bypassCorsPreflight": True,
        },
    }


def _provider(rule: JwtRule, keys: Mapping[str, str], *, clear_route_cache: bool) -> Json:
    # clockSkewSeconds, requireExpiration and maxLifetime stay unset because istiod never sets them.
    provider: Json = {
        "localJwks": {"inlineString": keys.get(rule.issuer) or rule.jwks or UNHELD_JWKS},
        "payloadInMetadata": PAYLOAD_KEY,
        "normalizePayloadInMetadata": {
            "spaceDelimitedClaims": sorted({"permission", "scope", *rule.space_delimited_claims})
        },
    }
    optional = {
        "issuer": rule.issuer,
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
