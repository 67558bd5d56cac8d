"""Filters that record what Envoy says of each rule of a policy, and of each condition of a rule.

In front of the RBAC filters of a chain stand others that decide nothing: one for each rule and one for each of its
conditions. Each leaves its result in the dynamic metadata, which the access log shows. So an explanation repeats what
Envoy decided, and evaluates nothing itself.

A condition that stands in several rules is asked for once. The probes of neighbouring RBAC filters stand in front of
the first of them: so what an ALLOW rule says is known even of a request that a DENY policy refused. RBAC filters with
another filter between them are neighbours of different *stages*, because that filter may have changed the request:
external authorizers add headers, and the verification of tokens adds claims.
"""

from __future__ import annotations

import hashlib
import json
import re
from itertools import groupby
from typing import TYPE_CHECKING, Any, Literal, NewType

from meshlab.quick_dataclass import dataclass

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from meshlab.istio.envoy.config import Json

__all__ = [
    "SECRET_HEADERS",
    "SEEN_HEADERS",
    "ConditionKey",
    "ProbedRule",
    "condition_results",
    "has_policies",
    "missing_key",
    "probed_rules",
    "seen_key",
    "with_condition_probes",
]

ConditionKey = NewType("ConditionKey", str)
"""The name of a rule or condition in the results: equal for what Envoy asks the same at the same stage."""

SEEN_HEADERS = "meshlab.seen_headers"
"""The namespace of the dynamic metadata in which a request's headers stand as the policies saw them."""

_HTTP_RBAC = "type.googleapis.com/envoy.extensions.filters.http.rbac.v3.RBAC"
_TCP_RBAC = "type.googleapis.com/envoy.extensions.filters.network.rbac.v3.RBAC"
_TO_METADATA = "type.googleapis.com/envoy.extensions.filters.http.header_to_metadata.v3.Config"
_JWT = "type.googleapis.com/envoy.extensions.filters.http.jwt_authn.v3.JwtAuthentication"
_NAME = "meshlab.condition"
_PREFIX, _RESULT = "meshlab_condition_", "_shadow_engine_result"
_ADDRESS_PREFIX = "meshlab_address_"
_POLICY = re.compile(r"ns\[([^\]]*)\]-policy\[([^\]]*)\]-rule\[(\d+)\]")
_ANY: Json = {"any": True}
_ALWAYS_SEEN = (":method", ":authority", ":path")
SECRET_HEADERS = frozenset({"authorization", "proxy-authorization", "cookie", "set-cookie"})
"""Headers whose values are neither recorded nor shown. Those in which a chain expects tokens are the same there."""
_DIGITS = 16


@dataclass(frozen=True)
class ProbedRule:
    """A rule of a policy, as an RBAC filter holds it.

    Attributes:
        policy: `NAMESPACE/NAME` of the AuthorizationPolicy.
        index: The index of the rule, from 0.
        action: What the filter does where the rule matches; `LOG` for AUDIT.
        enforced: Whether the filter acts by it. One of a dry run and one that asks an external authorizer do not.
        stage: The number of the group of neighbouring RBAC filters that it belongs to, from 0.
        key: Its name in the results.
        operations: The names of the conditions of each alternative about the request, in istiod's order.
        sources: The same of each alternative about the caller.
    """

    policy: str
    index: int
    action: Literal["ALLOW", "DENY", "LOG"]
    enforced: bool
    stage: int
    key: ConditionKey
    operations: tuple[tuple[ConditionKey, ...], ...]
    sources: tuple[tuple[ConditionKey, ...], ...]


def with_condition_probes(filters: Sequence[Json]) -> list[Json]:
    """Return the filters of a chain with probes in front of the RBAC filters.

    Args:
        filters: HTTP filters or network filters, in order. Probes of an earlier call are replaced.
    """
    kept = [each for each in filters if each.get("name") != _NAME]
    secret = SECRET_HEADERS | frozenset(_token_headers(kept))
    found: list[Json] = []
    for stage, group in _groups(kept):
        if stage is not None:
            found += _probes(stage, group, secret)
        found += group
    return found


def probed_rules(filters: Sequence[Json]) -> list[ProbedRule]:
    """Return the rules of the RBAC filters of a chain, in the order in which Envoy evaluates them.

    Args:
        filters: HTTP filters or network filters, with probes or without.
    """
    kept = [each for each in filters if each.get("name") != _NAME]
    return [
        rule for stage, group in _groups(kept) if stage is not None for rule in _rules_of_group(stage, group)
    ]


def has_policies(filters: Sequence[Json]) -> bool:
    """Return whether any policy decides in a chain: Istio lets none do so where TLS is passed on by AUTO_PASSTHROUGH.

    Args:
        filters: HTTP filters or network filters, with probes or without.
    """
    return any(_is_rbac(each) for each in filters if each.get("name") != _NAME)


def condition_results(metadata: Mapping[str, Any]) -> dict[ConditionKey, bool]:
    """Return which rules and conditions Envoy says matched.

    A rule that asks for nothing has a result, a condition that asks for nothing has none. Nothing is there of rules
    that the request did not reach.

    Args:
        metadata: What the RBAC filters left behind, as in `EvidenceLine.rbac`.
    """
    return {
        ConditionKey(name.removeprefix(_PREFIX).removesuffix(_RESULT)): result == "allowed"
        for name, result in metadata.items()
        if name.startswith(_PREFIX) and name.endswith(_RESULT)
    }


