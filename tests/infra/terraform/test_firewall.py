"""Who may open a connection to whom, by the firewall policy of the example. Beside allowed ones stand denied ones."""

from __future__ import annotations

import copy
from ipaddress import ip_network
from typing import Any

import pytest
from meshgen.networks.environment import read_teams

from tests.infra.terraform.conftest import ROOT
from tests.infra.terraform.example import APPLICATIONS, GATEWAYS, contract, network
from tests.infra.terraform.firewall import Connection, rules_of, verdict

NODE, POD, OTHER_NODE, OTHER_POD = "10.128.0.10", "10.64.0.10", "10.128.0.11", "10.64.3.7"
CONTROL_PLANE, GATEWAY = "10.5.0.2", contract()["GKE_GATEWAY_ADDRESS"]
CALLERS = ip_network(contract()["FUNCTION_EGRESS_RANGE"])
FUNCTION, NEIGHBOUR = str(CALLERS[4]), str(CALLERS.broadcast_address + 1)
GOOGLE, OTHER_GOOGLE, DIRECT_PATH = "199.36.153.8", "199.36.153.4", "34.126.0.1"
INTERNET, INTERNET6 = "93.184.216.34", "2606:2800:220:1::1"
PEERED, PROBE, LEGACY_PROBE = "10.200.0.1", "35.191.0.1", "209.85.152.1"


def out(account: str, source: str, destination: str, port: int, protocol: str = "tcp") -> Connection:
    return Connection("EGRESS", account, source, destination, port, protocol)


def into(account: str, source: str, destination: str, port: int, protocol: str = "tcp") -> Connection:
    return Connection("INGRESS", account, source, destination, port, protocol)


# What is allowed, by the rule that allows it, and near misses that are denied.
CASES: dict[str, tuple[list[Connection], list[Connection]]] = {
    "nodes-to-cluster": (
        [
            out(APPLICATIONS, NODE, OTHER_NODE, 10250),
            out(APPLICATIONS, POD, OTHER_POD, 8080),
            out(GATEWAYS, POD, OTHER_POD, 53, "udp"),
        ],
        [
            out("", NODE, OTHER_NODE, 10250),
            out("other@example-project.iam.gserviceaccount.com", NODE, OTHER_POD, 8080),
            out(APPLICATIONS, POD, PEERED, 8080),
            out(APPLICATIONS, POD, FUNCTION, 443),
        ],
    ),
    "nodes-to-control-plane": (
        [
            out(APPLICATIONS, NODE, CONTROL_PLANE, 443),
            out(GATEWAYS, NODE, CONTROL_PLANE, 8132),
        ],
        [
            out(APPLICATIONS, NODE, CONTROL_PLANE, 22),
            out("", FUNCTION, CONTROL_PLANE, 443),
            out(APPLICATIONS, NODE, "10.5.0.16", 443),
        ],
    ),
    "nodes-to-google-apis": (
        [out(APPLICATIONS, POD, GOOGLE, 443), out(GATEWAYS, NODE, GOOGLE, 443)],
        [
            out(APPLICATIONS, POD, GOOGLE, 80),
            out(APPLICATIONS, POD, GOOGLE, 443, "udp"),
            out(APPLICATIONS, POD, OTHER_GOOGLE, 443),
            out(APPLICATIONS, POD, DIRECT_PATH, 443),
            out("", NODE, GOOGLE, 443),
        ],
    ),
    "gateway-to-internet": (
        [out(GATEWAYS, NODE, INTERNET, 443)],
        [
            out(APPLICATIONS, NODE, INTERNET, 443),
            out(APPLICATIONS, POD, INTERNET, 443),
            out("", FUNCTION, INTERNET, 443),
            out(GATEWAYS, NODE, INTERNET, 80),
            out(GATEWAYS, NODE, INTERNET, 22),
            out(GATEWAYS, NODE, INTERNET, 443, "udp"),
            out(GATEWAYS, NODE, INTERNET6, 443),
            out(GATEWAYS, NODE, PEERED, 443),
            out(GATEWAYS, NODE, "172.16.0.1", 443),
            out(GATEWAYS, NODE, "192.168.0.1", 443),
            out(GATEWAYS, NODE, "100.64.0.1", 443),
        ],
    ),
    "function-to-gateway": (
        [out("", FUNCTION, GATEWAY, 443)],
        [
            out("", FUNCTION, GATEWAY, 80),
            out("", FUNCTION, NODE, 443),
            out("", FUNCTION, POD, 8443),
            out("", NEIGHBOUR, GATEWAY, 443),
        ],
    ),
    "function-to-google-apis": (
        [out("", FUNCTION, GOOGLE, 443)],
        [
            out("", FUNCTION, GOOGLE, 80),
            out("", FUNCTION, OTHER_GOOGLE, 443),
            out("", NEIGHBOUR, GOOGLE, 443),
        ],
    ),
    "function-to-nodes": (
        [into(APPLICATIONS, FUNCTION, GATEWAY, 443)],
        [
            into(APPLICATIONS, FUNCTION, NODE, 443),
            into(APPLICATIONS, FUNCTION, GATEWAY, 15021),
            into(APPLICATIONS, FUNCTION, POD, 8443),
            into(GATEWAYS, FUNCTION, GATEWAY, 443),
            into(APPLICATIONS, NEIGHBOUR, GATEWAY, 443),
            into(APPLICATIONS, PEERED, GATEWAY, 443),
            into(APPLICATIONS, INTERNET, GATEWAY, 443),
        ],
    ),
    "health-checks-to-nodes": (
        [into(APPLICATIONS, PROBE, GATEWAY, 30123), into(APPLICATIONS, "130.211.0.1", GATEWAY, 32767)],
        [
            into(APPLICATIONS, PROBE, GATEWAY, 443),
            into(APPLICATIONS, PROBE, NODE, 10250),
            into(GATEWAYS, PROBE, GATEWAY, 30123),
            into(APPLICATIONS, LEGACY_PROBE, GATEWAY, 30123),
        ],
    ),
    "cluster-to-nodes": (
        [into(APPLICATIONS, OTHER_POD, POD, 8080), into(GATEWAYS, OTHER_NODE, NODE, 10250)],
        [
            into("", OTHER_POD, POD, 8080),
            into(APPLICATIONS, PEERED, POD, 8080),
            into(APPLICATIONS, CONTROL_PLANE, POD, 15017),
            into(APPLICATIONS, "2600:1900::1", NODE, 22),
            into(APPLICATIONS, "35.235.240.1", NODE, 22),
        ],
    ),
}


