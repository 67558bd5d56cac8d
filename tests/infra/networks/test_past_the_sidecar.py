"""What a pod reaches that goes past its sidecar: the network stops it everywhere but at the gateway's listeners.

The bench sends such requests as real connections and knows no NetworkPolicy; its verdicts are what a pod would meet if
there were none. Here each of its cases is tried against the NetworkPolicies.
"""

from __future__ import annotations

from typing import Any

import pytest
from meshlab.kustomize import build

from tests import yaml_text
from tests.infra.networks.network_policies import Connection, Pod, allowed
from tests.infra.networks.world import GATEWAY, ROOT

_POLICIES = [dict(found.body) for found in build(ROOT / "infra/mesh/egress/network-policies/example")]
_TEAMS = ("team-x", "team-y")


def _bypasses() -> list[Any]:
    """Return sender, receiver and port of every case of the egress mesh that goes past a sidecar."""
    found = []
    for file in sorted((ROOT / "infra/policy-tests/egress").rglob("*.yaml")):
        documents = [found for found in yaml_text.read_all(file.read_text()) if isinstance(found, dict)]
        for case in (case for document in documents for case in document.get("cases", ())):
            sender = case.get("from")
            if isinstance(sender, dict) and "bypass" in sender:
                name = f"{file.stem}: {case['name']}"
                found.append(pytest.param(sender["bypass"], sender["to"], sender.get("port"), id=name))
    return found


def _pod(workload: str) -> Pod:
    namespace = workload.partition("/")[0]
    return (
        GATEWAY if namespace == GATEWAY.namespace else Pod(namespace, (("app", workload.partition("/")[2]),))
    )


@pytest.mark.parametrize(("sender", "receiver", "port"), _bypasses())
def test_only_the_gateway_and_the_own_team_can_be_reached(
    sender: str, receiver: str, port: int | None
) -> None:
    source, destination = _pod(sender), _pod(receiver)
    expected = source.namespace in _TEAMS and (
        destination == GATEWAY or destination.namespace == source.namespace
    )
    assert allowed(_POLICIES, Connection(source, destination, port or 8080)) is expected


@pytest.mark.parametrize("team", _TEAMS)
def test_a_pod_past_its_sidecar_reaches_no_host_outside(team: str) -> None:
    for port in (22, 25, 80, 443, 8443):
        assert not allowed(_POLICIES, Connection(Pod(team), "93.184.215.14", port))
