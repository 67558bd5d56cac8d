"""The services of the mesh: where they come from, their addresses, their servers, and what DNS says of them."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

import pytest
from meshlab.istio import Address, Mesh, Placement, WorkloadRef, load_mesh
from meshlab.istio.envoy.clusters.endpoints import subset_endpoints
from meshlab.istio.model.resolve import resolve
from meshlab.istio.read.mesh_config import MeshSettings
from meshlab.manifest import parse_manifests

from tests.lab.istio.sidecar_walks import namespace, service, workload

if TYPE_CHECKING:
    from meshlab.istio.model.registry import MeshService

CART = "cart.shop.svc.cluster.local"
GATEWAY_POD = "{inject.istio.io/templates: gateway}"


def mesh_of(*texts: str, settings: MeshSettings | None = None) -> Mesh:
    manifests = [manifest for text in texts for manifest in parse_manifests(text, "test.yaml")]
    return load_mesh(manifests, settings or MeshSettings()).require_complete()


def only(mesh: Mesh, hostname: str) -> MeshService:
    (found,) = mesh.registry.named(hostname)
    return found


def entry(name: str, spec: str, namespace: str = "shop") -> str:
    return f"""
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {{name: {name}, namespace: {namespace}}}
spec: {spec}
"""


def machine(name: str, spec: str, namespace: str = "shop") -> str:
    return f"""
