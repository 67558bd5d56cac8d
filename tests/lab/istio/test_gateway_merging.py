"""Several servers on one port of a gateway: which share it, which are dropped, and which close it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from meshlab.istio import Mesh

    from tests.lab.istio.conftest import SmallMesh

SIMPLE = "tls: {mode: SIMPLE, credentialName: c}"


def gateway(
    name: str, *servers: str, namespace: str = "edge", created: str = "", selector: str = "{app: door}"
) -> str:
    age = f", creationTimestamp: '{created}'" if created else ""
    return f"""
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {{name: {name}, namespace: {namespace}{age}}}
spec: {{selector: {selector}, servers: [{", ".join(servers)}]}}
"""


def server(protocol: str, hosts: str, *, port: int = 80, name: str = "x", more: str = "") -> str:
    return (
        f"{{port: {{number: {port}, name: {name}, protocol: {protocol}}}, hosts: {hosts}"
        + (f", {more}" if more else "")
        + "}"
    )


def bytes_route(gateways: str) -> str:
    return f"""
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {{name: bytes, namespace: shop}}
spec:
  hosts: ["*"]
  gateways: {gateways}
  tcp: [{{route: [{{destination: {{host: cart}}}}]}}]
"""


def merged(mesh: Mesh, small: SmallMesh) -> dict[int, list[list[str]]]:
    """Port to the Gateways of its groups of servers."""
    ports = mesh.gateway_ports(mesh.workload(small.gateway_ref)).ports
    return {port.number: [[str(entry.gateway) for entry in group] for group in port.groups] for port in ports}


def listener(small: SmallMesh, *texts: str, port: int = 8080) -> dict[str, Any] | None:
    compiled = small.gateway(*texts, without=("Gateway/door",))
    found = {entry["name"]: entry for entry in compiled.bootstrap["staticResources"]["listeners"]}
    return found.get(f"0.0.0.0_{port}")


@pytest.mark.parametrize("second", ["HTTP", "http", "HTTP2", "GRPC", "grpc-web"])
def test_plaintext_http_of_any_version_shares_a_port(small: SmallMesh, second: str) -> None:
    mesh = small.mesh(
        gateway("a", server("HTTP", "[a.example]")),
        gateway("b", server(second, "[b.example]")),
        without=("Gateway/door",),
    )

    assert merged(mesh, small) == {8080: [["edge/a", "edge/b"]]}


@pytest.mark.parametrize(
    ("first", "second"),
    [("HTTP", "TCP"), ("TCP", "HTTP"), ("TCP", "TCP"), ("TCP", "MONGO"), ("GRPC", "REDIS")],
)
def test_other_plaintext_does_not_share_a_port_and_the_first_by_name_has_it(
    small: SmallMesh, first: str, second: str
) -> None:
    mesh = small.mesh(
        gateway("b", server(second, "[b.example]")),
        gateway("a", server(first, "[a.example]")),
        without=("Gateway/door",),
    )

    assert merged(mesh, small) == {8080: [["edge/a"]]}
    assert any("Gateway edge/b:" in str(note) and "Istio drops this one" in str(note) for note in mesh.notes)


def test_tls_does_not_follow_plaintext_on_a_port(small: SmallMesh) -> None:
    mesh = small.mesh(
        gateway("a", server("HTTP", "[a.example]")),
        gateway("b", server("HTTPS", "[b.example]", more=SIMPLE)),
        without=("Gateway/door",),
    )

    assert merged(mesh, small) == {8080: [["edge/a"]]}


def test_plaintext_that_follows_tls_takes_what_has_no_other_chain(small: SmallMesh) -> None:
    texts = (
        gateway("a", server("HTTPS", "[a.example]", more=SIMPLE)),
        gateway("b", server("HTTP", "[b.example]")),
    )
    found = listener(small, *texts)

    assert found is not None
    assert [chain.get("filterChainMatch") for chain in found["filterChains"]] == [
        {"serverNames": ["a.example"]},
        None,
    ]


def test_two_chains_for_every_name_close_the_port_as_envoy_refuses_it(small: SmallMesh) -> None:
    texts = (
        gateway("a", server("HTTPS", "['*']", more=SIMPLE)),
        gateway("b", server("HTTP", "['*']")),
    )

    assert listener(small, *texts) is None
    mesh = small.mesh(*texts, without=("Gateway/door",))
    assert any("Envoy refuses the whole port" in str(note) for note in mesh.notes)


def test_one_host_for_two_namespaces_closes_the_port_as_envoy_refuses_it(small: SmallMesh) -> None:
    # Istio compares hosts with their namespaces, and does not see that the names are the same.
    texts = (
        gateway("a", server("HTTPS", "[./a.example]", more=SIMPLE)),
        gateway("a", server("HTTPS", "[./a.example]", more=SIMPLE), namespace="shop"),
    )

    assert listener(small, *texts) is None


def test_tls_servers_share_a_port_by_name_whatever_they_do_with_it(small: SmallMesh) -> None:
    texts = (
        gateway(
            "a",
            server("HTTPS", "[a.example]", name="a", more=SIMPLE),
            server("TLS", "[b.example]", name="b", more=SIMPLE),
            server("HTTPS", "[a.example]", name="c", more=SIMPLE),
        ),
        bytes_route("[edge/a]"),
    )
    found = listener(small, *texts)

    assert found is not None
    kinds = [
        (chain["filterChainMatch"]["serverNames"], chain["filters"][-1]["name"].rpartition(".")[2])
        for chain in found["filterChains"]
    ]
    assert kinds == [(["a.example"], "http_connection_manager"), (["b.example"], "tcp_proxy")]


def test_the_older_gateway_comes_first(small: SmallMesh) -> None:
    def owner(created: str) -> list[list[str]]:
        mesh = small.mesh(
            gateway("a", server("HTTP", "[a.example]"), created="2026-02-01T00:00:00Z"),
            gateway("b", server("TCP", "[b.example]"), created=created),
            without=("Gateway/door",),
        )
        return merged(mesh, small)[8080]

    assert owner("2026-01-01T00:00:00Z") == [["edge/b"]]
    assert owner("2026-03-01T00:00:00Z") == [["edge/a"]]


def test_of_two_gateways_of_one_name_the_first_namespace_has_the_port(small: SmallMesh) -> None:
    def opened(namespace: str) -> bool:
        texts = (
            gateway("raw", server("TCP", "['*']")),
            gateway("raw", server("TCP", "['*']"), namespace=namespace),
            bytes_route("[edge/raw]"),
        )
        return listener(small, *texts) is not None

    assert opened("zeta")
    # The port belongs to the Gateway that no VirtualService names.
    assert not opened("alpha")


def test_a_gateway_without_a_selector_is_for_every_gateway(small: SmallMesh) -> None:
    mesh = small.mesh(gateway("all", server("HTTP", "[a.example]"), selector="{}"), without=("Gateway/door",))

    assert merged(mesh, small) == {8080: [["edge/all"]]}


def test_a_port_is_translated_by_the_first_service_that_has_it(small: SmallMesh) -> None:
    second = """
