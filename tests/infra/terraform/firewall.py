"""Decisions of a network firewall policy: a connection to the first rule that matches it.

The meaning of a rule's fields is that of https://cloud.google.com/firewall/docs/firewall-policies-rule-details: the
lowest priority number is asked first; a rule without targets is for every machine; source and destination must both
match; a rule for TCP without ports is for all of them.
"""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import ip_address, ip_network
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from tests.infra.terraform.evaluate import Plan

__all__ = ["Connection", "Verdict", "rules_of", "verdict"]


@dataclass(frozen=True)
class Connection:
    """The first packet of a connection, where it leaves or enters a machine.

    Attributes:
        direction: EGRESS or INGRESS.
        account: The service account of the machine that the rule is for; empty for machines without one, the function's
            among them.
        source: Its source address.
        destination: Its destination address.
        port: The destination port; 0 for protocols without ports.
        protocol: tcp, udp, icmp, ...
    """

    direction: str
    account: str
    source: str
    destination: str
    port: int
    protocol: str = "tcp"


@dataclass(frozen=True)
class Verdict:
    """What becomes of a connection.

    Attributes:
        action: allow or deny.
        rule: The name of the rule that decided; empty where none matched.
        reason: What the rule says about itself.
    """

    action: str
    rule: str
    reason: str


def rules_of(plan: Plan) -> list[dict[str, Any]]:
    """Return the rules of the one policy of a plan, in the order in which they are asked."""
    found = plan.all("google_compute_network_firewall_policy_rule").values()
    return sorted((rule for rule in found if not rule.get("disabled")), key=lambda rule: rule["priority"])


def verdict(rules: Iterable[Mapping[str, Any]], connection: Connection) -> Verdict:
    """Decide on one connection.

    Args:
        rules: The rules, in the order in which they are asked.
        connection: The connection.
    """
    for rule in rules:
        if _matches(rule, connection):
            return Verdict(rule["action"], rule["rule_name"], rule["description"])
    # The implied rules: https://cloud.google.com/firewall/docs/firewalls#default_firewall_rules
    return Verdict("allow" if connection.direction == "EGRESS" else "deny", "", "No rule matched.")


def _matches(rule: Mapping[str, Any], connection: Connection) -> bool:
    match = rule["match"][0]
    unknown = set(match) - {"src_ip_ranges", "dest_ip_ranges", "layer4_configs"}
    assert not unknown, f"{rule['rule_name']} has {unknown}, which is not known here"
    return (
        rule["direction"] == connection.direction
        and connection.account in rule.get("target_service_accounts", [connection.account])
        and _holds(match.get("src_ip_ranges"), connection.source)
        and _holds(match.get("dest_ip_ranges"), connection.destination)
        and any(_carries(layer4, connection) for layer4 in match["layer4_configs"])
    )


def _holds(ranges: list[str] | None, address: str) -> bool:
    return ranges is None or any(ip_address(address) in ip_network(one) for one in ranges)


def _carries(layer4: Mapping[str, Any], connection: Connection) -> bool:
    if layer4["ip_protocol"] == "all":
        return True
    if layer4["ip_protocol"] != connection.protocol:
        return False
    return "ports" not in layer4 or any(_in(ports, connection.port) for ports in layer4["ports"])


def _in(ports: str, port: int) -> bool:
    first, _, last = ports.partition("-")
    return int(first) <= port <= int(last or first)
