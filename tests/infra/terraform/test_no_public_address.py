"""Nothing in either cloud has a public address, except the addresses that NAT sends from."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from tests.infra.terraform.evaluate import Plan, Reference, kind_of
from tests.infra.terraform.roots import EVERYTHING, aws, google


def public(plan: Plan) -> list[str]:
    """What of a plan can be reached from the internet, or has an address of it."""
    found = []
    nat = " ".join(
        value.address
        for router in plan.all("google_compute_router_nat").values()
        for value in router.get("nat_ips", [])
        if isinstance(value, Reference)
    )
    for address, arguments in plan.resources.items():
        kind = kind_of(address)
        found += [f"{address}: {problem}" for problem in _problems(kind, arguments, address in nat)]
    return found


def _problems(kind: str, arguments: dict[str, Any], of_nat: bool) -> list[str]:
    text = json.dumps(arguments, default=str)
    problems = []
    if (
        kind == "google_compute_address"
        and arguments.get("address_type", "EXTERNAL") != "INTERNAL"
        and not of_nat
    ):
        problems.append("a public address that NAT does not use")
    if kind in (
        "google_compute_global_address",
        "google_compute_instance",
        "aws_eip",
        "aws_internet_gateway",
    ):
        problems.append(f"{kind} has no place here")
    if kind in ("google_compute_forwarding_rule", "google_compute_region_backend_service"):
        default = "EXTERNAL" if kind.endswith("rule") else "INTERNAL"
        scheme = arguments.get("load_balancing_scheme", default)
        endpoint = scheme == "" and "google_compute_service_attachment" in str(arguments.get("target"))
        if not scheme.startswith("INTERNAL") and not endpoint:
            problems.append(f"load_balancing_scheme is {scheme!r}")
    if kind == "google_dns_managed_zone" and arguments.get("visibility", "public") != "private":
        problems.append("a public zone")
    if kind == "google_compute_subnetwork" and "EXTERNAL" in str(arguments.get("ipv6_access_type")):
        problems.append("public IPv6 addresses")
    if kind == "google_container_cluster":
        private = arguments.get("private_cluster_config", [{}])[0]
        if private.get("enable_private_nodes") is not True:
            problems.append("nodes with public addresses")
        endpoints = arguments.get("control_plane_endpoints_config", [{}])[0]
        by_address = endpoints.get("ip_endpoints_config", [{}])[0].get("enabled", True)
        if by_address and private.get("enable_private_endpoint") is not True:
            problems.append("a control plane with a public address")
    if "access_config" in text or "associate_public_ip_address" in text:
        problems.append("an interface with a public address")
    if kind == "aws_lb" and arguments.get("internal") is not True:
        problems.append("a public load balancer")
    if kind in ("aws_lambda_function_url", "aws_apigatewayv2_api", "aws_api_gateway_rest_api"):
        problems.append("the function has an address of its own")
    if kind in ("aws_vpc_security_group_ingress_rule", "aws_security_group") and re.search(
        r"0\.0\.0\.0/0|::/0", text
    ):
        problems.append("open to the internet")
    return problems


@pytest.mark.parametrize(
    "changes", [{}, EVERYTHING, {"function_egress": "connector", "connector_range": "10.8.3.0/28"}]
)
def test_google_has_no_public_address(changes: dict[str, Any]) -> None:
    plan = google(**changes)
    assert plan.refusals == []
    assert public(plan) == []


def test_aws_has_no_public_address() -> None:
    assert aws().refusals == []
    assert public(aws()) == []


BAD: dict[str, dict[str, Any]] = {
    "google_compute_address.a": {},
    "google_compute_forwarding_rule.a": {},
    "google_compute_forwarding_rule.empty": {"load_balancing_scheme": "", "target": "targetHttpsProxies/t"},
    "google_compute_region_backend_service.a": {"load_balancing_scheme": "EXTERNAL_MANAGED"},
    "google_dns_managed_zone.a": {},
    "google_container_cluster.a": {"private_cluster_config": [{"enable_private_nodes": True}]},
    "google_container_cluster.nodes": {"private_cluster_config": [{"enable_private_endpoint": True}]},
    "google_compute_subnetwork.a": {"ipv6_access_type": "EXTERNAL"},
    "google_container_node_pool.a": {"node_config": [{"network_interface": [{"access_config": [{}]}]}]},
    "aws_lb.a": {},
    "aws_lambda_function_url.a": {},
    "aws_vpc_security_group_ingress_rule.a": {"cidr_ipv4": "0.0.0.0/0"},
}  # fmt: skip


@pytest.mark.parametrize("address", BAD)
def test_a_public_address_is_noticed(address: str) -> None:
    assert public(Plan({address: BAD[address]})) != []
