"""A workload's membership in the mesh: whether it has a proxy, of which kind, and on which ports."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from meshlab.istio.read.gateway import Gateway
    from meshlab.istio.read.kubernetes import Deployment, Service, ServicePort, WorkloadRef

__all__ = ["Workload", "WorkloadPort", "spiffe_id", "target_number", "workload_of"]


@dataclass(frozen=True)
class WorkloadPort:
    """A port that a workload serves.

    Attributes:
        number: The pod's own port (a Service's targetPort).
        protocol: `http` (HTTP/1.1) or `http2` for an app; `http` or `https` for a gateway.
    """

    number: int
    protocol: str


@dataclass(frozen=True)
class Workload:
    """A Deployment and its part in the mesh."""

    ref: WorkloadRef
    labels: Mapping[str, str]
    service_account: str
    is_gateway: bool
    injected: bool
    ports: tuple[WorkloadPort, ...]

    def identity(self, trust_domain: str) -> str:
        """The SPIFFE ID in its certificate."""
        return spiffe_id(trust_domain, self.ref.namespace, self.service_account)


def spiffe_id(trust_domain: str, namespace: str, service_account: str) -> str:
    """The identity that Istio gives a workload's certificate (`pkg/spiffe/spiffe.go#Identity.String`)."""
    return f"spiffe://{trust_domain}/ns/{namespace}/sa/{service_account}"


def workload_of(
    deployment: Deployment,
    injects: Mapping[str, bool | None],
    accounts: set[tuple[str, str]],
    services: Iterable[Service],
    gateways: Iterable[Gateway],
) -> Workload:
    """Join a Deployment with what surrounds it.

    Args:
        deployment: The Deployment.
        injects: Namespace to what its labels say about injection.
        accounts: (namespace, name) of every ServiceAccount.
        services: All Services.
        gateways: All Gateways.

    Raises:
        ManifestError: Its account does not exist, or a port of it could not be served as written.
    """
    ref, account = deployment.ref, deployment.service_account
    if account != "default" and (ref.namespace, account) not in accounts:
        problem = f"there is no ServiceAccount {ref.namespace}/{account}; add it."
        raise deployment.where.key("spec.serviceAccountName").error(problem)
    by_namespace = injects.get(ref.namespace)
    # A namespace that opts out wins over everything: the webhook does not even see its pods.
    injected = by_namespace is not False and bool(
        by_namespace if deployment.inject is None else deployment.inject
    )
    if deployment.gateway_template and not injected:
        problem = 'the gateway template needs injection; add the label sidecar.istio.io/inject: "true".'
        raise deployment.where.key("metadata.labels").error(problem)
    chosen = [service for service in services if service.selects(ref.namespace, deployment.labels)]
    is_gateway = injected and deployment.gateway_template
    ports = _gateway_ports(deployment, gateways, chosen) if is_gateway else _app_ports(deployment, chosen)
    if injected and not is_gateway and (unknown := [port for port in ports if not port.protocol]):
        numbers = ", ".join(str(port.number) for port in unknown)
        problem = (
            f"port {numbers} is not HTTP by name, and only HTTP is compiled; name the Service's port http."
        )
        raise deployment.where.error(problem)
    return Workload(ref, deployment.labels, account, is_gateway, injected, ports)


def _app_ports(deployment: Deployment, services: Iterable[Service]) -> tuple[WorkloadPort, ...]:
    found: dict[int, str] = {}
    for service in services:
        for port in service.ports:
            number = target_number(deployment.named_ports, deployment.ref, port)
            if found.setdefault(number, port.protocol) != port.protocol:
                raise port.where.error(
                    f"another Service gives port {number} another protocol; make them agree."
                )
    return tuple(WorkloadPort(number, found[number]) for number in sorted(found))


def _gateway_ports(
    deployment: Deployment, gateways: Iterable[Gateway], services: Iterable[Service]
) -> tuple[WorkloadPort, ...]:
    targets = {
        port.number: target_number(deployment.named_ports, deployment.ref, port)
        for service in services
        for port in service.ports
    }
    found: dict[int, str] = {}
    for gateway in gateways:
        if not gateway.selector.items() <= deployment.labels.items():
            continue
        for server in gateway.servers:
            where = server.where.key("port.number")
            if server.port not in targets:
                problem = f"no Service of {deployment.ref} has port {server.port}, so nobody could reach it."
                raise where.error(f"{problem} Add the port to the Service.")
            number, protocol = targets[server.port], "https" if server.tls else "http"
            if found.setdefault(number, protocol) != protocol:
                raise where.error(
                    f"port {number} of {deployment.ref} would be both HTTP and HTTPS; choose one."
                )
    return tuple(WorkloadPort(number, found[number]) for number in sorted(found))


def target_number(named: Mapping[str, int], ref: WorkloadRef, port: ServicePort) -> int:
    """The number of a Service port's target, which may be the name of a container's port.

    Raises:
        ManifestError: No container has a port of that name.
    """
    if isinstance(port.target, int):
        return port.target
    if port.target not in named:
        raise port.where.key("targetPort").error(f"no container of {ref} names a port {port.target!r}.")
    return named[port.target]
