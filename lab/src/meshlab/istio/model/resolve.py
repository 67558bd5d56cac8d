"""Name resolution of a client in the mesh: the address that it connects to for a host."""

from __future__ import annotations

import ipaddress
from typing import TYPE_CHECKING

from meshlab.istio.model.addresses import PUBLIC, invent

if TYPE_CHECKING:
    from collections.abc import Iterator

    from meshlab.istio.model.mesh import Mesh
    from meshlab.istio.model.registry import MeshService, Registry
    from meshlab.istio.read.workload_ref import WorkloadRef

__all__ = ["resolve"]

_DOMAIN = "cluster.local"
_MOST_ALIASES = 8


def resolve(
    mesh: Mesh, host: str, port: int, from_namespace: str, client: WorkloadRef | None = None
) -> tuple[str, int]:
    """Return the address that a workload connects to.

    The cluster's DNS knows Services only. Other names are looked up outside; a ServiceEntry with addresses is taken at
    its word, and all others get an address that is invented.

    Args:
        mesh: The mesh.
        host: The host of the URL: a name, a short name, or an IP address.
        port: The port of the URL.
        from_namespace: The namespace of the client's pod, in which short names are looked up.
        client: The client, which does not find its own pod behind a headless Service while there are others.

    Raises:
        LookupError: The cluster's DNS would know such a name, and does not.
    """
    try:
        return str(ipaddress.ip_address(host.strip("[]"))), port
    except ValueError:
        pass
    name = host.lower().removesuffix(".")
    registry = mesh.registry
    for _ in range(_MOST_ALIASES):
        found = next(
            (
                address
                for candidate in _search(name, from_namespace)
                if (address := _in_cluster(registry, candidate, client)) is not None
            ),
            None,
        )
        if found is None:
            return _outside(registry, name), port
        kind, value = found
        if kind == "address":
            return value, port
        name = value
    raise LookupError(f"{host} is an ExternalName that leads in a circle.")


def _search(name: str, namespace: str) -> Iterator[str]:
    if not name.endswith(_DOMAIN):
        for domain in (f"{namespace}.svc.{_DOMAIN}", f"svc.{_DOMAIN}", _DOMAIN):
            yield f"{name}.{domain}"
    yield name


def _in_cluster(registry: Registry, name: str, client: WorkloadRef | None) -> tuple[str, str] | None:
    """Return ("address", …) or ("alias", …) for the name of a Service or of a pod behind a headless one."""
    for service in registry.named(name):
        if not service.is_kubernetes:
            continue
        if service.resolution == "alias":
            return "alias", service.external_name.lower().removesuffix(".")
        if service.own_address:
            return "address", service.own_address
        return "address", _pod_of(service, client, name)
    pod, _, rest = name.partition(".")
    for service in registry.named(rest):
        if service.is_headless:
            for endpoints in service.endpoints.values():
                for endpoint in endpoints:
                    if endpoint.workload and pod.rpartition("-")[0] == endpoint.workload.name:
                        return "address", endpoint.address
    return None


def _pod_of(service: MeshService, client: WorkloadRef | None, name: str) -> str:
    pods = [endpoint for endpoints in service.endpoints.values() for endpoint in endpoints]
    pods.sort(key=lambda endpoint: endpoint.workload is not None and endpoint.workload == client)
    if not pods:
        raise LookupError(f"{name} is a headless Service without pods; the name has no address.")
    return pods[0].address


def _outside(registry: Registry, name: str) -> str:
    for service in registry.named(name):
        if service.own_address:
            return service.own_address.partition("/")[0]
    wildcard = next(
        (
            service
            for service in registry.services
            if service.is_wildcard and service.own_address and name.endswith(service.hostname[1:])
        ),
        None,
    )
    if wildcard and wildcard.own_address:
        return wildcard.own_address.partition("/")[0]
    if name in registry.public_ips:
        return registry.public_ips[name]
    if name.endswith(f".{_DOMAIN}") or "." not in name:
        raise LookupError(f"{name}: the cluster's DNS has no such name; correct it, or add its Service.")
    return invent(name, PUBLIC)
