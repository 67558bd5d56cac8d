"""Filters that record whether a policy's verdict depends on IP addresses.

In front of each RBAC filter with conditions on addresses stand two others that decide nothing. In one every such
condition holds as far as that lets a rule match, in the other as far as it keeps a rule from matching. Where the two
come to the same, the addresses do not matter.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from meshlab.istio.envoy.config import Json

__all__ = ["depends_on_addresses", "with_address_probes"]

_TYPES = (
    "type.googleapis.com/envoy.extensions.filters.http.rbac.v3.RBAC",
    "type.googleapis.com/envoy.extensions.filters.network.rbac.v3.RBAC",
)
_PREFIX = "meshlab_address_"
_RESULT, _POLICY = "shadow_engine_result", "shadow_effective_policy_id"
_ASKED_BY_AUTHORIZER = "istio_ext_authz_"
_CONDITIONS = ("directRemoteIp", "remoteIp", "sourceIp", "destinationIp")
_ANY: Json = {"any": True}


def with_address_probes(filters: Sequence[Json]) -> list[Json]:
    """Return the filters of a chain, with probes in front of those that ask for addresses.

    Args:
        filters: HTTP filters or network filters, in order. Probes of an earlier call are replaced.
    """
    found: list[Json] = []
    for each in filters:
        config = each.get("typedConfig") or {}
        if str(config.get("shadowRulesStatPrefix", "")).startswith(_PREFIX):
            continue
        if rules := _deciding_rules(config):
            number = len(found)
            found += [
                _probe(each, rules, f"{_PREFIX}{number}_{kind}_", kind == "may") for kind in ("may", "must")
            ]
        found.append(each)
    return found


def depends_on_addresses(metadata: Mapping[str, Any], *, names_policy: bool) -> bool:
    """Return whether the verdict could be another one with other addresses.

    Args:
        metadata: What the RBAC filters left behind.
        names_policy: Whether it matters which policy denied, too.
    """
    for key, result in metadata.items():
        may, _, rest = key.partition("_may_")
        if not key.startswith(_PREFIX) or rest != _RESULT:
            continue
        if metadata.get(f"{may}_must_{_RESULT}") != result:
            return True
        denying = metadata.get(f"{may}_may_{_POLICY}"), metadata.get(f"{may}_must_{_POLICY}")
        if names_policy and result == "denied" and denying[0] != denying[1]:
            return True
    return False


def _deciding_rules(config: Json) -> Json | None:
    """Return the rules of a filter that decides with conditions on addresses; AUDIT and dry runs decide nothing."""
    if config.get("@type") not in _TYPES:
        return None
    rules = config.get("rules")
    if rules is None and str(config.get("shadowRulesStatPrefix", "")).startswith(_ASKED_BY_AUTHORIZER):
        rules = config.get("shadowRules")
    if not rules or rules.get("action") == "LOG" or not _asks(rules.get("policies")):
        return None
    found: Json = rules
    return found


def _asks(value: object) -> bool:
    if isinstance(value, dict):
        return any(key in _CONDITIONS or _asks(item) for key, item in value.items())
    return isinstance(value, list) and any(map(_asks, value))


def _probe(filter_: Json, rules: Json, prefix: str, holds: bool) -> Json:
    config = filter_["typedConfig"]
    policies = {
        name: {
            **policy,
            "permissions": [_supposed(each, "notRule", holds=holds) for each in policy["permissions"]],
            "principals": [_supposed(each, "notId", holds=holds) for each in policy["principals"]],
        }
        for name, policy in rules["policies"].items()
    }
    kept = {name: config[name] for name in ("@type", "statPrefix") if name in config}
    shadow = {**rules, "policies": policies}
    name = f"meshlab.{prefix.removesuffix('_')}"
    return {"name": name, "typedConfig": {**kept, "shadowRules": shadow, "shadowRulesStatPrefix": prefix}}


def _supposed(condition: Any, negation: str, *, holds: bool) -> Any:  # noqa: ANN401 - any value of a JSON document
    """Return a condition in which every question for an address has the given answer; a negation turns it round."""
    if isinstance(condition, list):
        return [_supposed(each, negation, holds=holds) for each in condition]
    if not isinstance(condition, dict):
        return condition
    if any(name in condition for name in _CONDITIONS):
        return _ANY if holds else {negation: _ANY}
    return {
        name: _supposed(value, negation, holds=holds != (name == negation))
        for name, value in condition.items()
    }
