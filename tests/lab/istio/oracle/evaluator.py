"""The documented rules of AuthorizationPolicy and RequestAuthentication, evaluated one by one.

Written from Istio's reference pages, slowly and without Envoy: it shares no code with the compiler. Sources, under
istio.io/latest/docs/reference/config/security: authorization-policy, conditions, request_authentication, normalization.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tests.lab.istio.oracle.attributes import Attributes, is_http_only, matches
from tests.lab.istio.oracle.tokens import TokenRefusedError, verified_claims

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from tests.lab.istio.oracle.facts import Facts, Mesh, Place

    Policy = Mapping[str, Any]

_SINGLE = {
    "principals": "source.principal",
    "requestPrincipals": "request.auth.principal",
    "namespaces": "source.namespace",
    "serviceAccounts": "source.serviceAccount",
    "trustDomains": "source.trustDomain",
    "ipBlocks": "source.ip",
    "remoteIpBlocks": "remote.ip",
    "hosts": "host",
    "methods": "method",
    "paths": "path",
    "ports": "destination.port",
}
"""The fields of sources and operations, and the attribute that each is about."""


def verdict(policies: Sequence[Policy], facts: Facts, mesh: Mesh, place: Place) -> str:
    """Decide a request or a connection: `allowed`, `denied`, or `token refused`.

    Args:
        policies: AuthorizationPolicies and RequestAuthentications, as YAML has them.
        facts: What is known of it.
        mesh: The mesh-wide settings.
        place: The workload that is called.
    """
    reaching = [policy for policy in policies if _reaches(policy, mesh, place)]
    judging = [
        policy for policy in reaching if policy["kind"] == "AuthorizationPolicy" and not _on_trial(policy)
    ]
    claims: Mapping[str, Any] = {}
    # An external authorizer comes first. None of the search's providers exists, and Istio denies in their place.
    if _any_matches(judging, "CUSTOM", Attributes(facts, claims, mesh, place)):
        return "denied"
    if facts.method:
        rules = [
            rule
            for policy in reaching
            if policy["kind"] == "RequestAuthentication"
            for rule in policy["spec"].get("jwtRules", [])
        ]
        try:
            claims = verified_claims(rules, facts)
        except TokenRefusedError:
            return "token refused"
    attributes = Attributes(facts, claims, mesh, place)
    if _any_matches(judging, "DENY", attributes):
        return "denied"
    allowing = [policy for policy in judging if _action(policy) == "ALLOW"]
    if allowing and not _any_matches(judging, "ALLOW", attributes):
        return "denied"
    return "allowed"


def _reaches(policy: Policy, mesh: Mesh, place: Place) -> bool:
    namespace = policy["metadata"]["namespace"]
    wanted = dict(policy["spec"].get("selector", {}).get("matchLabels", {}))
    in_namespace = namespace in (place.namespace, mesh.root_namespace)
    return in_namespace and all(place.labels.get(key) == value for key, value in wanted.items())


def _action(policy: Policy) -> str:
    return str(policy["spec"].get("action", "ALLOW"))


def _on_trial(policy: Policy) -> bool:
    return bool(policy["metadata"].get("annotations", {}).get("istio.io/dry-run") == "true")


def _any_matches(policies: Iterable[Policy], action: str, attributes: Attributes) -> bool:
    return any(
        _rule_matches(rule, action, attributes, policy["metadata"]["namespace"])
        for policy in policies
        if _action(policy) == action
        for rule in policy["spec"].get("rules", [])
    )


def _rule_matches(rule: Policy, action: str, attributes: Attributes, namespace: str) -> bool:
    conditions = [
        (condition["key"], condition.get("values", []), condition.get("notValues", []))
        for condition in rule.get("when", [])
    ]
    sources = [_fields(entry["source"]) for entry in rule.get("from", [])] or [[]]
    operations = [_fields(entry["operation"]) for entry in rule.get("to", [])] or [[]]
    everything = [*conditions, *(field for part in (*sources, *operations) for field in part)]
    # On a connection an ALLOW rule that asks for anything of HTTP matches nothing, as a whole.
    if attributes.is_connection and action == "ALLOW" and any(is_http_only(key) for key, _, _ in everything):
        return False

    def all_hold(fields: Iterable[tuple[str, Sequence[str], Sequence[str]]]) -> bool:
        return all(_holds(key, values, none_of, attributes, namespace) for key, values, none_of in fields)

    return all_hold(conditions) and any(map(all_hold, sources)) and any(map(all_hold, operations))


def _fields(part: Mapping[str, Sequence[str]]) -> list[tuple[str, Sequence[str], Sequence[str]]]:
    return [
        (attribute, part.get(name, []), part.get(f"not{name[0].upper()}{name[1:]}", []))
        for name, attribute in _SINGLE.items()
        if name in part or f"not{name[0].upper()}{name[1:]}" in part
    ]


def _holds(
    key: str, values: Sequence[str], none_of: Sequence[str], attributes: Attributes, namespace: str
) -> bool:
    if attributes.is_connection and is_http_only(key):
        return True  # what a connection does not have is left out of DENY and CUSTOM rules
    if values and not any(matches(key, value, attributes, namespace) for value in values):
        return False
    return not any(matches(key, value, attributes, namespace) for value in none_of)
