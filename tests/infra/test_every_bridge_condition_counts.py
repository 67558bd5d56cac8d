"""Each condition of the Lambda bridge, removed or made wider, fails a named case, or is proven to change nothing."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.infra.mutation.equivalents import (
    Equivalent,
    asks_by_the_hosts_own_name,
    gateway_names_the_client,
    known_to_the_gateway_alone,
    names_its_clients,
    no_endpoint_is_labelled,
    only_subsets,
    sidecars_reach_any_host,
)
from tests.infra.mutation.own import mutation_run
from tests.infra.mutation.tally import tally

INFRA = Path(__file__).parents[2] / "infra"

_RETRIES = Equivalent(
    r"VirtualService \S+: spec\.http\.\d+\.retries: removed",
    "no answer differs as long as the next hop answers at once: test_lambda_bridge.py asks for them",
)
EQUIVALENTS = {
    "gke": [
        _RETRIES,
        Equivalent(
            r"VirtualService \S+: spec\.http\.0\.timeout: removed",
            "the egress gateway writes its own limit over that of the sidecar: test_lambda_bridge.py asks for both",
        ),
        Equivalent(
            r"DestinationRule \S+/egress-gateway-for-lambda: spec\.exportTo(: every namespace|\.0: )",
            "the rule has subsets alone, which only the routes of the bridge name, and the gateway itself has no such"
            " route",
            only_subsets,
        ),
        Equivalent(
            r"DestinationRule \S+/lambda-bridge-mtls: spec\.trafficPolicy\.\S+\.tls\.sni: removed",
            "Istio then takes the request's Host, which policies and routes let be this name alone; it is written so"
            " that subjectAltNames never stands alone",
            asks_by_the_hosts_own_name,
        ),
        Equivalent(
            r"ServiceEntry \S+: spec\.location: inside",
            "Istio speaks mTLS by itself only to endpoints whose labels say that they have a sidecar",
            no_endpoint_is_labelled,
        ),
    ],
    "eks": [
        _RETRIES,
        Equivalent(
            r"AuthorizationPolicy \S+/lambda-from-gke: spec\.rules\.0\.from(: removed|\.0\.source\.principals)",
            "the Gateway has let in this one client by its certificate; test_lambda_bridge.py takes the Gateway's list"
            " away, and the policy refuses the others",
            lambda mutant, objects: (
                "selects" not in mutant.change and gateway_names_the_client(mutant, objects)
            ),
        ),
        Equivalent(
            r"Gateway \S+: spec\.servers\.0\.tls\.mode: optional",
            "Envoy demands a certificate wherever it compares the names of one",
            names_its_clients,
        ),
        Equivalent(
            r"Gateway \S+: spec\.servers\.0\.tls\.minProtocolVersion: removed",
            "every client of the policy tests speaks TLS 1.3: test_lambda_bridge.py asks for the line",
        ),
        Equivalent(
            r"ServiceEntry \S+: spec\.exportTo: every namespace",
            "sidecars of this mesh reach every host of the network, whether they know it or not; a NetworkPolicy keeps"
            " them from it",
            sidecars_reach_any_host,
        ),
        Equivalent(
            r"ServiceEntry \S+: spec\.ports: \d+ added",
            "the gateway alone sees the entry, and its routes name another port",
            known_to_the_gateway_alone,
        ),
    ],
}
KINDS = {
    "AuthorizationPolicy",
    "DestinationRule",
    "Gateway",
    "PeerAuthentication",
    "ServiceEntry",
    "VirtualService",
}


@pytest.mark.parametrize(("side", "kinds"), [("gke", {*KINDS, "Sidecar"}), ("eks", KINDS)])
def test_no_mutant_survives(side: str, kinds: set[str]) -> None:
    with mutation_run(
        INFRA / "mesh/lambda-bridge/overlays" / side,
        [INFRA / "policy-tests/lambda-bridge" / side],
        INFRA / "mesh/lambda-bridge/contract/bridge.env",
    ) as run:
        mutants = run.mutants()
        assert {mutant.kind for mutant in mutants} == kinds
        found = tally(run, mutants, EQUIVALENTS[side])
        assert run.failures() == []  # nothing that a mutant left behind killed the next ones
    print(found, *run.failed_once, sep="\n")
    assert (found.survivors, found.disproved, found.unused) == ([], [], [])
