"""The evaluator of NetworkPolicies keeps the guarantees of Kubernetes' documentation."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.infra.networks.network_policies import DIRECTIONS, Connection, Pod, allowed, allows, isolated

_NAMESPACES = ("a", "b")
_LABELS: tuple[tuple[tuple[str, str], ...], ...] = ((), (("app", "x"),), (("app", "y"),))
_ADDRESSES = ("10.0.0.1", "10.0.1.1", "192.0.2.1")

pods = st.builds(Pod, st.sampled_from(_NAMESPACES), st.sampled_from(_LABELS))
connections = st.builds(
    Connection,
    st.one_of(pods, st.sampled_from(_ADDRESSES)),
    st.one_of(pods, st.sampled_from(_ADDRESSES)),
    st.sampled_from((53, 80, 443)),
    st.sampled_from(("TCP", "UDP")),
)
selectors = st.sampled_from(
    ({}, {"matchLabels": {"app": "x"}}, {"matchExpressions": [{"key": "app", "operator": "Exists"}]})
)
peers = st.one_of(
    st.builds(lambda pods: {"podSelector": pods}, selectors),
    st.sampled_from(
        (
            {"namespaceSelector": {}},
            {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "a"}}},
            {"ipBlock": {"cidr": "10.0.0.0/8", "except": ["10.0.1.0/24"]}},
        )
    ),
)
ports = st.sampled_from(
    (
        {"protocol": "TCP", "port": 443},
        {"protocol": "UDP", "port": 53},
        {"port": 80},
        {"port": 50, "endPort": 90},
        {},
    )
)


def _rules(key: str) -> st.SearchStrategy[list[dict[str, Any]]]:
    rule = st.fixed_dictionaries({key: st.lists(peers, max_size=2), "ports": st.lists(ports, max_size=2)})
    return st.lists(rule, max_size=2)


policies = st.builds(
    lambda namespace, pods, types, ingress, egress: {
        "metadata": {"namespace": namespace},
        "spec": {"podSelector": pods, "policyTypes": types, "ingress": ingress, "egress": egress},
    },
    st.sampled_from(_NAMESPACES),
    selectors,
    st.sampled_from((["Ingress"], ["Egress"], ["Ingress", "Egress"])),
    _rules("from"),
    _rules("to"),
)
lists = st.lists(policies, max_size=4)


def _default_deny(namespace: str) -> dict[str, Any]:
    spec = {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}
    return {"metadata": {"namespace": namespace}, "spec": spec}


@given(connections)
def test_without_a_policy_everything_is_allowed(connection: Connection) -> None:
    assert allowed([], connection)


@given(lists, connections)
def test_the_order_of_policies_does_not_matter(found: list[dict[str, Any]], connection: Connection) -> None:
    assert allowed(found, connection) == allowed(found[::-1], connection)


@given(lists, policies, connections)
def test_a_further_policy_takes_nothing_from_a_pod_that_is_isolated_already(
    found: list[dict[str, Any]], more: dict[str, Any], connection: Connection
) -> None:
    for direction, own in zip(DIRECTIONS, (connection.source, connection.destination), strict=True):
        if isinstance(own, Pod) and isolated(found, own, direction):
            assert allows(found, connection, direction) <= allows([*found, more], connection, direction)


@given(lists, policies, connections)
def test_what_two_sets_of_policies_allow_is_the_union(
    found: list[dict[str, Any]], more: dict[str, Any], connection: Connection
) -> None:
    denied = [_default_deny(namespace) for namespace in _NAMESPACES]
    for direction in DIRECTIONS:
        together = allows([*denied, *found, more], connection, direction)
        apart = allows([*denied, *found], connection, direction) or allows(
            [*denied, more], connection, direction
        )
        assert together == apart


@given(lists, connections)
def test_a_default_deny_allows_nothing_more(found: list[dict[str, Any]], connection: Connection) -> None:
    denied = [_default_deny(namespace) for namespace in _NAMESPACES]
    assert allowed([*found, *denied], connection) <= allowed(found, connection)


@given(connections)
def test_a_default_deny_alone_denies_every_pod(connection: Connection) -> None:
    denied = [_default_deny(namespace) for namespace in _NAMESPACES]
    outside = isinstance(connection.source, str) and isinstance(connection.destination, str)
    assert allowed(denied, connection) == outside


def test_without_policy_types_a_policy_isolates_ingress_even_if_it_means_egress() -> None:
    """The tutorial's rule for one namespace: it lists both directions and says nothing about ingress from others."""
    policy = {
        "metadata": {"namespace": "a"},
        "spec": {"podSelector": {}, "egress": [{"to": [{"podSelector": {}}]}]},
    }
    assert not allowed([policy], Connection(Pod("b"), Pod("a"), 80))
    assert not allowed([policy], Connection(Pod("a"), Pod("b"), 80))
    only_ingress = {"metadata": {"namespace": "a"}, "spec": {"podSelector": {}, "ingress": []}}
    assert allowed([only_ingress], Connection(Pod("a"), Pod("b"), 80))


@pytest.mark.parametrize(
    "spec",
    [
        {"podSelector": {}, "ingress": [{"ports": [{"port": "http"}]}]},
        {"podSelector": {}, "ingress": [{"from": [{"other": {}}]}]},
        {"podSelector": {"matchExpressions": [{"key": "app", "operator": "Gt", "values": ["1"]}]}},
        {"podSelector": {"other": {}}},
    ],
)
def test_what_it_does_not_know_is_an_error(spec: dict[str, Any]) -> None:
    with pytest.raises(NotImplementedError):
        allowed([{"metadata": {"namespace": "a"}, "spec": spec}], Connection(Pod("b"), Pod("a"), 80))
