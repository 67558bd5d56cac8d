"""No two ranges of the network overlap, and the module refuses ranges that do."""

from __future__ import annotations

import itertools
from ipaddress import ip_network
from typing import TYPE_CHECKING, Any

import pytest

from tests.infra.terraform.example import contract, network

if TYPE_CHECKING:
    from tests.infra.terraform.evaluate import Plan

EXTRA = {
    "connector": {"name": "connector", "range": contract().get("CONNECTOR_RANGE") or "10.9.2.0/28"},
    "proxy_range": contract().get("PROXY_RANGE") or "10.9.0.0/23",
}


def ranges(plan: Plan) -> dict[str, str]:
    """Return every range of a plan's subnets, by subnet and secondary range."""
    found = {}
    for address, subnet in plan.all("google_compute_subnetwork").items():
        found[address] = subnet["ip_cidr_range"]
        for secondary in subnet.get("secondary_ip_range", []):
            found[f"{address} {secondary['range_name']}"] = secondary["ip_cidr_range"]
    return found


def test_no_two_ranges_of_the_example_overlap() -> None:
    found = ranges(network(**EXTRA))
    assert len(found) == 7
    for (one, first), (other, second) in itertools.combinations(found.items(), 2):
        assert not ip_network(first).overlaps(ip_network(second)), f"{one} {first} and {other} {second}"


@pytest.mark.parametrize(
    "values",
    [
        {"pod_range": "10.128.0.0/16"},
        {"service_range": "10.64.8.0/21"},
        {"control_plane_range": "10.72.15.240/28"},
        {"direct_egress": {"subnet": "f", "range": "10.5.0.0/26"}},
        {"connector": {"name": "c", "range": "10.8.0.48/28"}},
        {"proxy_range": "10.8.0.0/23"},
        {"connector": {"name": "c", "range": "10.9.1.240/28"}, "proxy_range": "10.9.0.0/23"},
    ],
)
def test_ranges_that_overlap_are_refused(values: dict[str, Any]) -> None:
    refusals = network(**values).refusals
    assert len(refusals) == 1
    assert "Ranges overlap" in refusals[0]
    assert all(name.split("_")[0] in refusals[0] for name in values)


@pytest.mark.parametrize(
    ("values", "named"),
    [
        ({"gateway_address": "10.64.0.5"}, "gateway_address must lie in node_range"),
        ({"gateway_address": "10.128.0.1"}, "gateway_address must not be one of the first two"),
        ({"gateway_address": "10.128.15.254"}, "gateway_address must not be one of the first two"),
        ({"direct_egress": {"subnet": "f", "range": "10.8.0.0/27"}}, "direct_egress.range must be"),
        ({"direct_egress": {"subnet": "f", "range": "10.8.0.0/20"}}, "direct_egress.range must be"),
        ({"direct_egress": {"subnet": "f", "range": "10.8.0.1/26"}}, "direct_egress.range must be"),
        ({"direct_egress": None}, "direct_egress or connector must be set"),
        ({"connector": {"name": "c", "range": "10.8.1.0/27"}}, "connector.range must be a /28"),
        ({"control_plane_range": "10.0.0.0/16"}, "control_plane_range must be"),
        ({"proxy_range": "10.9.0.0/28"}, "proxy_range must be"),
        ({"node_range": "banana"}, "node_range must be a range"),
        ({"google_apis_host": "www.googleapis.com"}, "google_apis_host must be"),
        ({"google_domains": ["googleapis.com", "gcr.io"]}, "google_domains must have"),
        ({"egress_ports": [443, 80]}, "egress_ports must be"),
        ({"nat": {"min_ports": 64}}, "nat.min_ports must be a power of two"),
        ({"nat": {"addresses": 1, "min_ports": 8192, "max_ports": 16384}}, "nat.addresses must give each"),
        ({"nat": {"addresses": 1, "nodes": 64}}, "nat.addresses must give each"),
        (
            {"connector": {"name": "a-connector-for-all", "range": "10.8.1.0/28"}},
            "connector.name must have less than 21",
        ),
        ({"outbound_resolvers": ["8.8.8.8"]}, "outbound_resolvers must be private"),
        ({"outbound_resolvers": ["10.1.0.2", "172.32.0.1"]}, "outbound_resolvers must be private"),
        ({"outbound_resolvers": ["resolver.example"]}, "outbound_resolvers must be private"),
        ({"function_subnet_users": ["allUsers"]}, "function_subnet_users must be service accounts"),
    ],
)
def test_wrong_values_of_the_network_are_refused(values: dict[str, Any], named: str) -> None:
    assert any(named in refusal for refusal in network(**values).refusals)
