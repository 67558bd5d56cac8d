"""The bootstrap of one Envoy: the whole configuration of a proxy of the mesh, in one document."""

from __future__ import annotations

from typing import TYPE_CHECKING

from meshlab.istio.envoy.clusters import (
    ServiceClusters,
    app_cluster,
    black_hole_cluster,
    passthrough_cluster,
)
from meshlab.istio.envoy.clusters.authorizers import authorizer_clusters
from meshlab.istio.envoy.gateway_listener import gateway_listeners
from meshlab.istio.envoy.gateway_routes import sni_clusters
from meshlab.istio.envoy.inbound_listener import inbound_listener
from meshlab.istio.envoy.outbound import (
    OutboundContext,
    outbound_listeners,
    virtual_outbound_listener,
)
from meshlab.istio.model.credentials import tls_resources
from meshlab.istio.model.inbound_protocol import uses_client_protocol

if TYPE_CHECKING:
    from collections.abc import Iterable

    from meshlab.istio.envoy.config import Json
    from meshlab.istio.envoy.placement import Address, Placement
    from meshlab.istio.envoy.tls import Secrets
    from meshlab.istio.model.client_credentials import ClientResource
    from meshlab.istio.model.credentials import TlsResource
    from meshlab.istio.model.mesh import Mesh
    from meshlab.istio.model.workload import Workload
    from meshlab.istio.read.workload_ref import WorkloadRef

__all__ = ["ProxyCompiler", "compile_proxy"]


class ProxyCompiler:
    """Compiles the proxies of a mesh; what they share is made once.

    Args:
        mesh: The mesh.
        placement: Where everything listens.
        secrets: How keys and certificates reach the proxies.
    """

    def __init__(self, mesh: Mesh, placement: Placement, secrets: Secrets) -> None:
        self._mesh, self._placement, self._secrets = mesh, placement, secrets
        self._clusters = ServiceClusters(mesh, placement, secrets)
        self._outbound: dict[tuple[object, ...], list[Json]] = {}

    def compile(self, ref: WorkloadRef) -> Json:
        """Compile the configuration of a workload's proxy.

        Returns:
            A whole Envoy bootstrap, ready for `json.dumps`; it holds no key. Parts of it are shared with other proxies:
            copy it before changing it.

        Raises:
            LookupError: There is no such workload, or it has no proxy.
        """
        mesh, placement, secrets = self._mesh, self._placement, self._secrets
        workload = mesh.workload(ref)
        if not workload.injected:
            raise LookupError(f"{ref} has no proxy: neither its namespace nor its pods ask for injection.")
        scope = mesh.visibility.scope_of(workload)
        timeout_s = mesh.settings.connect_timeout_s
        source = placement.source_of(ref)
        clusters = [black_hole_cluster(timeout_s), *authorizer_clusters(mesh, placement)]
        if workload.is_gateway:
            listeners = gateway_listeners(mesh, workload, placement, secrets)
            clusters += _bound(sni_clusters(mesh, workload, placement), source)
        else:
            listeners = [
                inbound_listener(mesh, workload, port, placement, secrets) for port in workload.ports
            ]
            if address := placement.outbound.get(ref):
                listeners += self._outbound_side(OutboundContext(mesh, workload, scope), address)
            clusters += [
                app_cluster(
                    port,
                    placement.apps[ref, port.app_port or port.number],
                    client_protocol=uses_client_protocol(mesh, workload, port),
                )
                for port in workload.ports
            ]
            clusters += _bound([passthrough_cluster(timeout_s, placement.relay)], source)
        client: dict[ClientResource, None] = {}
        for service in scope.services:
            made, resources = self._clusters.of(
                service, scope.rule_for(service, workload.labels), at_gateway=workload.is_gateway
            )
            clusters += _bound(made, source)
            client.update(dict.fromkeys(resources))
        delivered = secrets.resources(ref, _tls_resources(mesh, workload), client)
        return {
            "node": _node(workload),
            "admin": {"address": placement.admin[ref].envoy},
            "staticResources": {
                **delivered,
                "listeners": listeners,
                "clusters": [*clusters, *delivered.get("clusters", [])],
            },
            "layeredRuntime": {"layers": [{"name": "global config", "staticLayer": _RUNTIME}, _ADMIN_LAYER]},
            # Without a limit Envoy warns at every start; Istio sets the same one.
            "overloadManager": {"resourceMonitors": [_CONNECTION_LIMIT]},
        }

    def _outbound_side(self, context: OutboundContext, address: Address) -> list[Json]:
        if context.profile not in self._outbound:
            self._outbound[context.profile] = outbound_listeners(context)
        return [virtual_outbound_listener(context, address), *self._outbound[context.profile]]


def _bound(clusters: Iterable[Json], source: str | None) -> list[Json]:
    """Return clusters whose connections come from the loopback address that stands for the pod's own."""
    if source is None:
        return list(clusters)
    bind = {"sourceAddress": {"address": source, "portValue": 0}}
    return [{**cluster, "upstreamBindConfig": bind} for cluster in clusters]


def compile_proxy(mesh: Mesh, ref: WorkloadRef, placement: Placement, secrets: Secrets) -> Json:
    """Compile the configuration of one workload's proxy; `ProxyCompiler` is for several.

    Args:
        mesh: The mesh.
        ref: The workload.
        placement: Where everything listens.
        secrets: How keys and certificates reach the proxy.

    Returns:
        A whole Envoy bootstrap, ready for `json.dumps`; it holds no key.

    Raises:
        LookupError: There is no such workload, or it has no proxy.
    """
    return ProxyCompiler(mesh, placement, secrets).compile(ref)


# Istio's own settings (pkg/bootstrap/config.go#extractRuntimeFlags), as far as they decide about requests.
_RUNTIME: Json = {
    # A path is judged without what follows a #. Envoy alone would answer 400.
    "envoy.reloadable_features.http_reject_path_with_fragment": False,
    "re2.max_program_size.error_level": 32768,
}
_ADMIN_LAYER: Json = {"name": "admin", "adminLayer": {}}
_CONNECTION_LIMIT: Json = {
    "name": "envoy.resource_monitors.global_downstream_max_connections",
    "typedConfig": {
        "@type": "type.googleapis.com/envoy.extensions.resource_monitors"
        ".downstream_connections.v3.DownstreamConnectionsConfig",
        "maxActiveDownstreamConnections": "2147483647",
    },
}


def _node(workload: Workload) -> Json:
    namespace, name = workload.ref.namespace, workload.ref.name
    kind = "router" if workload.is_gateway else "sidecar"
    return {
        "id": f"{kind}~127.0.0.1~{name}.{namespace}~{namespace}.svc.cluster.local",
        "cluster": f"{workload.labels.get('app', name)}.{namespace}",
        "metadata": {"NAMESPACE": namespace, "LABELS": dict(workload.labels)},
    }


def _tls_resources(mesh: Mesh, workload: Workload) -> list[TlsResource]:
    if not workload.is_gateway:
        return []
    return tls_resources(
        merged.server for port in mesh.gateway_ports(workload).ports for merged in port.servers
    )
