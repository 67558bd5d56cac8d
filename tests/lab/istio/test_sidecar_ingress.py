"""Sidecar with `ingress`: its listeners count for callers, and the ports of Services no more."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from meshlab.istio import WorkloadPort

if TYPE_CHECKING:
    from tests.lab.istio.conftest import Compiled, SmallMesh


def sidecar(ingress: str, *, selector: str = "", namespace: str = "shop", name: str = "own") -> str:
    return f"""
apiVersion: networking.istio.io/v1
kind: Sidecar
metadata: {{name: {name}, namespace: {namespace}}}
spec: {{{selector}ingress: {ingress}}}
"""


def chain_kinds(compiled: Compiled, port: int) -> list[str]:
    return [
        chain["filters"][-1]["name"].rpartition(".")[2] for chain in compiled.listener(port)["filterChains"]
    ]


def app_of(compiled: Compiled, port: int) -> int:
    (locality,) = compiled.cluster(f"inbound|{port}||")["loadAssignment"]["endpoints"]
    (endpoint,) = locality["lbEndpoints"]
    return int(endpoint["endpoint"]["address"]["socketAddress"]["portValue"])


def test_a_listener_says_what_its_port_speaks(small: SmallMesh) -> None:
    compiled = small.app(sidecar("[{port: {number: 8080, protocol: TCP, name: tcp}}]"))

    assert chain_kinds(compiled, 8080) == ["tcp_proxy"]
    assert chain_kinds(small.app(), 8080) == ["http_connection_manager"]


def test_a_listener_may_lead_to_another_port_of_the_application(small: SmallMesh) -> None:
    text = sidecar("[{port: {number: 9000, protocol: HTTP, name: http}, defaultEndpoint: '127.0.0.1:8080'}]")
    compiled = small.app(text)

    assert app_of(compiled, 9000) == compiled.placement.apps[small.app_ref, 8080].port
    assert chain_kinds(compiled, 9000) == ["http_connection_manager"]


def test_a_port_of_a_service_without_a_listener_is_passed_on_as_it_is(small: SmallMesh) -> None:
    mesh = small.mesh(sidecar("[{port: {number: 9000, protocol: HTTP, name: http}}]"))

    assert mesh.workload(small.app_ref).ports == (
        WorkloadPort(8080, "auto", declared=False),
        WorkloadPort(9000, "http"),
    )


@pytest.mark.parametrize(
    ("texts", "reached"),
    [
        ([sidecar("[{port: {number: 9000, protocol: HTTP}}]", namespace="edge")], False),
        ([sidecar("[{port: {number: 9000, protocol: HTTP}}]", namespace="istio-system")], True),
        (
            [
                sidecar("[{port: {number: 9000, protocol: HTTP}}]", namespace="istio-system"),
                sidecar("[{port: {number: 9001, protocol: HTTP}}]"),
            ],
            False,
        ),
        (
            [
                sidecar(
                    "[{port: {number: 9000, protocol: HTTP}}]",
                    selector="workloadSelector: {labels: {app: cart}}, ",
                    name="selected",
                ),
                sidecar("[{port: {number: 9001, protocol: HTTP}}]"),
            ],
            True,
        ),
    ],
)
def test_the_narrowest_sidecar_counts(small: SmallMesh, texts: list[str], *, reached: bool) -> None:
    ports = [port.number for port in small.mesh(*texts).workload(small.app_ref).ports]

    assert (9000 in ports) is reached


def test_gateways_ignore_it(small: SmallMesh) -> None:
    text = sidecar("[{port: {number: 9000, protocol: HTTP}}]", namespace="edge")

    assert [port.number for port in small.mesh(text).workload(small.gateway_ref).ports] == [8443]


@pytest.mark.parametrize(
    ("ingress", "says"),
    [
        ("[{defaultEndpoint: '127.0.0.1:80'}]", "port: missing"),
        ("[{port: {number: 80, protocol: SMTP}}]", "'SMTP' is no protocol"),
        ("[{port: {number: 80, protocol: HTTP}}, {port: {number: 80, protocol: TCP}}]", "stands here twice"),
        ("[{port: {number: 80, protocol: HTTP}, defaultEndpoint: '10.0.0.1:80'}]", "is refused by Istio"),
        ("[{port: {number: 80, protocol: HTTP}, defaultEndpoint: '127.0.0.1:x'}]", "'x' is not a port"),
        ("[{port: {number: 80, protocol: HTTP}, defaultEndpoint: 'unix:///x'}]", "Unix socket is not played"),
        ("[{port: {number: 80, protocol: HTTP}, captureMode: NONE}]", "captureMode"),
        ("[{port: {number: 80, protocol: HTTP, targetPort: 81}}]", "targetPort"),
    ],
)
def test_what_istio_refuses_or_cannot_be_played_is_refused(small: SmallMesh, ingress: str, says: str) -> None:
    assert says in small.refusal(sidecar(ingress))


FOLLOWS, OWN = "{http: {useClientProtocol: true}}", "{http: {maxRetries: 3}}"
LISTENER = "{port: {number: 8080, protocol: HTTP, name: http}}"


def rule(policy: str, more: str = "") -> str:
    return f"""
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {{name: cart, namespace: shop}}
spec: {{host: cart, trafficPolicy: {policy}{more}}}
"""


@pytest.mark.parametrize(
    ("texts", "follows"),
    [
        ((), False),
        ((rule(f"{{connectionPool: {FOLLOWS}}}"),), True),
        ((rule(f"{{portLevelSettings: [{{port: {{number: 80}}, connectionPool: {FOLLOWS}}}]}}"),), True),
        ((rule(f"{{portLevelSettings: [{{port: {{number: 8080}}, connectionPool: {FOLLOWS}}}]}}"),), False),
        ((rule(f"{{connectionPool: {FOLLOWS}}}", ", workloadSelector: {matchLabels: {app: cart}}"),), False),
        ((sidecar("[]", selector=f"inboundConnectionPool: {FOLLOWS}, "),), True),
        ((sidecar(f"[{LISTENER}]", selector=f"inboundConnectionPool: {FOLLOWS}, "),), True),
        (
            (
                rule(f"{{connectionPool: {FOLLOWS}}}"),
                sidecar("[]", selector=f"inboundConnectionPool: {OWN}, "),
            ),
            False,
        ),
        ((sidecar(f"[{LISTENER[:-1]}, connectionPool: {FOLLOWS}}}]"),), True),
        (
            (
                rule(f"{{portLevelSettings: [{{port: {{number: 8080}}, connectionPool: {FOLLOWS}}}]}}"),
                sidecar(f"[{LISTENER}]"),
            ),
            True,
        ),
    ],
)
def test_an_application_may_be_spoken_to_in_the_http_of_the_client(
    small: SmallMesh, texts: tuple[str, ...], follows: bool
) -> None:
    (options,) = small.app(*texts).cluster("inbound|8080||")["typedExtensionProtocolOptions"].values()

    assert ("useDownstreamProtocolConfig" in options) is follows
    assert ("explicitHttpConfig" in options) is not follows
