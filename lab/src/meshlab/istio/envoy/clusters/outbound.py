"""Clusters of a service: one for each port, and one for each subset of it.

Follows `pilot/pkg/networking/core/{cluster,cluster_builder,cluster_traffic_policy}.go`. A proxy has the clusters of the
services that it knows, and no others: a route to anything else is answered 503.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from meshlab.istio.envoy.clusters.endpoints import load_balanced_endpoints
from meshlab.istio.envoy.clusters.fixed import to_original_destination
from meshlab.istio.envoy.clusters.http_versions import protocol_options
from meshlab.istio.envoy.connection_manager import duration
from meshlab.istio.envoy.routes import outbound_cluster
from meshlab.istio.envoy.upstream_tls import ClusterTls, istio_mutual, originate
from meshlab.istio.model.client_credentials import client_resources
from meshlab.istio.model.destination_rules import policy_for
from meshlab.istio.model.mtls import namespace_mtls_mode

if TYPE_CHECKING:
    from collections.abc import Iterator

    from meshlab.istio.envoy.clusters.http_versions import HttpVersion
    from meshlab.istio.envoy.config import Json
    from meshlab.istio.envoy.placement import Placement
    from meshlab.istio.envoy.tls import Secrets
    from meshlab.istio.model.client_credentials import ClientResource
    from meshlab.istio.model.destination_rules import MergedRule
    from meshlab.istio.model.mesh import Mesh
    from meshlab.istio.model.registry import MeshPort, MeshService
    from meshlab.istio.read.destination_rule import ClientTls, TrafficPolicy

__all__ = ["ServiceClusters", "http_version", "is_mutual", "upstream_tls_setting"]

_RAW: Json = {
    "name": "envoy.transport_sockets.raw_buffer",
    "typedConfig": {
        "@type": "type.googleapis.com/envoy.extensions.transport_sockets.raw_buffer.v3.RawBuffer"
    },
}


class ServiceClusters:
    """The clusters of services, each made once for all proxies that share it.

    Args:
        mesh: The mesh.
        placement: Where everything listens.
        secrets: How certificates reach the proxies.
    """

    def __init__(self, mesh: Mesh, placement: Placement, secrets: Secrets) -> None:
        self._mesh = mesh
        self._placement = placement
        self._secrets = secrets
        self._made: dict[tuple[int, int, bool], tuple[list[Json], list[ClientResource]]] = {}
        # Identities stand for the objects in the keys, so the objects must live as long as the keys.
        self._kept: list[object] = []

    def of(
        self, service: MeshService, rule: MergedRule | None, *, at_gateway: bool
    ) -> tuple[list[Json], list[ClientResource]]:
        """Return the clusters of a service, and what their TLS refers to.

        The clusters are shared: copy them before changing them.

        Args:
            service: The service.
            rule: The DestinationRule that the proxy follows for it.
            at_gateway: Whether the proxy is a gateway.
        """
        key = (id(service), id(rule), at_gateway)
        if key not in self._made:
            self._kept += [service, rule]
            clusters: list[Json] = []
            resources: dict[ClientResource, None] = {}
            for port in service.ports if service.resolution != "alias" else ():
                if port.protocol == "udp":
                    continue
                for subset in ("", *(subset.name for subset in (rule.subsets if rule else ()))):
                    builder = _Cluster(
                        self._mesh, self._placement, self._secrets, service, port, rule, subset, at_gateway
                    )
                    clusters += builder.build()
                    resources.update(dict.fromkeys(builder.resources))
            self._made[key] = clusters, list(resources)
        return self._made[key]


def upstream_tls_setting(
    rule: MergedRule | None, policy: TrafficPolicy, *, at_gateway: bool
) -> ClientTls | None:
    """Return the TLS setting that a cluster follows; `None` where nothing is written.

    At a sidecar a credential counts only in a rule that chooses its workloads: without, there is no TLS at all.
    """
    tls = policy.tls
    if tls is None or at_gateway or tls.mode not in ("SIMPLE", "MUTUAL"):
        return tls
    by_selector = rule is not None and rule.selector is not None
    if tls.credential_name and not tls.credential_name.startswith("configmap://") and not by_selector:
        return replace(tls, mode="DISABLE")
    return tls


def is_mutual(
    mesh: Mesh, service: MeshService, port: MeshPort, rule: MergedRule | None, subset: str = ""
) -> bool:
    """Return whether connections to a port, or to a subset there, may be mutual TLS with the workload's certificate."""
    tls = policy_for(rule, port.number, subset).tls
    if tls is not None:
        return tls.mode == "ISTIO_MUTUAL"
    return chooses_mutual(mesh, service, port, balanced=_is_balanced(rule, subset))


def http_version(mesh: Mesh, port: MeshPort, policy: TrafficPolicy, *, at_gateway: bool) -> HttpVersion:
    """Return which HTTP the cluster of a port speaks."""
    if policy.use_client_protocol:
        return "client's"
    protocol = port.protocol
    by_mesh = mesh.settings.h2_upgrade_policy == "UPGRADE" and protocol in ("http", "http2")
    upgraded = by_mesh if policy.h2_upgrade is None else policy.h2_upgrade
    # At a sidecar the version of a detected protocol is the client's already.
    detected = protocol == "auto" and not at_gateway
    if protocol == "http2" or (upgraded and not detected):
        return "http2"
    return "client's" if detected else "http1"


