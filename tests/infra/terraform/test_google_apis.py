"""DNS, route, firewall, NetworkPolicies, environment and contract agree on one virtual address for Google's APIs."""

from __future__ import annotations

from ipaddress import IPv4Address, ip_address, ip_network
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from tests.infra.terraform.conftest import ROOT
from tests.infra.terraform.example import APPLICATIONS, GATEWAYS, contract, network
from tests.infra.terraform.firewall import Connection, rules_of, verdict

if TYPE_CHECKING:
    from tests.infra.terraform.evaluate import Plan

NAMES = [
    "bigquery.googleapis.com",
    "oauth2.googleapis.com",
    "private.googleapis.com",
    "gcr.io",
    "eu.gcr.io",
    "europe-west1-docker.pkg.dev",
]
RANGES = {"private": "199.36.153.8/30", "restricted": "199.36.153.4/30"}
NETWORK_POLICIES = ROOT / "infra/mesh/egress/network-policies/example"


@pytest.fixture(scope="module")
def plan() -> Plan:
    return network()


def environment() -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load((ROOT / "infra/mesh/environments/example.yaml").read_text())
    return found


def resolve(plan: Plan, name: str) -> list[IPv4Address]:
    """Return the addresses of a name as Cloud DNS finds them: the longest zone, the exact name before a wildcard."""
    zones = {zone["dns_name"]: zone["name"] for zone in plan.all("google_dns_managed_zone").values()}
    zone = max((one for one in zones if f".{name}.".endswith(f".{one}")), key=len)
    records = [
        record
        for record in plan.all("google_dns_record_set").values()
        if record["managed_zone"] == zones[zone]
    ]
    for wanted in (f"{name}.", f"*.{zone}"):
        for record in records:
            if record["name"] == wanted:
                if record["type"] == "CNAME":
                    return resolve(plan, record["rrdatas"][0].removesuffix("."))
                return [IPv4Address(address) for address in record["rrdatas"]]
    raise AssertionError(f"{name} is in no record of {zone}")


def routes_to(plan: Plan, address: str, tags: set[str]) -> list[str]:
    """Return the routes that a machine with network tags has to an address."""
    return [
        route["name"]
        for route in plan.all("google_compute_route").values()
        if ip_address(address) in ip_network(route["dest_range"])
        and ("tags" not in route or tags & set(route["tags"]))
    ]


@pytest.mark.parametrize("choice", RANGES)
def test_names_routes_and_firewall_follow_one_choice(choice: str) -> None:
    plan = network(google_apis_host=f"{choice}.googleapis.com")
    virtual = set(ip_network(RANGES[choice]))
    rules = rules_of(plan)
    names = [name for name in NAMES if name != "private.googleapis.com"] + [f"{choice}.googleapis.com"]
    for name in names:
        addresses = resolve(plan, name)
        assert set(addresses) == virtual, name
        for address in map(str, addresses):
            assert routes_to(plan, address, set()), f"no route to {name}"
            for account, source in (
                (APPLICATIONS, "10.64.0.10"),
                (GATEWAYS, "10.128.0.10"),
                ("", contract()["FUNCTION_EGRESS_RANGE"].replace(".0/", ".4/").partition("/")[0]),
            ):
                found = verdict(rules, Connection("EGRESS", account, source, address, 443))
                assert found.action == "allow", f"{name} from {account or source}"
    (other,) = set(RANGES.values()) - {RANGES[choice]}
    assert not routes_to(plan, other.partition("/")[0], set())
    assert plan.outputs["google_apis_range"] == RANGES[choice]


def test_the_environment_and_the_contract_name_the_same_choice() -> None:
    assert contract()["GOOGLE_APIS_HOST"] == f"{environment()['googleApis']}.googleapis.com"


def test_network_policies_open_the_same_range(plan: Plan) -> None:
    vip = ip_network("199.36.153.0/24")
    opened = {
        block["cidr"]
        for path in NETWORK_POLICIES.glob("*.yaml")
        for policy in yaml.safe_load_all(path.read_text())
        for rule in (policy.get("spec") or {}).get("egress") or []
        for peer in rule.get("to") or []
        if (block := peer.get("ipBlock")) and ":" not in block["cidr"]
        if ip_address(block["cidr"].partition("/")[0]) in vip
    }
    assert opened == {plan.outputs["google_apis_range"]}


def test_no_machine_without_the_tag_has_a_route_to_the_internet(plan: Plan) -> None:
    tag = plan.outputs["internet_tag"]
    assert routes_to(plan, "93.184.216.34", set()) == []
    assert routes_to(plan, "93.184.216.34", {tag}) != []
    (found,) = plan.all("google_compute_network").values()
    assert found["delete_default_routes_on_create"] is True


def test_no_subnet_has_ipv6(plan: Plan) -> None:
    subnets = plan.all("google_compute_subnetwork").values()
    assert {subnet["stack_type"] for subnet in subnets} == {"IPV4_ONLY"}


def test_every_subnet_reaches_the_virtual_address_and_logs_its_flows(plan: Plan) -> None:
    for address, subnet in plan.all("google_compute_subnetwork").items():
        assert subnet["private_ip_google_access"] is True, address
        assert subnet["log_config"], address


def test_network_policies_name_the_subnet_of_the_control_plane(plan: Plan) -> None:
    (subnet,) = [
        one for address, one in plan.resources.items() if address.endswith("subnetwork.control_plane")
    ]
    assert environment()["controlPlane"]["apiServer"] == [subnet["ip_cidr_range"]]


def test_firewall_and_network_policy_agree_on_what_is_not_the_internet(plan: Plan) -> None:
    policies = yaml.safe_load_all((NETWORK_POLICIES / "istio-egress.yaml").read_text())
    (excepted,) = [
        peer["ipBlock"]["except"]
        for policy in policies
        if policy["metadata"]["name"] == "internet"
        for peer in policy["spec"]["egress"][0]["to"]
        if peer["ipBlock"]["cidr"] == "0.0.0.0/0"
    ]
    rule = plan.resources['google_compute_network_firewall_policy_rule.this["gateway-to-private"]']
    assert rule["match"][0]["dest_ip_ranges"] == excepted