apiVersion: v1
kind: Service
metadata: {name: second, namespace: edge}
spec:
  selector: {app: door}
  ports: [{name: http, port: 80, targetPort: 8081}, {name: other, port: 81, targetPort: 8082}]
"""
    mesh = small.mesh(
        second,
        gateway(
            "a",
            server("HTTP", "[a.example]"),
            server("HTTP", "[a.example]", port=81, name="w"),
            server("HTTP", "[a.example]", port=9999, name="z"),
        ),
        without=("Gateway/door",),
    )

    assert set(merged(mesh, small)) == {8080, 8082, 9999}


def test_a_service_may_ask_for_no_translation(small: SmallMesh) -> None:
    service = small.changed(
        small.base("Service", "door"),
        "metadata.labels",
        {"experimental.istio.io/disable-gateway-port-translation": "true"},
    )
    mesh = small.mesh(service, gateway("a", server("HTTP", "[a.example]")), without=("Gateway/door",))

    assert set(merged(mesh, small)) == {80}


@pytest.mark.parametrize(("unprivileged", "opened"), [("true", False), ("false", True)])
def test_a_gateway_without_privileges_opens_no_low_port(
    small: SmallMesh, unprivileged: str, *, opened: bool
) -> None:
    env = [{"name": "ISTIO_META_UNPRIVILEGED_POD", "value": unprivileged}]
    containers = [{"name": "istio-proxy", "image": "auto", "env": env}]
    door = small.changed(small.base("Deployment", "door"), "spec.template.spec.containers", containers)
    texts = (
        door,
        gateway("a", server("HTTP", "[a.example]"), server("HTTP", "[a.example]", port=85, name="w")),
    )

    assert listener(small, *texts) is not None
    assert (listener(small, *texts, port=85) is not None) is opened
    notes = small.mesh(*texts, without=("Gateway/door",)).notes
    assert any("cannot open ports below 1024" in str(note) for note in notes) is not opened


def test_names_in_another_case_are_one_name_and_close_the_port(small: SmallMesh) -> None:
    texts = (
        gateway("a", server("HTTPS", "[A.example]", more=SIMPLE)),
        gateway("b", server("HTTPS", "[a.example]", more=SIMPLE)),
    )

    assert listener(small, *texts) is None


def test_two_declared_ports_may_be_one_port_of_the_pod(small: SmallMesh) -> None:
    mesh = small.mesh(
        gateway("a", server("HTTP", "[a.example]")),
        gateway("b", server("HTTP", "[b.example]", port=8080)),
        without=("Gateway/door",),
    )

    assert merged(mesh, small) == {8080: [["edge/a", "edge/b"]]}


def test_an_installed_gateway_that_is_assumed_listens_behind_its_service(small: SmallMesh) -> None:
    mesh = small.mesh(
        gateway("a", server("HTTP", "[cart.example]"), selector="{istio: ingressgateway}"),
        without=("Gateway/door",),
    )
    (assumed,) = [workload for workload in mesh.workloads if workload.assumed]

    assert [port.number for port in mesh.gateway_ports(assumed).ports] == [8080]
    assert [port.number for port in assumed.ports] == [8080]


REDIRECTING = "tls: {httpsRedirect: true}"


@pytest.mark.parametrize(
    ("servers", "domains"),
    [
        # A host without routes is redirected, too.
        ([("[alone.example]", REDIRECTING)], {"alone.example": True}),
        ([("[cart.example]", REDIRECTING)], {"cart.example": True}),
        ([("[cart.example]", "")], {"cart.example": False}),
        # One redirecting server of a host redirects it for all.
        ([("[cart.example]", REDIRECTING), ("[cart.example]", "")], {"cart.example": True}),
        ([("[cart.example]", ""), ("[cart.example]", REDIRECTING)], {"cart.example": True}),
        (
            [("[cart.example]", ""), ("[alone.example]", REDIRECTING)],
            {"cart.example": False, "alone.example": True},
        ),
    ],
)
def test_a_redirecting_server_redirects_its_hosts(
    small: SmallMesh, servers: list[tuple[str, str]], domains: dict[str, bool]
) -> None:
    texts = [
        gateway(f"g{index}", server("HTTP", hosts, more=more)) for index, (hosts, more) in enumerate(servers)
    ]
    names = [f"edge/g{index}" for index in range(len(servers))]
    route = small.changed(small.base("VirtualService", "cart"), "spec.gateways", names)
    found = listener(small, *texts, route)

    assert found is not None
    hosts = found["filterChains"][0]["filters"][0]["typedConfig"]["routeConfig"]["virtualHosts"]
    assert {host["domains"][0]: host.get("requireTls") == "ALL" for host in hosts} == domains


def test_two_redirecting_servers_of_a_host_are_one_too_many(small: SmallMesh) -> None:
    mesh = small.mesh(
        gateway("a", server("HTTP", "[a.example]", more=REDIRECTING)),
        gateway("b", server("HTTP", "[a.example]", more=REDIRECTING)),
        without=("Gateway/door",),
    )

    assert merged(mesh, small) == {8080: [["edge/a"]]}