def _is_balanced(rule: MergedRule | None, subset: str) -> bool:
    chosen = rule.subset(subset) if rule and subset else None
    wide = chosen.policy if chosen else rule.policy if rule else None
    return not (wide and wide.passthrough)


def chooses_mutual(mesh: Mesh, service: MeshService, port: MeshPort, *, balanced: bool) -> bool:
    """Return whether Istio itself chooses mutual TLS for servers that take it (auto mTLS).

    Where connections go to the address that the client wanted, a cluster has no choice by server: all must take it
    (`push_context.go#BestEffortInferServiceMTLSMode`).
    """
    if service.external or not mesh.settings.enable_auto_mtls:
        return False
    if service.resolution == "original" or not balanced:
        endpoints = service.endpoints.get(port.number, ())
        if not endpoints or not all(endpoint.takes_mtls for endpoint in endpoints):
            return False
    mode = namespace_mtls_mode(
        mesh.peer_authentications, namespace=service.namespace, root_namespace=mesh.root_namespace
    )
    return mode != "DISABLE"


class _Cluster:
    def __init__(
        self,
        mesh: Mesh,
        placement: Placement,
        secrets: Secrets,
        service: MeshService,
        port: MeshPort,
        rule: MergedRule | None,
        subset: str,
        at_gateway: bool,
    ) -> None:
        self._mesh, self._placement, self._secrets = mesh, placement, secrets
        self._service, self._port, self._rule, self._subset = service, port, rule, subset
        self._at_gateway = at_gateway
        self._policy = policy_for(rule, port.number, subset)
        self._tls = upstream_tls_setting(rule, self._policy, at_gateway=at_gateway)

    @property
    def resources(self) -> list[ClientResource]:
        return client_resources(self._tls)

    def build(self) -> Iterator[Json]:
        name = outbound_cluster(self._service.hostname, self._port.number, self._subset)
        version = http_version(self._mesh, self._port, self._policy, at_gateway=self._at_gateway)
        to_original = self._policy.passthrough or (
            self._service.resolution == "original" and not self._at_gateway
        )
        chosen = self._tls is None and self._chooses_mutual()
        tls = self._cluster_tls(name, chosen=chosen, is_http2=version == "http2")
        cluster: Json = {
            "name": name,
            "connectTimeout": duration(self._mesh.settings.connect_timeout_s),
        }
        endpoints = self._endpoints()
        if to_original and (moved := self._on_another_port()):
            to_original, endpoints = False, moved
        if to_original:
            cluster |= to_original_destination(name, self._placement.relay, tls.socket)
        else:
            if not endpoints and self._service.resolution == "dns":
                return  # as in Istio: without servers there is no such cluster
            cluster |= {
                "type": "STATIC",
                "lbPolicy": "LEAST_REQUEST",
                "loadAssignment": {"clusterName": name, "endpoints": [{"lbEndpoints": endpoints}]},
            }
            if tls.socket and chosen and not to_original:
                cluster["transportSocketMatches"] = [
                    {
                        "name": "tlsMode-istio",
                        "match": {"tlsMode": "istio"},
                        "transportSocket": tls.socket,
                    },
                    {"name": "tlsMode-disabled", "match": {}, "transportSocket": _RAW},
                ]
            elif tls.socket:
                cluster["transportSocket"] = tls.socket
        yield cluster | protocol_options(
            version, auto_sni=tls.auto_sni, auto_san_validation=tls.auto_san_validation
        )

    def _endpoints(self) -> list[Json]:
        if self._service.resolution == "dynamic dns":
            # The name in each request is looked up; whatever it is, its server is outside of the mesh.
            return [{"endpoint": {"address": self._placement.internet.envoy}}]
        return load_balanced_endpoints(
            self._mesh, self._service, self._port, self._rule, self._subset, self._placement
        )

    def _on_another_port(self) -> list[Json]:
        """Return the server of resolution NONE with a `targetPort`, which replaces the port that the client wanted."""
        key = (self._service.hostname, self._port.target or 0)
        address = self._placement.external.get(key)
        return [{"endpoint": {"address": address.envoy}}] if address else []

    def _chooses_mutual(self) -> bool:
        balanced = _is_balanced(self._rule, self._subset)
        return chooses_mutual(self._mesh, self._service, self._port, balanced=balanced)

    def _cluster_tls(self, name: str, *, chosen: bool, is_http2: bool) -> ClusterTls:
        tls, service = self._tls, self._service
        if tls is None and not chosen:
            return ClusterTls(None)
        identities = self._mesh.registry.identities_of(service)
        if tls is None or tls.mode == "ISTIO_MUTUAL":
            subjects = tls.subject_alt_names if tls else ()
            # outbound_.80_.v1_.host: the name of the cluster, with dots for what DNS does not allow.
            sni = (tls.sni if tls else "") or name.replace("|", "_.")
            return istio_mutual(
                self._secrets,
                subjects or identities,
                sni,
                is_http2=is_http2,
            )
        if tls.mode == "DISABLE":
            return ClusterTls(None)
        return originate(self._secrets, tls, () if service.is_kubernetes else identities, is_http2=is_http2)
