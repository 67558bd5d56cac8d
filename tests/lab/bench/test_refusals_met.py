"""A refused object silences the requests that it could change, by whatever name they go."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from meshlab.bench.case_file import parse_case_file
from meshlab.bench.evidence.line import EvidenceLine
from meshlab.bench.local_bench import LocalBench
from meshlab.bench.protocol import Setup, Sources
from meshlab.bench.verdicts.request_hosts import hosts_of, spellings
from meshlab.istio import WorkloadRef

if TYPE_CHECKING:
    from pathlib import Path

MESH = """\
apiVersion: v1
kind: Namespace
metadata: {name: shop, labels: {istio-injection: enabled}}
---
apiVersion: v1
kind: Namespace
metadata: {name: bank, labels: {istio-injection: enabled}}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: cart, namespace: shop}
spec: {template: {metadata: {labels: {app: cart}}, spec: {containers: [{name: c, ports: [{containerPort: 8080}]}]}}}
---
apiVersion: v1
kind: Service
metadata: {name: cart, namespace: shop}
spec: {selector: {app: cart}, ports: [{name: http, port: 80, targetPort: 8080}]}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: ledger, namespace: bank}
spec:
  template:
    metadata: {labels: {app: ledger}}
    spec: {containers: [{name: c, ports: [{containerPort: 8080}, {containerPort: 6379}]}]}
---
apiVersion: v1
kind: Service
metadata: {name: ledger, namespace: bank}
spec: {selector: {app: ledger}, ports: [{name: http, port: 80, targetPort: 8080}, {name: tcp, port: 6379}]%s}
---
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: gw, namespace: shop}
spec:
  selector: {istio: ingressgateway}
  servers: [{port: {number: 80, name: http, protocol: HTTP}, hosts: [www.example, cart.example]}]
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: www, namespace: shop}
spec: {hosts: [www.example], gateways: [gw], http: [{route: [{destination: {host: ledger.bank.svc.cluster.local%s}}]}]}
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: cart, namespace: shop}
spec: {hosts: [cart.example], gateways: [gw], http: [{route: [{destination: {host: cart}}]}]}
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: ledger, namespace: bank}
spec: {host: ledger, subsets: [{name: all}]%s}
"""
CASES = """\
cases:
- {name: full, from: {workload: shop/cart}, request: GET http://ledger.bank.svc.cluster.local/, expect: 200}
- {name: with its namespace, from: {workload: shop/cart}, request: GET http://LEDGER.bank:80/, expect: 200}
- {name: short, from: {workload: bank/ledger}, request: GET http://ledger/, expect: 200}
- {name: another ending, from: {workload: shop/cart}, request: GET http://ledger.bank.svc/, expect: 200}
- {name: tcp, from: {workload: shop/cart}, request: {tcp: "ledger.bank:6379"}, expect: answered}
- {name: a route, from: {outside: istio-system/istio-ingressgateway}, request: GET http://www.example/, expect: 200}
- {name: other, from: {outside: istio-system/istio-ingressgateway}, request: GET http://cart.example/, expect: 200}
"""
STRANGE = ", strange: 1"


@pytest.mark.parametrize(
    "changes",
    [("", "", STRANGE), (STRANGE, "", ""), ("", ", subset: all", STRANGE)],
    ids=["a DestinationRule", "a Service", "a DestinationRule whose subset a route names"],
)
def test_a_refused_object_silences_every_way_to_its_host_and_no_other(
    tmp_path: Path, changes: tuple[str, ...]
) -> None:
    file = tmp_path / "mesh.yaml"
    file.write_text(MESH % changes)
    bench = LocalBench()
    found = parse_case_file(CASES, "cases.yaml")
    try:
        with bench.load(Sources((str(file),))).start(Setup(), found.cases, jobs=4) as engine:
            states = {outcome.case.name: outcome.state for outcome in engine.run(found.cases)}
    finally:
        bench.close()
    silenced = [case.name for case in found.cases if case.name != "other"]
    assert states == dict.fromkeys(silenced, "not judged") | {"other": "passed"}


def test_a_host_has_every_name_that_it_may_be_short_for() -> None:
    assert "ledger.bank.svc.cluster.local" in set(spellings("Ledger:80", "bank"))
    assert "ledger.bank.svc.cluster.local" in set(spellings("ledger.bank.", "shop"))
    assert "ledger.bank.svc.cluster.local" in set(spellings("ledger.bank.svc", "shop"))
    assert set(spellings("::1", "shop")) == {"::1"}


def test_a_chosen_cluster_names_the_host_that_a_route_leads_to() -> None:
    for cluster in ("outbound|80|v1|cart.shop.svc", "outbound_.80_.v1_.cart.shop.svc"):
        line = EvidenceLine(WorkloadRef("edge", "gw"), "http", cluster=cluster)
        assert "cart.shop.svc" in set(hosts_of(line, "www.example", "edge", {}))
