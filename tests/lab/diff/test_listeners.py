"""Changes that close a listener of a gateway, or open one."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING

import pytest
from meshlab.battery.battery import Question
from meshlab.bench.case import Case, CasePlace, FromOutside, TcpRequest
from meshlab.bench.local_bench import LocalBench, LocalMesh
from meshlab.bench.protocol import Setup
from meshlab.diff.compare_meshes import differences
from meshlab.diff.effect import Kind
from meshlab.inputs import Inputs
from meshlab.istio.read.workload_ref import WorkloadRef
from meshlab.manifest import parse_manifests

from tests.lab.door_and_cart import DOOR_AND_CART
from tests.lab.kube import mesh_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from meshlab.diff.compare_meshes import Difference

GATEWAY = """\
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: door, namespace: edge}
spec:
  selector: {app: door}
  servers:
    - {port: {number: 443, name: tcp, protocol: TCP}, hosts: ["*"]}
"""
TCP_ROUTE = """\
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: tcp, namespace: shop}
spec:
  hosts: ["*"]
  gateways: [edge/door]
  tcp: [{match: [{port: 443}], route: [{destination: {host: cart.shop.svc.cluster.local, port: {number: 80}}}]}]
"""
CLOSED = mesh_of(
    DOOR_AND_CART.replace("name: web", "name: tcp-web").replace(
        "{name: http, port: 80, targetPort: web}", "{name: tcp, port: 80, targetPort: tcp-web}"
    ),
    GATEWAY,
)
OPEN = mesh_of(CLOSED, TCP_ROUTE)


@pytest.fixture(scope="module")
def bench() -> Iterator[LocalBench]:
    with closing(LocalBench()) as running:
        yield running


def only(bench: LocalBench, old: str, new: str) -> Difference:
    """Return how one TCP connection from outside ends on both sides."""
    before, after = (
        LocalMesh(bench, Inputs(tuple(parse_manifests(text, "mesh.yaml")), (), (), ()), None)
        for text in (old, new)
    )
    sender, request = FromOutside(WorkloadRef("edge", "door")), TcpRequest("any.example", 443)
    question = Question(Case("it", sender, request, None, CasePlace("questions", 1)), "a", "b", "c")
    (found,) = differences(bench, before, after, [question], Setup())
    return found


def test_a_gateway_that_listens_no_longer_refuses_and_one_that_begins_to_allows(bench: LocalBench) -> None:
    closed = only(bench, OPEN, CLOSED)
    assert closed.change is not None, closed.new.summary
    assert closed.change.kind is Kind.NOW_REFUSED
    assert closed.new.summary == (
        "not there: the gateway edge/door has no listener for port 443 (targetPort 8443)"
    )
    opened = only(bench, CLOSED, OPEN)
    assert opened.change is not None, opened.old.summary
    assert opened.change.kind is Kind.NOW_ALLOWED