apiVersion: networking.istio.io/v1
kind: WorkloadEntry
metadata: {{name: {name}, namespace: {namespace}}}
spec: {spec}
"""


SHOP = (namespace("shop"), workload("shop/cart"), service("shop/cart", "http:80:8080"))


def test_addresses_are_the_same_in_every_run_and_each_has_one_owner() -> None:
    many = [service(f"shop/s{number}", "http:80") for number in range(200)]
    first, second = mesh_of(*SHOP, *many), mesh_of(*SHOP, *reversed(many))
    addresses = {each.name: each.address for each in first.registry.services}
    assert addresses == {each.name: each.address for each in second.registry.services}
    assert len(set(addresses.values())) == len(addresses)


def test_an_address_that_is_written_is_kept() -> None:
    mesh = mesh_of(namespace("shop"), service("shop/cart", "http:80", clusterIP="10.96.0.77"))
    assert only(mesh, CART).address == "10.96.0.77"


def test_the_servers_of_a_service_are_its_pods_on_their_own_port() -> None:
    (endpoint,) = only(mesh_of(*SHOP), CART).endpoints[80]
    assert (endpoint.workload, endpoint.port) == (WorkloadRef("shop", "cart"), 8080)
    assert endpoint.takes_mtls
    assert endpoint.identity == "spiffe://cluster.local/ns/shop/sa/cart"


def test_a_pod_without_a_sidecar_takes_no_mutual_tls() -> None:
    mesh = mesh_of(namespace("shop"), workload("shop/cart", sidecar=False), service("shop/cart", "http:80"))
    (endpoint,) = only(mesh, CART).endpoints[80]
    assert not endpoint.takes_mtls


def test_a_service_chooses_virtual_machines_too() -> None:
    mesh = mesh_of(*SHOP, machine("vm", "{address: 10.9.9.9, labels: {app: cart}, serviceAccount: vm}"))
    found = [(each.workload, each.address, each.port) for each in only(mesh, CART).endpoints[80]]
    assert (None, "10.9.9.9", 8080) in found
    assert mesh.registry.identities_of(only(mesh, CART)) == (
        "spiffe://cluster.local/ns/shop/sa/cart",
        "spiffe://cluster.local/ns/shop/sa/vm",
    )


def test_a_headless_service_does_not() -> None:
    mesh = mesh_of(
        namespace("shop"),
        workload("shop/cart"),
        service("shop/cart", "tcp:80", clusterIP="None"),
        machine("vm", "{address: 10.9.9.9, labels: {app: cart}}"),
    )
    assert len(only(mesh, CART).endpoints[80]) == 1


def test_a_service_entry_chooses_pods_and_virtual_machines_of_its_namespace() -> None:
    mesh = mesh_of(
        *SHOP,
        machine("near", "{address: 10.9.9.9, labels: {app: cart}, ports: {http: 9000}}"),
        machine("far", "{address: 10.9.9.8, labels: {app: cart}}", "elsewhere"),
        entry(
            "cart",
            "{hosts: [cart.example], resolution: STATIC, location: MESH_INTERNAL,"
            " workloadSelector: {labels: {app: cart}},"
            " ports: [{number: 80, name: http, protocol: HTTP, targetPort: 8080}]}",
        ),
    )
    found = {(each.address, each.port) for each in only(mesh, "cart.example").endpoints[80]}
    pod = mesh.registry.pod_ips[WorkloadRef("shop", "cart")]
    assert found == {(pod, 8080), ("10.9.9.9", 9000)}


def test_a_name_that_is_looked_up_is_its_own_server_where_no_other_is_written() -> None:
    mesh = mesh_of(
        entry(
            "a",
            "{hosts: [a.example], resolution: DNS,"
            " ports: [{number: 80, name: http, protocol: HTTP, targetPort: 8080}]}",
        )
    )
    (endpoint,) = only(mesh, "a.example").endpoints[80]
    assert (endpoint.address, endpoint.port) == ("a.example", 8080)


def test_every_address_of_a_service_entry_makes_a_service() -> None:
    mesh = mesh_of(
        entry(
            "a",
            "{hosts: [a.example], addresses: [192.0.2.1, 192.0.2.2/32, 198.51.100.0/24], resolution: STATIC,"
            " ports: [{number: 80, name: tcp, protocol: TCP}], endpoints: [{address: 203.0.113.1}]}",
        )
    )
    found = [each.address for each in mesh.registry.services]
    assert found == ["192.0.2.1", "192.0.2.2", "198.51.100.0/24"]


def test_endpoints_of_one_host_and_namespace_are_shared_by_the_names_of_ports() -> None:
    spec = (
        "{{hosts: [a.example], resolution: STATIC, ports: [{{number: 80, name: {}, protocol: HTTP}}],"
        " endpoints: [{{address: {}}}]}}"
    )
    mesh = mesh_of(
        entry("one", spec.format("http", "203.0.113.1")),
        entry("two", spec.format("http", "203.0.113.2")),
        entry("three", spec.format("web", "203.0.113.3")).replace(
            "namespace: shop", "namespace: shop, creationTimestamp: '2025-01-01T00:00:00Z'"
        ),
    )
    found = [[each.address for each in one.endpoints[80]] for one in mesh.registry.services]
    assert sorted(found) == [
        ["203.0.113.1", "203.0.113.2"],
        ["203.0.113.1", "203.0.113.2"],
        ["203.0.113.3"],
    ]


def test_an_external_name_is_an_alias_of_the_service_that_it_names_at_last() -> None:
    mesh = mesh_of(
        *SHOP,
        service("shop/near", type="ExternalName", externalName=CART),
        service("shop/far", type="ExternalName", externalName="near.shop.svc.cluster.local"),
    )
    assert only(mesh, CART).aliases == ("far.shop.svc.cluster.local", "near.shop.svc.cluster.local")


def test_identities_count_in_every_alias_of_the_trust_domain() -> None:
    mesh = mesh_of(*SHOP, settings=MeshSettings(trust_domain_aliases=("old.example",)))
    assert mesh.registry.identities_of(only(mesh, CART)) == (
        "spiffe://cluster.local/ns/shop/sa/cart",
        "spiffe://old.example/ns/shop/sa/cart",
    )


NAMES = (
    *SHOP,
    workload("shop/db"),
    service("shop/db", "tcp:5432", clusterIP="None"),
    service("shop/alias", type="ExternalName", externalName="api.partner.example"),
    service("shop/loop", type="ExternalName", externalName="loop.shop.svc.cluster.local"),
    service("shop/empty", "tcp:80", app="nothing", clusterIP="None"),
    entry(
        "vip",
        "{hosts: [vip.example], addresses: [192.0.2.1], ports: [{number: 80, name: t, protocol: TCP}]}",
    ),
    entry(
        "wild",
        "{hosts: ['*.wild.example'], addresses: [198.51.100.0/24], ports: [{number: 443, name: t, protocol: TLS}]}",
    ),
    entry(
        "plain", "{hosts: [plain.example], resolution: DNS, ports: [{number: 80, name: h, protocol: HTTP}]}"
    ),
)


@pytest.mark.parametrize(
    "name", ["cart", "cart.shop", "cart.shop.svc", "cart.shop.svc.cluster.local", "CART.shop."]
)
def test_the_names_of_a_service_lead_to_its_address(name: str) -> None:
    mesh = mesh_of(*NAMES)
    assert resolve(mesh, name, 80, "shop") == (only(mesh, CART).address, 80)


def test_a_short_name_is_looked_up_in_the_namespace_of_the_client() -> None:
    with pytest.raises(LookupError, match="cart"):
        resolve(mesh_of(*NAMES), "cart", 80, "team")


def test_a_headless_service_leads_to_a_pod() -> None:
    mesh = mesh_of(*NAMES)
    assert resolve(mesh, "db", 5432, "shop") == (mesh.registry.pod_ips[WorkloadRef("shop", "db")], 5432)
    assert resolve(mesh, "db-0.db", 5432, "shop") == resolve(mesh, "db", 5432, "shop")


def test_a_headless_service_without_pods_has_no_address() -> None:
    with pytest.raises(LookupError, match="without pods"):
        resolve(mesh_of(*NAMES), "empty", 80, "shop")


def test_an_external_name_leads_to_what_it_names() -> None:
    mesh = mesh_of(*NAMES)
    assert resolve(mesh, "alias", 80, "shop") == resolve(mesh, "api.partner.example", 80, "shop")
    with pytest.raises(LookupError, match="circle"):
        resolve(mesh, "loop", 80, "shop")


def test_an_external_host_has_the_address_of_its_service_entry_or_one_that_is_invented() -> None:
    mesh = mesh_of(*NAMES)
    assert resolve(mesh, "vip.example", 80, "shop") == ("192.0.2.1", 80)
    assert resolve(mesh, "a.wild.example", 443, "shop") == ("198.51.100.0", 443)
    plain = resolve(mesh, "plain.example", 80, "shop")[0]
    assert plain.startswith(("198.18.", "198.19."))
    assert plain != resolve(mesh, "nobody.example", 80, "shop")[0]


def test_an_address_is_its_own() -> None:
    assert resolve(mesh_of(*NAMES), "203.0.113.5", 80, "shop") == ("203.0.113.5", 80)
    assert resolve(mesh_of(*NAMES), "[2001:db8::1]", 80, "shop") == ("2001:db8::1", 80)


def test_a_name_of_the_cluster_that_is_not_there_is_not_found() -> None:
    with pytest.raises(LookupError, match="no such name"):
        resolve(mesh_of(*NAMES), "card.shop.svc.cluster.local", 80, "shop")


def egress_gateway(*servers: str) -> str:
    return f"""
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {{name: out, namespace: istio-system}}
spec: {{selector: {{istio: egressgateway}}, servers: [{", ".join(servers)}]}}
"""


def test_a_gateway_that_the_manifests_only_name_comes_with_its_service() -> None:
    http = "{port: {number: 80, name: http, protocol: HTTP}, hosts: ['*']}"
    raw = "{port: {number: 9000, name: raw, protocol: TCP}, hosts: ['*']}"
    mesh = mesh_of(egress_gateway(http, raw))
    found = only(mesh, "istio-egressgateway.istio-system.svc.cluster.local")
    protocols = [(port.number, port.protocol) for port in found.ports]
    assert protocols == [(80, "http2"), (443, "tls"), (9000, "tcp")]
    (endpoint,) = found.endpoints[80]
    assert endpoint.port == 8080
    assert not endpoint.takes_mtls


def test_it_does_not_where_they_hold_one() -> None:
    http = "{port: {number: 80, name: http, protocol: HTTP}, hosts: ['*']}"
    written = service("istio-system/istio-egressgateway", "http:80:8080")
    mesh = mesh_of(egress_gateway(http), written)
    found = only(mesh, "istio-egressgateway.istio-system.svc.cluster.local")
    assert [(port.number, port.protocol) for port in found.ports] == [(80, "http")]


CAPTURES = MeshSettings(dns_capture=True)
DNS_TCP = "{{hosts: [{}], resolution: {}, ports: [{{number: 90, name: tcp, protocol: TCP}}]}}"


def test_proxies_that_answer_dns_give_service_entries_addresses_of_their_own() -> None:
    texts = (entry("a", DNS_TCP.format("a.example", "DNS")), entry("b", DNS_TCP.format("b.example", "NONE")))
    mesh = mesh_of(*texts, settings=CAPTURES)
    address = only(mesh, "a.example").address
    assert address.startswith("240.240.")
    assert resolve(mesh, "a.example", 90, "shop") == (address, 90)
    assert only(mesh, "b.example").own_address is None
    assert only(mesh_of(*texts), "a.example").own_address is None


def test_a_label_keeps_them_from_it() -> None:
    text = entry("a", DNS_TCP.format("a.example", "DNS")).replace(
        "namespace: shop", "namespace: shop, labels: {networking.istio.io/enable-autoallocate-ip: 'false'}"
    )
    assert only(mesh_of(text, settings=CAPTURES), "a.example").own_address is None


@pytest.mark.parametrize(
    ("address", "port", "server"),
    [
        (CART, 80, "cart"),
        (CART, 81, "nothing"),
        (
            "queue.shop.svc.cluster.local",
            8080,
            "cart",
        ),  # the name of a headless Service is the address of a pod
        ("queue.shop.svc.cluster.local", 80, "nothing"),
        ("far.example", 80, "elsewhere"),
    ],
)
def test_a_service_entry_may_name_a_service_as_its_server(address: str, port: int, server: str) -> None:
    spec = f"""{{hosts: [it.example], resolution: DNS, endpoints: [{{address: {address}}}],
                 ports: [{{number: {port}, name: http, protocol: HTTP}}]}}"""
    queue = service("shop/queue", "http:8080", app="cart", clusterIP="None")
    mesh = mesh_of(*SHOP, queue, entry("it", spec))
    numbers = itertools.count(20000)
    placement = Placement.plan(mesh, lambda: next(numbers))
    (endpoint,) = only(mesh, "it.example").endpoints[port]
    found = placement.of_endpoint(endpoint)

    cart = placement.proxies[WorkloadRef("shop", "cart"), 8080]
    names = {cart: "cart", placement.external.get((address, port)): "elsewhere"}
    assert names.get(found, "nothing") == server
    assert found != placement.internet


def test_a_pod_refuses_connections_to_a_port_that_it_does_not_open() -> None:
    door = service("edge/door", "http:80:8080")
    mesh = mesh_of(namespace("edge"), workload("edge/door").replace("{}", GATEWAY_POD), door)
    numbers = itertools.count(20000)
    placement = Placement.plan(mesh, lambda: next(numbers))
    found = only(mesh, "door.edge.svc.cluster.local")

    # Without a Gateway the pod is there and nothing listens: connections are refused, which is not "no endpoint".
    assert placement.proxies == {}
    (endpoint,) = found.endpoints[80]
    assert placement.of_endpoint(endpoint) == Address("127.0.0.1", 1)
    assert placement.without_proxy(found.address, 80) is None


@pytest.mark.parametrize(("named", "numbered", "servers"), [(2024, 2025, 2), (2025, 2024, 1)])
def test_only_a_service_whose_name_is_looked_up_has_names_as_servers(
    named: int, numbered: int, servers: int
) -> None:
    spec = """{{hosts: [it.example], resolution: {}, endpoints: [{{address: {}}}],
               ports: [{{number: 80, name: h, protocol: HTTP}}]}}"""
    texts = [
        entry(name, spec.format(resolution, address)).replace(
            "namespace: shop", f"namespace: shop, creationTimestamp: '{year}-01-01T00:00:00Z'"
        )
        for name, resolution, address, year in (
            ("named", "DNS", "a.example", named),
            ("numbered", "STATIC", "203.0.113.1", numbered),
        )
    ]
    # The oldest says how servers are found, and the servers of both are pooled.
    oldest = only(mesh_of(*SHOP, *texts), "it.example")
    assert len(subset_endpoints(oldest, oldest.ports[0], None, "")) == servers
