"""What a request meets that leaves the mesh: ServiceEntries, TLS that the sidecar starts, and unknown hosts."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from meshlab.istio import WorkloadRef
from meshlab.istio.read.mesh_config import MeshSettings

from tests.lab.istio.sidecar_walks import CLIENT, Walks, namespace, service, workload

if TYPE_CHECKING:
    from collections.abc import Iterator

TEAM = WorkloadRef("team", "client")

ENTRIES = """
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: good, namespace: shop}
spec:
  hosts: [good.example]
  resolution: DNS
  ports: [{number: 80, name: http, protocol: HTTP, targetPort: 443}, {number: 443, name: tls, protocol: TLS}]
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: good, namespace: shop}
spec:
  host: good.example
  trafficPolicy: {portLevelSettings: [{port: {number: 80}, tls: {mode: SIMPLE}}]}
---
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: rogue, namespace: shop}
spec:
  hosts: [rogue.example]
  resolution: DNS
  ports: [{number: 80, name: http, protocol: HTTP, targetPort: 443}]
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: rogue, namespace: shop}
spec:
  host: rogue.example
  trafficPolicy: {tls: {mode: SIMPLE}}
---
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: careless, namespace: shop}
spec:
  hosts: [careless.example]
  resolution: DNS
  ports: [{number: 80, name: http, protocol: HTTP, targetPort: 443}]
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: careless, namespace: shop}
spec:
  host: careless.example
  trafficPolicy: {tls: {mode: SIMPLE, sni: careless.example}}
---
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: pinned, namespace: shop}
spec:
  hosts: [pinned.example]
  resolution: DNS
  subjectAltNames: [elsewhere.example]
  ports: [{number: 80, name: http, protocol: HTTP, targetPort: 443}]
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: pinned, namespace: shop}
spec:
  host: pinned.example
  trafficPolicy: {tls: {mode: SIMPLE, sni: pinned.example}}
---
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: partner, namespace: shop}
spec:
  hosts: [partner.example]
  resolution: DNS
  ports: [{number: 80, name: http, protocol: HTTP, targetPort: 443}]
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: partner, namespace: shop}
spec:
  host: partner.example
  workloadSelector: {matchLabels: {app: client}}
  trafficPolicy: {tls: {mode: MUTUAL, credentialName: partner-client}}
---
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: database, namespace: shop}
spec:
  hosts: [db.example]
  addresses: [192.0.2.7]
  resolution: STATIC
  ports: [{number: 5432, name: tcp, protocol: TCP}]
  endpoints: [{address: 203.0.113.7, ports: {tcp: 15432}}]
---
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: any-address, namespace: shop}
spec:
  hosts: [whole.example]
  resolution: NONE
  ports: [{number: 6379, name: tcp, protocol: TCP}]
---
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: wild, namespace: shop}
spec:
  hosts: ["*.wild.example"]
  resolution: NONE
  ports: [{number: 443, name: tls, protocol: TLS}]
---
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: private, namespace: shop}
spec:
  hosts: [private.example]
  exportTo: ["."]
  resolution: DNS
  ports: [{number: 80, name: http, protocol: HTTP}]