@pytest.fixture(scope="module")
def rules() -> list[dict[str, Any]]:
    return rules_of(network())


@pytest.mark.parametrize("name", CASES)
def test_a_rule_allows_what_it_is_for(rules: list[dict[str, Any]], name: str) -> None:
    for connection in CASES[name][0]:
        found = verdict(rules, connection)
        assert (found.action, found.rule) == ("allow", name), f"{connection}: {found}"


@pytest.mark.parametrize("name", CASES)
def test_what_is_near_is_denied(rules: list[dict[str, Any]], name: str) -> None:
    for connection in CASES[name][1]:
        found = verdict(rules, connection)
        assert found.action == "deny", f"{connection}: {found}"
        assert found.rule, "a rule denies and logs it, and not an implied one that does not"


def test_every_rule_that_allows_has_cases(rules: list[dict[str, Any]]) -> None:
    assert {rule["rule_name"] for rule in rules if rule["action"] == "allow"} == set(CASES)


def test_every_rule_logs(rules: list[dict[str, Any]]) -> None:
    assert [rule["rule_name"] for rule in rules if not rule["enable_logging"]] == []


def test_two_rules_never_have_one_priority() -> None:
    for plan in (
        network(),
        network(connector={"name": "c", "range": "10.9.1.0/28"}),
        network(connector={"name": "c", "range": "10.9.1.0/28"}, dataflow_worker_account="d@p"),
    ):
        priorities = [rule["priority"] for rule in rules_of(plan)]
        assert len(priorities) == len(set(priorities))
        assert max(priorities) < 65535, "65535 is the priority of implied rules"


WIDER: list[tuple[str, str, Any]] = [
    ("nodes-to-cluster", "dest_ip_ranges", ["10.0.0.0/8"]),
    ("nodes-to-control-plane", "dest_ip_ranges", ["10.5.0.0/16"]),
    ("nodes-to-google-apis", "dest_ip_ranges", ["199.36.153.0/24"]),
    ("nodes-to-google-apis", "layer4_configs", [{"ip_protocol": "tcp"}]),
    ("gateway-to-internet", "layer4_configs", [{"ip_protocol": "all"}]),
    ("function-to-gateway", "dest_ip_ranges", ["10.128.0.0/20"]),
    ("function-to-gateway", "src_ip_ranges", ["10.8.0.0/16"]),
    ("function-to-google-apis", "layer4_configs", [{"ip_protocol": "tcp"}]),
    ("function-to-nodes", "dest_ip_ranges", None),
    ("function-to-nodes", "src_ip_ranges", None),
    ("health-checks-to-nodes", "layer4_configs", [{"ip_protocol": "all"}]),
    ("health-checks-to-nodes", "src_ip_ranges", ["35.191.0.0/16", "130.211.0.0/22", "209.85.152.0/22"]),
    ("cluster-to-nodes", "src_ip_ranges", ["10.0.0.0/8"]),
]


def _outcome(rules: list[dict[str, Any]]) -> list[str]:
    return [verdict(rules, one).action for allowed, denied in CASES.values() for one in (*allowed, *denied)]


