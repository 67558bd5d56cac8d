"""Case files: for each team what is allowed and each near miss, and for all teams hosts with a wrong certificate."""

from __future__ import annotations

from typing import TYPE_CHECKING

from meshgen.egress.clients import (
    CLIENT_PORT,
    OUTSIDER,
    STRANGER,
    account_of,
    client_of,
    client_workloads,
)
from meshgen.egress.gateway import host_access
from meshgen.egress.gateway_cases import around_the_sidecar, other_team, outsider
from meshgen.egress.google_cases import google
from meshgen.egress.host_cases import originated, passed_through
from meshgen.egress.probe import NO_POLICY, UNKNOWN_HOST, Case, Probe, case

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from meshgen.egress.gateway import Gateway
    from meshgen.egress.teams import Team
    from meshgen.generated import Object

__all__ = ["team_cases", "upstream_cases"]

_UNKNOWN_ADDRESS = "203.0.113.9:5432"  # RFC 5737: no host of the internet has it


def team_cases(gateway: Gateway, team: Team, teams: Sequence[Team]) -> Object:
    """Return the case file of one team.

    Args:
        gateway: The gateway.
        team: The team.
        teams: All teams.
    """
    cases = [
        *_own_pods(team),
        *_outside_the_registry(team),
        *_at_the_gateway_itself(gateway, team, teams),
    ]
    for access in team.hosts:
        probe = Probe(gateway, team, access)
        if not access.service_accounts or account_of(team) in access.service_accounts:
            cases += originated(probe) if probe.originated else passed_through(probe)
            cases += [*around_the_sidecar(probe), *outsider(probe)]
        cases += [found for other in _neighbours(team, teams) for found in other_team(probe, other)]
    return {
        "workloads": client_workloads(teams),
        "authorities": [STRANGER],
        "callers": {"team": {"workload": client_of(team)}, "outsider": {"workload": OUTSIDER}},
        "defaults": {"from": "team"},
        "cases": [*cases, *google(team)],
    }


def upstream_cases(gateway: Gateway, teams: Sequence[Team]) -> dict[str, Object]:
    """Return, by name, the case files with hosts whose certificates must be refused."""
    hosts = [host for host, access in host_access(teams).items() if access.tls == "originate"]
    if not hosts:
        return {}
    shown = {
        "upstreams-of-an-unknown-authority": {"authority": STRANGER},
        "upstreams-of-another-name": {"authority": "internet", "dns": [UNKNOWN_HOST]},
    }
    probes = [Probe(gateway, team, access) for team in teams for access in team.hosts]
    refused = {"status": 503, "proxy": gateway.workload, "says": "certificate verify failed"}
    return {
        name: {
            "workloads": client_workloads(teams),
            "authorities": [STRANGER],
            "apps": {host: {"certificate": certificate} for host in hosts},
            "cases": [
                case(
                    f"{probe.team.namespace} to {probe.host}: the gateway refuses the host's certificate",
                    probe.request,
                    refused,
                    {"workload": probe.client},
                )
                for probe in probes
                if probe.originated
            ],
        }
        for name, certificate in shown.items()
    }


def _neighbours(team: Team, teams: Sequence[Team]) -> list[Team]:
    """Return the team after this one: near misses between every two teams would grow with their square."""
    following = teams[(teams.index(team) + 1) % len(teams)]
    return [following] if following is not team else []


def _own_pods(team: Team) -> Iterator[Case]:
    """Return what the mesh does for the team's own pods before anything is said about them."""
    client = client_of(team)
    namespace, _, name = client.partition("/")
    request = f"GET http://{name}.{namespace}/"

    def sender(mode: str) -> Case:
        return {"bypass": OUTSIDER, "to": client, "mode": mode}

    yield case(
        "plaintext to a pod of the team", request, {"refused": True, "proxy": client}, sender("plaintext")
    )
    yield case(
        "a workload of no team, at a pod of the team",
        request,
        {"status": 403, "proxy": client, "policy": NO_POLICY},
        sender("mtls"),
    )
    yield case(
        "a workload of no team, at a pod of the team, by its own sidecar",
        f"GET http://{name}.{namespace}:{CLIENT_PORT}/",
        {"status": 403, "proxy": client, "policy": NO_POLICY},
        {"workload": OUTSIDER},
    )


def _at_the_gateway_itself(gateway: Gateway, team: Team, teams: Sequence[Team]) -> Iterator[Case]:
    """Return what the team gets that asks for the gateway by the gateway's own name."""
    client = client_of(team)
    yield case("the gateway by its own name", f"GET http://{gateway.host}/", {"status": 503, "proxy": client})
    passed = [host for host, access in host_access(teams).items() if access.tls == "passthrough"]
    for host in passed[:1]:
        yield case(
            f"the gateway by its own name, over TLS, with the server name {host}",
            {"tls": f"{gateway.host}:443", "sni": host},
            {"refused": True, "proxy": client},
        )


def _outside_the_registry(team: Team) -> Iterator[Case]:
    """Return what no team may reach."""
    client = client_of(team)
    unknown, refused = {"status": 502, "proxy": client}, {"refused": True, "proxy": client}
    namespace, _, name = OUTSIDER.partition("/")
    yield case(
        "a service of another namespace, which the team's sidecars do not know",
        f"GET http://{name}.{namespace}:{CLIENT_PORT}/",
        unknown,
    )
    yield case("a host that is not registered", f"GET http://{UNKNOWN_HOST}/", unknown)
    yield case("a host that is not registered, over TLS", {"tls": f"{UNKNOWN_HOST}:443"}, refused)
    yield case("an address that is not registered, over TCP", {"tcp": _UNKNOWN_ADDRESS}, refused)
