"""The RBAC filters of a workload (`pilot/pkg/security/authz/builder/builder.go`)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from meshlab.istio.envoy.rbac.rules import Surroundings, rbac_policy

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from meshlab.istio.envoy.config import Json
    from meshlab.istio.read.authorization_policy import AuthorizationPolicy

__all__ = ["rbac_filters"]

_MATCHES_NEVER: Json = {
    "permissions": [{"notRule": {"any": True}}],
    "principals": [{"notId": {"any": True}}],
}


def rbac_filters(
    policies: Sequence[AuthorizationPolicy],
    *,
    trust_domain: str,
    listener_port: Callable[[int], int | None],
) -> list[Json]:
    """The filters that enforce a workload's policies: what is denied first, then what is allowed.

    Args:
        policies: What reaches the workload.
        trust_domain: The mesh's own trust domain.
        listener_port: Where the proxy listens for a targetPort, `None` for a port that it does not serve.

    Returns:
        One filter per action that has policies. Without an ALLOW policy everything that is not denied passes; with
        one, only what some ALLOW policy matches.
    """
    filters = []
    for action in ("DENY", "ALLOW"):
        chosen = [policy for policy in policies if policy.action == action]
        if chosen:
            filters.append(_filter(chosen, action, trust_domain, listener_port))
    return filters


def _filter(
    policies: Sequence[AuthorizationPolicy],
    action: str,
    trust_domain: str,
    listener_port: Callable[[int], int | None],
) -> Json:
    enforced: Json = {}
    shadowed: Json = {}
    for policy in policies:
        around = Surroundings(policy.attachment.namespace, trust_domain, listener_port)
        written = [rbac_policy(rule, around) for rule in policy.rules] or [_MATCHES_NEVER]
        names = f"ns[{policy.attachment.namespace}]-policy[{policy.attachment.name}]"
        target = shadowed if policy.dry_run else enforced
        target.update({f"{names}-rule[{index}]": rule for index, rule in enumerate(written)})
    config: Json = {"@type": "type.googleapis.com/envoy.extensions.filters.http.rbac.v3.RBAC"}
    if enforced:
        config["rules"] = _rules(enforced, action)
    if shadowed:
        config["shadowRules"] = _rules(shadowed, action)
    denied_in_shadow = shadowed and action == "DENY"
    config["shadowRulesStatPrefix"] = f"istio_dry_run_{'deny' if denied_in_shadow else 'allow'}_"
    return {"name": "envoy.filters.http.rbac", "typedConfig": config}


def _rules(policies: Json, action: str) -> Json:
    # ALLOW is Envoy's default action, and istiod leaves it out.
    return {"policies": policies} if action == "ALLOW" else {"action": action, "policies": policies}
