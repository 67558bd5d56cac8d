"""The authorization filters of a workload (`pilot/pkg/security/authz/builder/builder.go`)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from meshlab.istio.envoy.ext_authz import http_authorizer, tcp_authorizer
from meshlab.istio.envoy.rbac.rules import rbac_policy
from meshlab.quick_dataclass import dataclass

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from meshlab.istio.envoy.config import Json
    from meshlab.istio.envoy.rbac.policy_context import RuleContext
    from meshlab.istio.read.authorization_policy import AuthorizationPolicy
    from meshlab.istio.read.extension_providers import ExternalAuthorizer

__all__ = ["AuthorizationFilters", "http_filters", "tcp_filters"]

_Layer = Literal["http", "tcp"]

_MATCHES_NEVER: Json = {
    "permissions": [{"notRule": {"any": True}}],
    "principals": [{"notId": {"any": True}}],
}
_FILTERS: Mapping[_Layer, tuple[str, Json]] = {
    "http": (
        "envoy.filters.http.rbac",
        {"@type": "type.googleapis.com/envoy.extensions.filters.http.rbac.v3.RBAC"},
    ),
    "tcp": (
        "envoy.filters.network.rbac",
        {
            "@type": "type.googleapis.com/envoy.extensions.filters.network.rbac.v3.RBAC",
            "statPrefix": "tcp.",
        },
    ),
}
_ENVOY_ACTION = {"AUDIT": "LOG", "DENY": "DENY", "ALLOW": "ALLOW"}


@dataclass(frozen=True)
class AuthorizationFilters:
    """The HTTP filters of a workload's policies.

    Attributes:
        before_jwt: What external authorizers decide; Istio asks them before it verifies tokens.
        after_jwt: What the proxy decides itself.
    """

    before_jwt: list[Json]
    after_jwt: list[Json]


def http_filters(policies: Sequence[AuthorizationPolicy], context: RuleContext) -> AuthorizationFilters:
    """Return the filters that enforce a workload's policies on its HTTP requests.

    Args:
        policies: What reaches the workload.
        context: What the rules depend on.

    Returns:
        One filter for each of AUDIT, DENY and ALLOW that has policies, in this order, and a pair of filters for the
        external authorizer. Without an ALLOW policy everything that is not denied passes. With one, only what some
        ALLOW policy matches passes.
    """
    return AuthorizationFilters(
        _custom_filters(policies, context, "http"), _own_filters(policies, context, "http")
    )


def tcp_filters(policies: Sequence[AuthorizationPolicy], context: RuleContext) -> list[Json]:
    """Return the filters that enforce a workload's policies on its TCP connections.

    A connection has no method, path or token. An ALLOW rule that asks for one matches nothing there. A DENY, AUDIT or
    CUSTOM rule loses what it asks for and matches more: a DENY rule on a path alone denies every connection.
    """
    return [*_custom_filters(policies, context, "tcp"), *_own_filters(policies, context, "tcp")]


def _own_filters(policies: Sequence[AuthorizationPolicy], context: RuleContext, layer: _Layer) -> list[Json]:
    filters = []
    for action, envoy_action in _ENVOY_ACTION.items():
        chosen = [policy for policy in policies if policy.action == action]
        enforced = [policy for policy in chosen if not policy.dry_run]
        shadowed = [policy for policy in chosen if policy.dry_run]
        config: Json = {}
        if enforced:
            config["rules"] = _rules(_rule_set(enforced, context, layer), envoy_action)
        if shadowed:
            config["shadowRules"] = _rules(_rule_set(shadowed, context, layer), envoy_action)
        if config:
            recorded = "deny" if shadowed and action == "DENY" else "allow"
            config["shadowRulesStatPrefix"] = f"istio_dry_run_{recorded}_"
            filters.append(_rbac(config, layer))
    return filters


def _custom_filters(
    policies: Sequence[AuthorizationPolicy], context: RuleContext, layer: _Layer
) -> list[Json]:
    by_provider: dict[str, list[AuthorizationPolicy]] = {}
    for policy in policies:
        if policy.action == "CUSTOM":
            by_provider.setdefault(policy.provider, []).append(policy)
    filters: list[Json] = []
    for provider, chosen in sorted(by_provider.items()):
        rules = _rule_set(chosen, context, layer)
        authorizer = _authorizer(provider, context)
        # Istio takes one provider for a workload. It denies what it cannot have decided.
        if authorizer is None or len(by_provider) > 1:
            denied = {f"{name}-deny-due-to-bad-CUSTOM-action": rule for name, rule in rules.items()}
            filters.append(_rbac({"rules": _rules(denied, "DENY")}, layer))
        elif layer == "http" or authorizer.protocol == "grpc":
            shadow = {"shadowRules": _rules(rules, "DENY"), "shadowRulesStatPrefix": "istio_ext_authz_"}
            # This filter only records which rule matches. The next one asks the authorizer where one does.
            filters.append(_rbac(shadow, layer))
            asking = http_authorizer if layer == "http" else tcp_authorizer
            cluster = context.external_authorizers[provider]
            filters.append(asking(provider, authorizer, cluster, _FILTERS[layer][0]))
    return filters


def _authorizer(name: str, context: RuleContext) -> ExternalAuthorizer | None:
    provider = context.settings.extension_providers.get(name)
    if provider is None or provider.authorizer is None or provider.authorizer.problem:
        return None
    return provider.authorizer if name in context.external_authorizers else None


def _rule_set(
    policies: Sequence[AuthorizationPolicy], context: RuleContext, layer: _Layer
) -> dict[str, Json]:
    found: dict[str, Json] = {}
    for policy in policies:
        attachment = policy.attachment
        prefix = f"istio-ext-authz-{policy.provider}-" if policy.action == "CUSTOM" else ""
        name = f"{prefix}ns[{attachment.namespace}]-policy[{attachment.name}]-rule"
        if not policy.rules:
            found[f"{name}[0]"] = _MATCHES_NEVER
        for index, rule in enumerate(policy.rules):
            written = rbac_policy(
                rule,
                context,
                namespace=attachment.namespace,
                over_tcp=layer == "tcp",
                drop_whole=policy.action == "ALLOW",
            )
            if written:
                found[f"{name}[{index}]"] = written
    return found


def _rules(policies: Mapping[str, Json], action: str) -> Json:
    # ALLOW is Envoy's default action, and istiod leaves it out. No policies at all still mean something: ALLOW
    # without any allows nothing.
    rules: Json = {} if action == "ALLOW" else {"action": action}
    return rules | ({"policies": dict(policies)} if policies else {})


def _rbac(config: Json, layer: _Layer) -> Json:
    name, base = _FILTERS[layer]
    return {"name": name, "typedConfig": {**base, **config}}
