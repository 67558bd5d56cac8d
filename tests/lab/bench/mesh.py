"""A mesh for the tests of the bench: a gateway and a sidecar from the compiler, a caller by hand."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from meshlab.bench.authorities import GATEWAYS, MESH, Authorities
from meshlab.bench.issuers import Issuers
from meshlab.bench.mesh_addresses import MeshUnderTest
from meshlab.istio import Address, Placement, SecretFiles, WorkloadRef, compile_proxy, load_mesh, spiffe_id
from meshlab.manifest import parse_manifests

from tests.lab.door_and_cart import DOOR_AND_CART

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from meshlab.bench.mesh_addresses import Direction
    from meshlab.istio import Mesh

    Untrusted = Callable[[WorkloadRef, Direction, str, int], list[str]]

DOOR, CART, CALLER = (
    WorkloadRef("edge", "door"),
    WorkloadRef("shop", "cart"),
    WorkloadRef("shop", "caller"),
)
LEGACY = WorkloadRef("shop", "legacy")
ISSUER = "https://idp.example"
CART_VIP, REDIS_VIP, OUTSIDE_IP, NOWHERE_IP = "10.0.0.10", "10.0.0.20", "203.0.113.7", "10.0.0.99"

MANIFESTS = (
    DOOR_AND_CART
    + """---
apiVersion: apps/v1
kind: Deployment
metadata: {name: legacy, namespace: shop}
spec:
  template:
    metadata:
      labels: {app: legacy, sidecar.istio.io/inject: "false"}
    spec:
      containers: [{name: legacy}]
---
apiVersion: v1
kind: Service
metadata: {name: legacy, namespace: shop}
spec:
  selector: {app: legacy}
  ports: [{name: http, port: 80, targetPort: 8080}]
---
apiVersion: v1
kind: Service
metadata: {name: empty, namespace: shop}
spec:
  selector: {app: empty}
  ports: [{name: http, port: 80, targetPort: 8080}]
---
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: door, namespace: edge}
spec:
  selector: {app: door}
  servers:
    - port: {number: 443, name: https, protocol: HTTPS}
      tls: {mode: SIMPLE, credentialName: door-tls}
      hosts: [shop/cart.example]
    - port: {number: 80, name: http, protocol: HTTP}
      hosts: ["shop/*"]
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: cart, namespace: shop}
spec:
  hosts: [cart.example]
  gateways: [edge/door]
  http:
    - route: [{destination: {host: cart}}]
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: legacy, namespace: shop}
spec:
  hosts: [legacy.example]
  gateways: [edge/door]
  http:
    - route: [{destination: {host: legacy}}]
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: empty, namespace: shop}
spec:
  hosts: [empty.example]
  gateways: [edge/door]
  http:
    - route: [{destination: {host: empty}}]
---
apiVersion: security.istio.io/v1
kind: PeerAuthentication
metadata: {name: default, namespace: istio-system}
spec: {mtls: {mode: STRICT}}
---
apiVersion: security.istio.io/v1
kind: RequestAuthentication
metadata: {name: idp, namespace: edge}
spec:
  selector: {matchLabels: {app: door}}
  jwtRules: [{issuer: "https://idp.example", audiences: [cart], jwks: 'JWKS', forwardOriginalToken: true}]
---
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: closed-at-the-door, namespace: edge}
spec:
  selector: {matchLabels: {app: door}}
  action: DENY
  rules:
    - to: [{operation: {paths: [/closed]}}]
    - to: [{operation: {paths: [/members]}}]
      from: [{source: {notRequestPrincipals: ["*"]}}]
---
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: readers, namespace: shop}
spec:
  selector: {matchLabels: {app: cart}}
  action: ALLOW
  rules:
    - from: [{source: {principals: ["cluster.local/ns/edge/sa/door", "cluster.local/ns/shop/sa/caller"]}}]
      to: [{operation: {methods: [GET]}}]
