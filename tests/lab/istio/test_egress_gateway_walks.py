"""Requests that leave the mesh through an egress gateway: two routes, mutual TLS to the gateway, TLS to the server."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from meshlab.istio import WorkloadRef
from meshlab.istio.read.mesh_config import MeshSettings

from tests.lab.istio.sidecar_walks import Walks, namespace, workload

if TYPE_CHECKING:
    from collections.abc import Iterator

TEAM = WorkloadRef("team", "client")
GATEWAY = "istio-egressgateway.istio-system.svc.cluster.local"
EGRESS = f"""
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {{name: partner, namespace: shop}}
spec:
  hosts: [partner.example]
  exportTo: [., istio-system]
  resolution: DNS
  ports: [{{number: 80, name: http, protocol: HTTP}}, {{number: 443, name: https, protocol: HTTPS}}]
---
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {{name: out, namespace: shop}}
spec:
  selector: {{istio: egressgateway}}
  servers:
    - port: {{number: 443, name: https, protocol: HTTPS}}
      hosts: [partner.example]
      tls: {{mode: ISTIO_MUTUAL}}
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {{name: gateway, namespace: shop}}
spec:
  host: {GATEWAY}
  subsets:
    - name: partner
      trafficPolicy:
        portLevelSettings: [{{port: {{number: 443}}, tls: {{mode: ISTIO_MUTUAL, sni: partner.example}}}}]
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {{name: partner, namespace: shop}}
spec:
  host: partner.example
  exportTo: [istio-system]
  trafficPolicy: {{portLevelSettings: [{{port: {{number: 443}}, tls: {{mode: SIMPLE}}}}]}}
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {{name: partner, namespace: shop}}
spec:
  hosts: [partner.example]
  gateways: [mesh, shop/out]
  exportTo: [., istio-system]
  http:
    - match: [{{gateways: [mesh], port: 80}}]
      route: [{{destination: {{host: {GATEWAY}, subset: partner, port: {{number: 443}}}}}}]
    - match: [{{gateways: [shop/out], port: 443}}]
      route: [{{destination: {{host: partner.example, port: {{number: 443}}}}}}]
---
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {{name: partner, namespace: istio-system}}
spec:
  selector: {{matchLabels: {{istio: egressgateway}}}}
  rules:
    - from: [{{source: {{principals: [cluster.local/ns/shop/sa/client]}}}}]
      to: [{{operation: {{hosts: [partner.example]}}}}]
"""


@pytest.fixture(scope="module")
def egress(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Walks]:
    with Walks(
        tmp_path_factory.mktemp("keys"),
        namespace("shop"),
        namespace("team"),
        workload("shop/client"),
        workload("shop/other"),
        workload("team/client"),
        EGRESS,
        settings=MeshSettings(outbound_traffic_policy="REGISTRY_ONLY"),
        servers={("partner.example", 443): ("partner.example",)},
    ) as walks:
        yield walks


def test_plaintext_of_the_application_becomes_tls_at_the_server(egress: Walks) -> None:
    reply = egress.get("partner.example")
    assert (reply.status, reply.app, reply.body["tls"]) == (200, "partner.example", True)
    assert reply.body["host"] == "partner.example"


def test_the_gateway_sees_who_asks(egress: Walks) -> None:
    assert egress.get("partner.example", client=WorkloadRef("shop", "other")).status == 403


def test_a_team_that_the_host_is_not_exported_to_does_not_know_it(egress: Walks) -> None:
    assert egress.get("partner.example", client=TEAM).status == 502
