"""Each condition of the egress mesh, removed or made wider, fails a named case, or is proven to change nothing."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from meshlab.kustomize import build

from tests.infra.mutation.equivalents import (
    Equivalent,
    a_route_takes_every_request,
    asks_by_the_hosts_own_name,
    denied_by_the_root_namespace,
    every_route_names_a_subset,
    known_to_the_gateway_alone,
    leads_to_exact_servers,
    no_endpoint_is_labelled,
    one_port_speaks_http,
    one_static_address,
    policies_name_whole_servers,
    rule_of,
    speaks_http,
    tls_has_its_own_port,
)
from tests.infra.mutation.own import mutation_run
from tests.infra.mutation.tally import tally

if TYPE_CHECKING:
    from meshlab.mutate.mutants import Mutant

    from tests.infra.mutation.equivalents import Objects

INFRA = Path(__file__).parents[2] / "infra"
OBJECTS = build(INFRA / "mesh/egress/overlays/example")
KINDS = {
    "AuthorizationPolicy",
    "DestinationRule",
    "Gateway",
    "MeshConfig",
    "PeerAuthentication",
    "ServiceEntry",
    "Sidecar",
    "VirtualService",
}
_RULE = r"AuthorizationPolicy istio-egress/\S+: spec\.rules\.\d+"
_TEAM_ENTRY = r"ServiceEntry team-\S+/(?!google-apis|metadata-server)\S+:"

EQUIVALENTS = [
    Equivalent(
        r"AuthorizationPolicy istio-egress/allow-nothing: the object: removed",
        "the root namespace has the same policy for every workload; layers/without-allow-nothing takes both away",
        denied_by_the_root_namespace,
    ),
    Equivalent(
        rf"{_RULE}\.to\.0\.operation\.ports: removed",
        "the rule names methods, which TCP does not have, and one port of the gateway speaks HTTP",
        one_port_speaks_http,
    ),
    Equivalent(
        rf"{_RULE}\.(to: removed|when\.0|when: removed)(?!: request\.headers)",
        "one server of the gateway passes TLS through, and its filter chain takes this server name alone;"
        " test_egress_policies.py adds a second host, and then the condition is what keeps two teams apart",
        lambda mutant, objects: _has_server_names(mutant, objects) and tls_has_its_own_port(mutant, objects),
    ),
    Equivalent(
        r"Gateway \S+: spec\.servers\.\d+\.hosts\.0: \S+ becomes \*\.",
        "the policies of the gateway refuse every other server name, and a connection that is refused shows no reason",
        policies_name_whole_servers,
    ),
    Equivalent(
        r"DestinationRule istio-egress/\S+: spec\.trafficPolicy\.tls\.sni: removed",
        "Istio then takes the request's Host, which policies and routes let be this name alone",
        asks_by_the_hosts_own_name,
    ),
    Equivalent(
        r"DestinationRule team-\S+: spec\.trafficPolicy\.tls\.mode: SIMPLE",
        "every route to the gateway names a subset, which has TLS of its own; the gateway has no server for a"
        " connection in plaintext or by another name",
        every_route_names_a_subset,
    ),
    Equivalent(
        r"ServiceEntry istio-egress/\S+: spec\.ports: \d+ added",
        "the gateway alone sees the entry, and its routes name another port",
        known_to_the_gateway_alone,
    ),
    Equivalent(
        r"ServiceEntry \S+: spec\.location: inside",
        "Istio speaks mTLS by itself only to endpoints whose labels say that they have a sidecar",
        no_endpoint_is_labelled,
    ),
    Equivalent(
        rf"{_TEAM_ENTRY} the object: removed$",
        "the team's VirtualService takes every HTTP request for the host; a sidecar has TLS ports of known hosts alone",
        lambda mutant, objects: speaks_http(mutant, objects) and a_route_takes_every_request(mutant, objects),
    ),
    Equivalent(
        rf"{_TEAM_ENTRY} (spec\.endpoints: removed|spec\.resolution: NONE)$",
        "the team's VirtualService takes every request for the host on the entry's only port, so the entry's own"
        " endpoints get none",
        a_route_takes_every_request,
    ),
    Equivalent(
        rf"{_TEAM_ENTRY} spec\.hosts\.\d+: \S+ becomes \*",
        "what the VirtualService does not take leads to the gateway, whose servers take whole names alone",
        leads_to_exact_servers,
    ),
    Equivalent(
        r"ServiceEntry team-\S+/metadata-server: spec\.resolution: NONE",
        "the bench names a server outside the mesh by the host asked for, so no verdict can distinguish its addresses;"
        " test_the_metadata_server_is_one_address compares them",
        one_static_address,
    ),
    Equivalent(
        r"VirtualService \S+: spec\.http\.\d+\.retries: removed",
        "no answer differs as long as the host is reached at once: test_retries_are_written asks for them",
    ),
]


def _has_server_names(mutant: Mutant, objects: Objects) -> bool:
    rule = rule_of(mutant, objects)
    return any(condition["key"] == "connection.sni" for condition in rule.get("when", ()))


def test_no_mutant_survives() -> None:
    with mutation_run(
        INFRA / "mesh/egress/overlays/example",
        [INFRA / "policy-tests/egress/teams"],
        INFRA / "contract.env",
        INFRA / "mesh/platform/mesh-config.yaml",
    ) as run:
        mutants = run.mutants()
        assert {mutant.kind for mutant in mutants} == KINDS
        found = tally(run, mutants, EQUIVALENTS)
        assert run.failures() == []  # nothing that a mutant left behind killed the next ones
    print(found, *run.failed_once, sep="\n")
    assert (found.survivors, found.disproved, found.unused) == ([], [], [])


def test_the_metadata_server_is_one_address() -> None:
    entries = [
        found.body["spec"]
        for found in OBJECTS
        if (found.kind, found.name) == ("ServiceEntry", "metadata-server")
    ]
    assert [(spec["resolution"], spec["addresses"], spec["endpoints"]) for spec in entries] == [
        ("STATIC", ["169.254.169.254"], [{"address": "169.254.169.254"}])
    ]


def test_retries_are_written() -> None:
    routes = [
        route
        for found in OBJECTS
        if found.kind == "VirtualService" and found.namespace == "istio-egress"
        for route in found.body["spec"].get("http", ())
    ]
    assert routes
    assert all(
        route["retries"] == {"attempts": 2, "retryOn": "connect-failure,refused-stream"} for route in routes
    )