def seen_key(stage: int, header: str) -> str:
    """Return the key of a header's value among those that the policies of a stage saw."""
    return f"{stage} {header.lower()}"


def missing_key(stage: int, header: str) -> str:
    """Return the key that says that the request did not have a header; an empty or very long one has no key at all."""
    return f"{seen_key(stage, header)} is missing"


def _groups(filters: Sequence[Json]) -> Iterator[tuple[int | None, list[Json]]]:
    """Yield neighbouring RBAC filters with their stage, and the filters between them with `None`."""
    stage = 0
    for is_rbac, group in groupby(filters, _is_rbac):
        yield (stage if is_rbac else None), list(group)
        stage += is_rbac


def _is_rbac(filter_: Json) -> bool:
    return (filter_.get("typedConfig") or {}).get("@type") in (_HTTP_RBAC, _TCP_RBAC)


def _rule_sets(group: Iterable[Json]) -> Iterator[tuple[Json, bool]]:
    """Yield the rules of RBAC filters, each with whether the filter acts by them."""
    for each in group:
        config = each["typedConfig"]
        if str(config.get("shadowRulesStatPrefix", "")).startswith(_ADDRESS_PREFIX):
            continue
        for name, enforced in (("rules", True), ("shadowRules", False)):
            if rules := config.get(name):
                yield rules, enforced


def _rules_of_group(stage: int, group: Iterable[Json]) -> Iterator[ProbedRule]:
    for rules, enforced in _rule_sets(group):
        for name, policy in rules.get("policies", {}).items():
            if not (found := _POLICY.search(name)):
                continue
            yield ProbedRule(
                policy=f"{found[1]}/{found[2]}",
                index=int(found[3]),
                action=rules.get("action", "ALLOW"),
                enforced=enforced,
                stage=stage,
                key=_key(stage, policy),
                operations=tuple(_keys(stage, each, "permissions") for each in policy["permissions"]),
                sources=tuple(_keys(stage, each, "principals") for each in policy["principals"]),
            )


def _keys(stage: int, alternative: Json, side: str) -> tuple[ConditionKey, ...]:
    return tuple(_key(stage, {side: [each]}) for each in _conditions(alternative, side) if each != _ANY)


def _conditions(alternative: Json, side: str) -> list[Json]:
    """Return what must hold all together in one alternative of a rule."""
    outer, inner = ("andRules", "rules") if side == "permissions" else ("andIds", "ids")
    if outer not in alternative:
        return [alternative]
    found: list[Json] = alternative[outer][inner]
    return found


def _key(stage: int, policy: Json) -> ConditionKey:
    text = json.dumps(policy, sort_keys=True)
    return ConditionKey(f"{stage}_{hashlib.sha256(text.encode()).hexdigest()[:_DIGITS]}")


def _probes(stage: int, group: Sequence[Json], secret: frozenset[str]) -> list[Json]:
    policies: dict[ConditionKey, Json] = {}
    for rules, _ in _rule_sets(group):
        for policy in rules.get("policies", {}).values():
            policies[_key(stage, policy)] = policy
            for side, other in (("permissions", "principals"), ("principals", "permissions")):
                for alternative in policy[side]:
                    for condition in _conditions(alternative, side):
                        if condition != _ANY:
                            key = _key(stage, {side: [condition]})
                            policies[key] = {side: [condition], other: [_ANY]}
    base = {name: value for name, value in group[0]["typedConfig"].items() if name in ("@type", "statPrefix")}
    probes = [
        {
            "name": _NAME,
            "typedConfig": {
                **base,
                "shadowRules": {"policies": {"it": policy}},
                "shadowRulesStatPrefix": f"{_PREFIX}{key}_",
            },
        }
        for key, policy in policies.items()
    ]
    if not probes or base["@type"] != _HTTP_RBAC:
        return probes
    return [_header_recorder(stage, list(policies.values()), secret), *probes]


def _header_recorder(stage: int, policies: Sequence[Json], secret: frozenset[str]) -> Json:
    """Return the filter that records headers which conditions name; routes may change them after the policies."""
    names = dict.fromkeys((*_ALWAYS_SEEN, *(name.lower() for name in _header_names(policies))))
    rules = [
        {
            "header": name,
            "onHeaderPresent": {
                "metadataNamespace": SEEN_HEADERS,
                "key": seen_key(stage, name),
                "type": "STRING",
            },
            "onHeaderMissing": {
                "metadataNamespace": SEEN_HEADERS,
                "key": missing_key(stage, name),
                "value": "yes",
                "type": "STRING",
            },
        }
        for name in names
        if name not in secret
    ]
    return {"name": _NAME, "typedConfig": {"@type": _TO_METADATA, "requestRules": rules}}


def _header_names(value: object) -> Iterator[str]:
    if isinstance(value, dict):
        for key, inner in value.items():
            if key == "header" and isinstance(inner, dict) and "name" in inner:
                yield str(inner["name"])
            else:
                yield from _header_names(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _header_names(inner)


def _token_headers(filters: Iterable[Json]) -> Iterator[str]:
    """Yield the headers in which a chain expects tokens."""
    for each in filters:
        config = each.get("typedConfig") or {}
        if config.get("@type") == _JWT:
            for provider in config.get("providers", {}).values():
                yield from (str(header["name"]).lower() for header in provider.get("fromHeaders", ()))