"""
)


@dataclass
class Addresses:
    """The test mesh's addresses."""

    placement: Placement
    outbound: Mapping[WorkloadRef, Address]
    internet: Address
    admin: Mapping[WorkloadRef, Address]
    apps: Mapping[tuple[WorkloadRef, int], Address]
    external: Mapping[tuple[str, int], Address] = field(default_factory=dict)
    authorizers: Mapping[str, Address] = field(default_factory=dict)

    @property
    def ports(self) -> Mapping[tuple[WorkloadRef, int], Address]:
        return self.placement.proxies

    @property
    def pod_ips(self) -> Mapping[WorkloadRef, str]:
        return {DOOR: "10.1.0.1", CART: "10.1.0.2", CALLER: "10.1.0.3", LEGACY: "10.1.0.4"}

    def resolve(self, host: str, port: int, namespace: str) -> tuple[str, int] | None:
        known = {
            "cart": CART_VIP,
            "cart.shop": CART_VIP,
            "redis.shop": REDIS_VIP,
            "api.partner.example": OUTSIDE_IP,
            NOWHERE_IP: NOWHERE_IP,
        }
        return (known[host], port) if host in known else None

    def without_proxy(self, ip: str, port: int) -> Address | None:
        return self.ports[CART, 8080] if (ip, port) == (CART_VIP, 80) else None

    def target_port(self, gateway: WorkloadRef, port: int) -> int | None:
        return {443: 8443, 80: 8080}.get(port)


class World:
    """Everything of the test mesh; `mesh` compiles it with other manifests."""

    def __init__(self, directory: Path, ports: Iterator[int]) -> None:
        self.authorities = Authorities(directory / "pki", ["partner"])
        self.issuers = Issuers({ISSUER: ["cart"]})
        self._ports = ports
        self._placement: Placement | None = None
        self._own = [Address("127.0.0.1", next(ports)) for _ in range(5)]

    def mesh(
        self,
        *edits: tuple[str, str],
        untrusted: Untrusted | None = None,
    ) -> MeshUnderTest:
        text = MANIFESTS.replace("JWKS", self.issuers.jwks[ISSUER])
        for old, new in edits:
            assert old in text, old
            text = text.replace(old, new)
        mesh = load_mesh(parse_manifests(text, "mesh.yaml"))
        self._placement = self._placement or Placement.plan(mesh, lambda: next(self._ports))
        placement = self._placement
        secrets = self._secrets(mesh)
        bootstraps = {
            workload.ref: compile_proxy(mesh, workload.ref, placement, secrets)
            for workload in mesh.workloads
            if workload.injected
        }
        outbound, internet, admin, redis, authorizer = self._own
        redis_ref = WorkloadRef("shop", "redis")
        addresses = Addresses(
            placement,
            {CALLER: outbound},
            internet,
            {**placement.admin, CALLER: admin},
            {**placement.apps, (redis_ref, 6379): redis},
            authorizers={"my-authorizer": authorizer},
        )
        identity = spiffe_id("cluster.local", "shop", "caller")
        bootstraps[CALLER] = caller_bootstrap(addresses, secrets_of(self.authorities, identity))
        identities = {workload.ref: workload.identity("cluster.local") for workload in mesh.workloads}
        return MeshUnderTest(
            bootstraps,
            addresses,
            {**identities, CALLER: identity},
            {CART: "v1"},
            untrusted or (lambda *_: []),
        )

    def _secrets(self, mesh: Mesh) -> SecretFiles:
        workloads = {
            workload.ref: self.authorities.issue(MESH, uris=(workload.identity("cluster.local"),)).directory
            for workload in mesh.workloads
        }
        credentials = {}
        for credential in mesh.credentials:
            files = self.authorities.issue(GATEWAYS, dns=credential.hosts)
            for name, path in (("tls.crt", files.chain), ("tls.key", files.key)):
                (files.directory / name).write_bytes(path.read_bytes())
            credentials[credential.namespace, credential.name] = files.directory
        return SecretFiles(workloads, credentials)


def secrets_of(authorities: Authorities, identity: str) -> dict[str, Any]:
    files = authorities.issue(MESH, uris=(identity,))
    certificate = {"certificateChain": file(files.chain), "privateKey": file(files.key)}
    return {
        "tlsCertificates": [certificate],
        "validationContext": {"trustedCa": file(files.root)},
        "alpnProtocols": ["istio-http/1.1", "istio", "http/1.1"],
    }


def file(path: Path) -> dict[str, str]:
    return {"filename": str(path)}


_EXT = "type.googleapis.com/envoy.extensions."