def test_every_rule_is_needed_by_a_case(rules: list[dict[str, Any]]) -> None:
    expected = _outcome(rules)
    # Denying rules before the last ones, and the last ones: without them something is allowed, or denied without a log.
    for rule in rules:
        if rule["rule_name"] in ("deny-ingress-ipv4", "deny-ingress-ipv6"):
            continue  # what comes in is denied by the implied rule too; these two log it
        assert _outcome([one for one in rules if one is not rule]) != expected, rule["rule_name"]


@pytest.mark.parametrize(("name", "field", "value"), WIDER)
def test_a_wider_rule_is_noticed(
    rules: list[dict[str, Any]], name: str, field: str, value: list[Any] | None
) -> None:
    changed = copy.deepcopy(rules)
    match = next(rule for rule in changed if rule["rule_name"] == name)["match"][0]
    match.pop(field) if value is None else match.update({field: value})
    assert _outcome(changed) != _outcome(rules)


@pytest.mark.parametrize("name", [name for name in CASES if not name.startswith("function-to-g")])
def test_a_rule_without_accounts_is_noticed(rules: list[dict[str, Any]], name: str) -> None:
    changed = copy.deepcopy(rules)
    del next(rule for rule in changed if rule["rule_name"] == name)["target_service_accounts"]
    assert _outcome(changed) != _outcome(rules)


def test_a_connector_reaches_what_the_function_does_and_its_platform_alone() -> None:
    machine = "10.9.1.4"
    rules = rules_of(network(direct_egress=None, connector={"name": "connector", "range": "10.9.1.0/28"}))
    allowed = {
        out("", machine, GATEWAY, 443): "function-to-gateway",
        out("", machine, GOOGLE, 443): "function-to-google-apis",
        out("", machine, "35.199.224.1", 665, "udp"): "connector-to-serverless",
        into("", "35.199.224.1", machine, 667): "serverless-to-connector",
        into("", PROBE, machine, 667): "health-checks-to-connector",
        into(APPLICATIONS, machine, GATEWAY, 443): "function-to-nodes",
    }
    assert {one: verdict(rules, one).rule for one in allowed} == allowed
    denied = [
        out("", machine, INTERNET, 443),
        out("", machine, "35.199.224.1", 443),
        into("", "35.199.224.1", machine, 443),
        into("", PROBE, machine, 22),
        into("", "108.170.220.1", machine, 667),
        into("", NODE, machine, 667),
        into(APPLICATIONS, FUNCTION, GATEWAY, 443),
        into(APPLICATIONS, "35.199.224.1", NODE, 667),
    ]
    assert {verdict(rules, one).action for one in denied} == {"deny"}


def test_workers_of_dataflow_reach_each_other_on_two_ports_and_beyond_that_what_the_function_does() -> None:
    workers = "meshpass-dataflow@example-project.iam.gserviceaccount.com"
    other = str(CALLERS[9])
    rules = rules_of(network(dataflow_worker_account=workers))
    allowed = {
        out(workers, FUNCTION, other, 12345): "dataflow-to-dataflow",
        out(workers, FUNCTION, other, 12346): "dataflow-to-dataflow",
        into(workers, other, FUNCTION, 12345): "dataflow-from-dataflow",
        out(workers, FUNCTION, GATEWAY, 443): "function-to-gateway",
        out(workers, FUNCTION, GOOGLE, 443): "function-to-google-apis",
    }
    assert {one: verdict(rules, one).rule for one in allowed} == allowed
    denied = [
        out(workers, FUNCTION, other, 22),
        out(workers, FUNCTION, other, 12347),
        out(workers, FUNCTION, other, 12345, "udp"),
        out(workers, FUNCTION, INTERNET, 443),
        out(workers, FUNCTION, NODE, 443),
        out(workers, FUNCTION, NEIGHBOUR, 12345),
        into(workers, other, FUNCTION, 22),
        into(workers, NEIGHBOUR, FUNCTION, 12345),
        into(workers, "35.235.240.1", FUNCTION, 22),
        # Instances of the function lie in the same subnet, and have no such account.
        out("", FUNCTION, other, 12345),
        into("", other, FUNCTION, 12345),
    ]
    assert {verdict(rules, one).action for one in denied} == {"deny"}
    assert [rule for rule in rules_of(network()) if "dataflow" in rule["rule_name"]] == []


def test_classic_rules_come_after_the_policy() -> None:
    (found,) = network().all("google_compute_network").values()
    assert found["network_firewall_policy_enforcement_order"] == "BEFORE_CLASSIC_FIREWALL"
    assert network().all("google_compute_firewall") == {}, (
        "a classic rule would be no part of what is evaluated here"
    )


def test_the_egress_gateway_reaches_the_ports_of_the_teams_hosts(rules: list[dict[str, Any]]) -> None:
    ports = {port for team in read_teams(ROOT) for port in team.ports}
    assert ports
    for port in ports:
        assert verdict(rules, out(GATEWAYS, NODE, INTERNET, port)).rule == "gateway-to-internet", port
