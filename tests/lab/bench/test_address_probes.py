"""Probes in front of RBAC filters say whether a verdict depends on IP addresses."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st
from meshlab.bench.evidence.address_probes import depends_on_addresses, with_address_probes

if TYPE_CHECKING:
    from meshlab.istio.envoy.config import Json

HTTP = "type.googleapis.com/envoy.extensions.filters.http.rbac.v3.RBAC"
TCP = "type.googleapis.com/envoy.extensions.filters.network.rbac.v3.RBAC"
ANY: Json = {"any": True}
ADDRESS: Json = {"directRemoteIp": {"addressPrefix": "10.0.0.0", "prefixLen": 8}}


def rules(principal: Json = ADDRESS, permission: Json = ANY, **more: str) -> Json:
    return {**more, "policies": {"a": {"permissions": [permission], "principals": [principal]}}}


def rbac(type_: str = HTTP, **config: object) -> Json:
    return {"name": "rbac", "typedConfig": {"@type": type_, **config}}


def shadows(filters: list[Json]) -> list[Json]:
    return [each["typedConfig"]["shadowRules"] for each in filters[:-1]]


@st.composite
def conditions(draw: st.DrawFn, depth: int = 3) -> Json:
    """A principal whose leaves are conditions on addresses, each of its own, or known ones."""
    kind = draw(st.sampled_from(["leaf", "known", "not", "and", "or"] if depth else ["leaf", "known"]))
    match kind:
        case "leaf":
            name = draw(st.sampled_from(["directRemoteIp", "remoteIp"]))
            return {name: {"addressPrefix": draw(st.uuids()).hex, "prefixLen": 8}}
        case "known":
            return ANY if draw(st.booleans()) else {"notId": ANY}
        case "not":
            return {"notId": draw(conditions(depth - 1))}
    parts = draw(st.lists(conditions(depth - 1), min_size=1, max_size=2))
    return {f"{kind}Ids": {"ids": parts}}


def leaves(condition: Json) -> list[str]:
    ((kind, value),) = condition.items()
    match kind:
        case "andIds" | "orIds":
            return [name for each in value["ids"] for name in leaves(each)]
        case "notId":
            return leaves(value)
        case "any":
            return []
    return [value["addressPrefix"]]


def holds(condition: Json, answers: dict[str, bool]) -> bool:
    ((kind, value),) = condition.items()
    match kind:
        case "andIds":
            return all(holds(each, answers) for each in value["ids"])
        case "orIds":
            return any(holds(each, answers) for each in value["ids"])
        case "notId":
            return not holds(value, answers)
        case "any":
            return True
    return answers[value["addressPrefix"]]


@given(conditions())
def test_the_probes_are_the_most_and_the_least_that_a_rule_can_match(principal: Json) -> None:
    names = leaves(principal)
    filters = with_address_probes([rbac(rules=rules(principal))])
    if not names:
        assert filters == [rbac(rules=rules(principal))]
        return
    may, must = (holds(each["policies"]["a"]["principals"][0], {}) for each in shadows(filters))
    found = {
        holds(principal, dict(zip(names, answers, strict=True)))
        for answers in itertools.product((False, True), repeat=len(names))
    }
    assert (may, must) == (True in found, False not in found)


def test_a_filter_that_decides_by_addresses_has_two_probes_in_front_and_is_left_as_it_is() -> None:
    own = rbac(TCP, statPrefix="tcp.", rules=rules(action="DENY"))
    may, must, last = with_address_probes([own])
    assert last == own
    assert may["typedConfig"] == {
        "@type": TCP,
        "statPrefix": "tcp.",
        "shadowRules": rules(ANY, action="DENY"),
        "shadowRulesStatPrefix": "meshlab_address_0_may_",
    }
    assert must["typedConfig"]["shadowRules"] == rules({"notId": ANY}, action="DENY")
    assert with_address_probes([may, must, last]) == [may, must, last]


def test_the_address_of_the_pod_itself_is_a_permission() -> None:
    written = {"andRules": {"rules": [{"notRule": {"destinationIp": {"addressPrefix": "10.0.0.1"}}}]}}
    may, must = shadows(with_address_probes([rbac(rules=rules(ANY, written))]))
    never = {"notRule": ANY}
    assert may == rules(ANY, {"andRules": {"rules": [{"notRule": never}]}})
    assert must == rules(ANY, {"andRules": {"rules": [{"notRule": ANY}]}})


@pytest.mark.parametrize(
    "filter_",
    [
        rbac(rules=rules(ANY)),
        rbac(rules=rules(action="LOG")),
        rbac(shadowRules=rules(), shadowRulesStatPrefix="istio_dry_run_allow_"),
        rbac(rules={}),
        {"name": "router", "typedConfig": {"@type": "another", "rules": rules()}},
    ],
    ids=["no address", "AUDIT", "a dry run", "no rules", "another filter"],
)
def test_what_decides_nothing_by_addresses_has_no_probe(filter_: Json) -> None:
    assert with_address_probes([filter_]) == [filter_]


def test_the_rules_that_ask_an_external_authorizer_have_probes() -> None:
    asking = rbac(shadowRules=rules(action="DENY"), shadowRulesStatPrefix="istio_ext_authz_")
    assert shadows(with_address_probes([asking])) == [
        rules(ANY, action="DENY"),
        rules({"notId": ANY}, action="DENY"),
    ]


def metadata(may: tuple[str, str], must: tuple[str, str]) -> dict[str, str]:
    return {
        f"meshlab_address_2_{kind}_shadow_{name}": value
        for kind, values in (("may", may), ("must", must))
        for name, value in zip(("engine_result", "effective_policy_id"), values, strict=True)
    }


@pytest.mark.parametrize(
    ("may", "must", "names_policy", "expected"),
    [
        (("denied", "a"), ("denied", "a"), True, False),
        (("allowed", ""), ("denied", ""), False, True),
        (("denied", "a"), ("denied", "b"), False, False),
        (("denied", "a"), ("denied", "b"), True, True),
        (("allowed", "a"), ("allowed", "b"), True, False),
    ],
)
def test_a_verdict_depends_on_addresses_where_the_probes_differ(
    may: tuple[str, str], must: tuple[str, str], *, names_policy: bool, expected: bool
) -> None:
    found = {"enforced_engine_result": "allowed", **metadata(may, must)}
    assert depends_on_addresses(found, names_policy=names_policy) is expected


def test_without_probes_a_verdict_depends_on_no_address() -> None:
    assert not depends_on_addresses({"istio_dry_run_allow_shadow_engine_result": "denied"}, names_policy=True)