def caller_bootstrap(addresses: Addresses, mutual: dict[str, Any]) -> dict[str, Any]:
    """The outbound side of a sidecar as Istio structures it, with a PROXY header in place of iptables."""
    proxy_protocol = {
        "name": "envoy.filters.listener.proxy_protocol",
        "typedConfig": {"@type": f"{_EXT}filters.listener.proxy_protocol.v3.ProxyProtocol"},
    }
    tls_inspector = {
        "name": "envoy.filters.listener.tls_inspector",
        "typedConfig": {"@type": f"{_EXT}filters.listener.tls_inspector.v3.TlsInspector"},
    }
    mtls = {
        "name": "envoy.transport_sockets.tls",
        "typedConfig": {
            "@type": f"{_EXT}transport_sockets.tls.v3.UpstreamTlsContext",
            "commonTlsContext": mutual,
            "sni": "outbound_.80_._.cart.shop.svc.cluster.local",
        },
    }
    listeners = [
        {
            "name": "virtualOutbound",
            "address": addresses.outbound[CALLER].envoy,
            "useOriginalDst": True,
            "listenerFilters": [proxy_protocol],
            "filterChains": [{"name": "blackhole", "filters": [tcp_proxy("BlackHoleCluster")]}],
        },
        unbound("0.0.0.0_80", Address("0.0.0.0", 80), [{"filters": [routes()]}]),
        unbound(
            "redis",
            Address(REDIS_VIP, 6379),
            [{"filters": [tcp_proxy("outbound|6379||redis.shop.svc.cluster.local")]}],
        ),
        unbound(
            "0.0.0.0_443",
            Address("0.0.0.0", 443),
            [
                {
                    "filterChainMatch": {"serverNames": ["api.partner.example"]},
                    "filters": [tcp_proxy("outbound|443||api.partner.example")],
                }
            ],
            [tls_inspector],
        ),
    ]
    clusters = [
        cluster(
            "outbound|80|v1|cart.shop.svc.cluster.local", addresses.ports[CART, 8080], transportSocket=mtls
        ),
        cluster(
            "outbound|6379||redis.shop.svc.cluster.local", addresses.apps[WorkloadRef("shop", "redis"), 6379]
        ),
        cluster("outbound|443||api.partner.example", addresses.internet),
        {"name": "BlackHoleCluster", "type": "STATIC"},
    ]
    return {
        "node": {"id": "caller", "cluster": "caller"},
        "admin": {"address": addresses.admin[CALLER].envoy},
        "staticResources": {"listeners": listeners, "clusters": clusters},
    }


def unbound(
    name: str, address: Address, chains: list[dict[str, Any]], filters: list[dict[str, Any]] | None = None
) -> dict[str, Any]:
    return {
        "name": name,
        "address": address.envoy,
        "bindToPort": False,
        "filterChains": chains,
        "listenerFilters": filters or [],
    }


def tcp_proxy(name: str) -> dict[str, Any]:
    config = {"@type": f"{_EXT}filters.network.tcp_proxy.v3.TcpProxy", "statPrefix": name, "cluster": name}
    return {"name": "envoy.filters.network.tcp_proxy", "typedConfig": config}


def routes() -> dict[str, Any]:
    hosts = [
        {
            "name": "cart",
            "domains": ["cart", "cart.shop", "cart.shop:80"],
            "routes": [
                {
                    "name": "moved",
                    "match": {"prefix": "/old"},
                    "requestHeadersToAdd": [{"header": {"key": "x-added", "value": "yes"}}],
                    "requestHeadersToRemove": ["x-secret"],
                    "route": {
                        "cluster": "outbound|80|v1|cart.shop.svc.cluster.local",
                        "prefixRewrite": "/new",
                    },
                },
                {
                    "name": "default",
                    "match": {"prefix": "/"},
                    "route": {"cluster": "outbound|80|v1|cart.shop.svc.cluster.local"},
                },
            ],
        },
        {
            "name": "block_all",
            "domains": ["*"],
            "routes": [{"name": "block_all", "match": {"prefix": "/"}, "directResponse": {"status": 502}}],
        },
    ]
    router = {
        "name": "envoy.filters.http.router",
        "typedConfig": {"@type": f"{_EXT}filters.http.router.v3.Router"},
    }
    return {
        "name": "envoy.filters.network.http_connection_manager",
        "typedConfig": {
            "@type": f"{_EXT}filters.network.http_connection_manager.v3.HttpConnectionManager",
            "statPrefix": "outbound",
            "routeConfig": {"virtualHosts": hosts},
            "httpFilters": [router],
        },
    }


def cluster(name: str, address: Address, **more: object) -> dict[str, Any]:
    endpoints = [{"lbEndpoints": [{"endpoint": {"address": address.envoy}}]}]
    return {
        "name": name,
        "type": "STATIC",
        "loadAssignment": {"clusterName": name, "endpoints": endpoints},
        **more,
    }