"""
SERVERS = {
    ("good.example", 443): ("good.example",),
    ("rogue.example", 443): ("other.example",),
    ("careless.example", 443): ("other.example",),
    ("pinned.example", 443): ("pinned.example",),
    ("partner.example", 443): ("partner.example",),
}
ONLY_KNOWN = MeshSettings(outbound_traffic_policy="REGISTRY_ONLY")


@pytest.fixture(scope="module")
def outside(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Walks]:
    with Walks(
        tmp_path_factory.mktemp("keys"),
        namespace("shop"),
        namespace("team"),
        workload("shop/client"),
        workload("team/client"),
        ENTRIES,
        settings=ONLY_KNOWN,
        servers=SERVERS,
    ) as walks:
        yield walks


def test_a_server_with_its_own_name_is_reached_over_tls(outside: Walks) -> None:
    reply = outside.get("good.example")
    assert (reply.status, reply.app, reply.body["tls"]) == (200, "good.example", True)


def test_a_server_with_another_name_is_not(outside: Walks) -> None:
    assert outside.get("rogue.example").status == 503


def test_a_server_name_that_is_written_turns_the_check_of_names_off(outside: Walks) -> None:
    # As in Istio: the chain is verified, and any name will do. Write subjectAltNames, or leave sni out.
    assert outside.get("careless.example").status == 200


def test_the_names_of_the_service_entry_count_where_the_rule_has_none(outside: Walks) -> None:
    assert outside.get("pinned.example").status == 503


def test_a_client_certificate_is_shown_where_the_rule_chooses_its_workloads(outside: Walks) -> None:
    reply = outside.get("partner.example")
    assert (reply.status, reply.body["certificate"]) == (200, True)


def test_a_rule_for_other_workloads_says_nothing_here(outside: Walks) -> None:
    # The server speaks TLS alone, and the sidecar of the other namespace sends plaintext.
    assert outside.get("partner.example", client=TEAM).status == 503


def test_an_unknown_host_is_answered_502(outside: Walks) -> None:
    assert outside.get("nobody.example").status == 502


def test_a_connection_to_an_unknown_address_ends(outside: Walks) -> None:
    assert outside.say("nobody.example", 5433) == ""
    assert outside.get("nobody.example", 8080).status == 0


def test_a_host_of_another_namespace_that_is_not_exported_is_unknown(outside: Walks) -> None:
    assert outside.get("private.example").app == "private.example"
    assert outside.get("private.example", client=TEAM).status == 502


def test_a_tcp_service_is_found_by_its_address_alone(outside: Walks) -> None:
    assert outside.say("db.example", 5432) == "203.0.113.7"
    assert outside.say("db.example", 5432, address="192.0.2.8") == ""


def test_a_tcp_service_without_an_address_takes_the_whole_port(outside: Walks) -> None:
    assert outside.say("whole.example", 6379) == "whole.example"
    assert outside.say("whole.example", 6379, address="192.0.2.99") == "internet"


def test_tls_is_passed_on_by_the_name_that_the_client_asks_for(outside: Walks) -> None:
    assert outside.certificate_of("good.example", 443, "good.example") == "good.example"
    assert outside.certificate_of("good.example", 443, "evil.example") == ""


def test_a_wildcard_takes_all_names_below_and_no_others(outside: Walks) -> None:
    # The name decides; the address that the client called is where the connection goes.
    address = outside.mesh.registry.public_ips["good.example"]
    assert outside.certificate_of("x", 443, "a.wild.example", address=address) == "good.example"
    assert outside.certificate_of("x", 443, "wild.example.org", address=address) == ""


EGRESS = """
apiVersion: networking.istio.io/v1
kind: Sidecar
metadata: {name: default, namespace: shop}
spec:
  egress: [{hosts: ["./*", "team/visible.team.svc.cluster.local"]}]
  outboundTrafficPolicy: {mode: REGISTRY_ONLY}
---
apiVersion: networking.istio.io/v1
kind: Sidecar
metadata: {name: proxied, namespace: shop}
spec:
  workloadSelector: {labels: {app: proxied}}
  egress: [{hosts: ["./*"]}]
  outboundTrafficPolicy: {mode: ALLOW_ANY, egressProxy: {host: out.shop.svc.cluster.local, port: {number: 80}}}
"""


@pytest.fixture(scope="module")
def scoped(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Walks]:
    with Walks(
        tmp_path_factory.mktemp("keys"),
        namespace("shop"),
        namespace("team"),
        workload("shop/client"),
        workload("shop/proxied"),
        workload("shop/out", sidecar=False),
        service("shop/out", "http:80:8080"),
        workload("team/visible"),
        service("team/visible", "http:80:8080"),
        workload("team/hidden"),
        service("team/hidden", "http:80:8080"),
        EGRESS,
    ) as walks:
        yield walks


def test_a_sidecar_knows_what_it_imports_and_nothing_else(scoped: Walks) -> None:
    assert scoped.get("visible.team").app == "team/visible"
    assert scoped.get("hidden.team").status == 502


def test_unknown_hosts_go_through_the_egress_proxy_where_there_is_one(scoped: Walks) -> None:
    proxied = WorkloadRef("shop", "proxied")
    assert scoped.get("nobody.example", client=proxied).app == "shop/out"
    assert scoped.get("nobody.example", client=CLIENT).status == 502
