"""Each condition of the ingress, removed or made wider, fails a named policy test, or is proven to change nothing."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from meshlab.mutate.mutants import mutants_of

from tests.infra.mutation.equivalents import (
    Equivalent,
    alone_in_its_namespace,
    audience_of_one_caller,
    host_of_one_service,
    keeps_routes_from_sidecars,
    one_issuer,
    path_is_exact,
    serves_its_own_namespaces,
)
from tests.infra.mutation.own import OwnRun, mutation_run
from tests.infra.mutation.tally import tally

if TYPE_CHECKING:
    from collections.abc import Iterator

INFRA = Path(__file__).parents[2] / "infra"
NAMESPACES = ["istio-ingress", "istio-system", "orders", "user-profile"]

_POLICY = r"AuthorizationPolicy \S+: spec\.rules\.\d+"
_ROUTE = r"VirtualService \S+: spec\.http\.\d+"

EQUIVALENTS = [
    Equivalent(
        r"(AuthorizationPolicy|RequestAuthentication) \S+: spec\.selector: every workload",
        "the namespace has one workload, which the selector selects",
        alone_in_its_namespace,
    ),
    Equivalent(
        rf"{_POLICY}\.when\.\d+: request\.auth\.audiences removed|{_POLICY}\.when\.\d+\.values: any value"
        rf"|{_POLICY}\.when\.\d+\.values\.0: \S+ becomes (\*\S+|\S+\*)$",
        "the issuer's rule at this proxy admits no token without this one audience; a second caller of the issuer makes"
        " it two, and then this condition is what keeps them apart",
        audience_of_one_caller,
    ),
    Equivalent(
        rf"{_POLICY}\.from\.0\.source\.requestPrincipals\.0: \S+ becomes \*/",
        "a token counts only with an issuer that has a rule at this proxy, and it has one",
        one_issuer,
    ),
    Equivalent(
        rf"{_ROUTE}\.match\.\d+\.method: removed",
        "the gateway's policies refuse every other method of the host, and all its routes lead to one service",
        host_of_one_service,
    ),
    Equivalent(
        rf"{_ROUTE}\.match\.\d+\.uri: (removed|\S+ becomes a prefix)$",
        "the path is a whole one, and the gateway's policies admit no other of the host with the method",
        path_is_exact,
    ),
    Equivalent(
        r"VirtualService \S+: spec\.(exportTo: every namespace|gateways: mesh added)",
        "bound to the gateway alone and visible to its namespace alone; each of the two keeps sidecars out by itself",
        keeps_routes_from_sidecars,
    ),
    Equivalent(
        r"Gateway \S+: spec\.servers\.0\.hosts\.\d+: \S+ from every namespace",
        "no VirtualService of the manifests binds to the gateway from another namespace: test_other_shapes.py adds one",
        serves_its_own_namespaces,
    ),
    Equivalent(
        rf"{_ROUTE}\.(timeout|retries): removed",
        "no answer differs as long as the application answers at once: test_manifests.py asks for both",
    ),
    Equivalent(
        r"Gateway \S+: spec\.servers\.0\.tls\.credentialName: another",
        "the bench has a certificate for every credential that is named: test_manifests.py asks for the name",
    ),
    Equivalent(
        r"Gateway \S+: spec\.servers\.0\.tls\.minProtocolVersion: removed",
        "every client of the policy tests speaks TLS 1.3: test_gateway_limits.py sends the others",
    ),
]


@pytest.fixture(scope="module")
def run() -> Iterator[OwnRun]:
    with mutation_run(
        INFRA / "mesh/overlays/example", [INFRA / "policy-tests/ingress"], INFRA / "contract.env"
    ) as started:
        yield started


def test_no_mutant_survives(run: OwnRun) -> None:
    found = tally(run, run.mutants(), EQUIVALENTS)
    assert run.failures() == []  # nothing that a mutant left behind killed the next ones
    print(found, *run.failed_once, sep="\n")
    assert (found.survivors, found.disproved, found.unused) == ([], [], [])


def test_cases_and_not_proofs_kill_most_mutants(run: OwnRun) -> None:
    for namespace in NAMESPACES:
        mutants = [mutant for mutant in run.mutants() if mutant.namespace == namespace]
        proven = [
            mutant for mutant in mutants if any(known.covers(mutant, run.bodies) for known in EQUIVALENTS)
        ]
        assert len(proven) < len(mutants) / 2, namespace


def test_every_object_that_decides_a_request_is_mutated(run: OwnRun) -> None:
    assert {mutant.namespace for mutant in run.mutants()} == set(NAMESPACES)
    kinds = {one.kind for one in run.objects.manifests if any(mutants_of(one))}
    assert kinds == {
        "AuthorizationPolicy",
        "Gateway",
        "PeerAuthentication",
        "RequestAuthentication",
        "VirtualService",
    }


def test_an_equivalent_whose_proof_does_not_hold_covers_nothing(run: OwnRun) -> None:
    mutant = next(mutant for mutant in run.mutants() if mutant.change == "request.auth.audiences removed")
    rule = EQUIVALENTS[1]
    shared = [one for one in run.mutants() if one.change == mutant.change and one.name == "caller-reports"]
    assert shared
    assert not any(rule.covers(one, run.bodies) for one in shared)
