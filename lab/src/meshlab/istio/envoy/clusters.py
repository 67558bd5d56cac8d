"""Clusters: where a proxy sends requests, and over which kind of connection."""

from __future__ import annotations

from typing import TYPE_CHECKING

from meshlab.istio.envoy.tls import upstream_context
from meshlab.istio.model.mtls import mtls_mode
from meshlab.istio.model.workload import target_number

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from meshlab.istio.envoy.config import Json
    from meshlab.istio.envoy.placement import Placement
    from meshlab.istio.envoy.tls import Secrets
    from meshlab.istio.model.mesh import Mesh
    from meshlab.istio.model.workload import Workload
    from meshlab.istio.read.services import Service, ServicePort

__all__ = ["service_cluster", "service_cluster_name"]

_CONNECT_TIMEOUT = "10s"  # Istio's default, MeshConfig.connectTimeout
# What Istio's proxies offer to each other; a receiver in mode PERMISSIVE knows the mesh by these names.
_ALPN = {"http": ("istio-http/1.1", "istio", "http/1.1"), "http2": ("istio-h2", "istio", "h2")}
_PLAINTEXT: Json = {
    "name": "envoy.transport_sockets.raw_buffer",
    "typedConfig": {
        "@type": "type.googleapis.com/envoy.extensions.transport_sockets.raw_buffer.v3.RawBuffer"
    },
}


def service_cluster_name(service: Service, port: ServicePort) -> str:
    """The name that Istio gives to the cluster of a Service's port."""
    return f"outbound|{port.number}||{service.hostname}"


def service_cluster(
    mesh: Mesh, service: Service, port: ServicePort, placement: Placement, secrets: Secrets
) -> Json:
    """The cluster of a Service's port: the pods behind it, over mTLS where they have a proxy that takes it.

    Without a DestinationRule Istio chooses per endpoint (auto mTLS): the workload's own certificate, the server's
    identity checked against the Service's accounts (`pilot/pkg/networking/core/cluster_tls.go`).
    """
    name = service_cluster_name(service, port)
    chosen = [
        workload for workload in mesh.workloads if service.selects(workload.ref.namespace, workload.labels)
    ]
    # Istio expects the same accounts behind every endpoint of a Service.
    identities = sorted({workload.identity(mesh.trust_domain) for workload in chosen if workload.injected})
    sni = f"outbound_.{port.number}_._.{service.hostname}"
    cluster = _cluster(
        name,
        [endpoint for workload in chosen for endpoint in _endpoint(mesh, workload, port, placement)],
        port.protocol,
    )
    if identities:
        context = upstream_context(secrets, identities, sni, _ALPN.get(port.protocol, ()))
        cluster["transportSocketMatches"] = [
            {"name": "tlsMode-istio", "match": {"tlsMode": "istio"}, "transportSocket": context},
            {"name": "tlsMode-disabled", "match": {}, "transportSocket": _PLAINTEXT},
        ]
    return cluster


def _endpoint(mesh: Mesh, workload: Workload, port: ServicePort, placement: Placement) -> Iterator[Json]:
    target = target_number(workload.named_ports, port)
    if target is None:
        return
    if not workload.injected:
        yield {"endpoint": {"address": placement.apps[workload.ref, target].envoy}}
        return
    mode = mtls_mode(
        mesh.attached_to(workload, mesh.peer_authentications),
        namespace=workload.ref.namespace,
        root_namespace=mesh.root_namespace,
        port=target,
    )
    address = placement.proxies.get((workload.ref, target))
    if address is None:  # a gateway whose Gateways do not open the port
        return
    endpoint: Json = {"endpoint": {"address": address.envoy}}
    if mode != "DISABLE":
        endpoint["metadata"] = {"filterMetadata": {"envoy.transport_socket_match": {"tlsMode": "istio"}}}
    yield endpoint


def _cluster(name: str, endpoints: Iterable[Json], protocol: str) -> Json:
    version = "http2ProtocolOptions" if protocol == "http2" else "httpProtocolOptions"
    return {
        "name": name,
        "type": "STATIC",
        "connectTimeout": _CONNECT_TIMEOUT,
        "lbPolicy": "LEAST_REQUEST",
        "loadAssignment": {"clusterName": name, "endpoints": [{"lbEndpoints": list(endpoints)}]},
        "typedExtensionProtocolOptions": {
            "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": {
                "@type": "type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions",
                "explicitHttpConfig": {version: {}},
            }
        },
    }
