"""Servers of other networks, which proxies reach through a gateway of that network.

Follows `pilot/pkg/serviceregistry/kube/controller/{controller,network}.go` and `pilot/pkg/xds/endpoints/ep_filters.go`.
A pod is in the network that its own label names, else in that of Istio's namespace. While no object says that it is the
gateway of a network, networks change nothing. The way through such a gateway is not compiled.

A proxy's own network is a value of the installation. Where it is not written, the one of Istio's namespace is taken, as
Istio's guides ask for both.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from meshlab.istio.model.trust import Refusal, Scope
from meshlab.istio.read.gateway_api.schema_values import metadata_map
from meshlab.istio.read.object_kinds import GATEWAY_API

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from meshlab.istio.model.mesh import Mesh
    from meshlab.manifest import Manifest

__all__ = ["across_networks"]

_NETWORK, _PORT = "topology.istio.io/network", "networking.istio.io/gatewayPort"
_USUAL_PORT = "15443"
_SHOWN = 3


def across_networks(mesh: Mesh, manifests: Iterable[Manifest]) -> Iterator[Refusal]:
    """Yield a refusal for each network that has a gateway, and servers that some proxies reach through it.

    Args:
        mesh: The mesh.
        manifests: All manifests.
    """
    every = list(manifests)
    here = next(
        (
            metadata_map(manifest, "labels").get(_NETWORK, "")
            for manifest in every
            if (manifest.group, manifest.kind, manifest.name) == ("", "Namespace", mesh.root_namespace)
        ),
        "",
    )
    # The network of a proxy does not depend on its pod.
    own = mesh.settings.network or here
    proxies = tuple(str(workload.ref) for workload in mesh.workloads if workload.injected)
    for network, gateway in _gateways(every).items():
        hosts = tuple(dict.fromkeys(_hosts_in(mesh, network, here)))
        if network != own and hosts and proxies:
            shown = ", ".join(hosts[:_SHOWN]) + (", ..." if len(hosts) > _SHOWN else "")
            problem = gateway.problem(
                ("metadata", "labels", _NETWORK),
                f"proxies of network {own or 'none'} reach {shown} through this gateway, which is not compiled; give "
                "the servers the proxies' network, or remove the label.",
            )
            yield Refusal((problem,), (Scope(only=proxies, direction="outbound", hosts=hosts),))


def _gateways(manifests: Iterable[Manifest]) -> Mapping[str, Manifest]:
    """Return the networks that have a gateway, each with the first object that says so."""
    found: dict[str, Manifest] = {}
    for manifest in manifests:
        labels = metadata_map(manifest, "labels")
        if network := labels.get(_NETWORK):
            kind = (manifest.group, manifest.kind)
            port = labels.get(_PORT, _USUAL_PORT)
            if kind == (GATEWAY_API, "Gateway") or (kind == ("", "Service") and port in _ports(manifest)):
                found.setdefault(network, manifest)
    return found


def _ports(service: Manifest) -> set[str]:
    spec = service.body.get("spec")
    ports = spec.get("ports") if isinstance(spec, dict) else None
    return (
        {str(port.get("port")) for port in ports if isinstance(port, dict)}
        if isinstance(ports, list)
        else set()
    )


def _hosts_in(mesh: Mesh, network: str, default: str) -> Iterator[str]:
    for service in mesh.registry.services:
        for endpoints in service.endpoints.values():
            if any((endpoint.labels.get(_NETWORK) or default) == network for endpoint in endpoints):
                yield service.hostname
