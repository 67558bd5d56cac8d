"""A workload's part in the mesh: whether it has a proxy, of which kind, and on which ports."""

from __future__ import annotations

from dataclasses import field
from typing import TYPE_CHECKING, Literal

from meshlab.istio.model.gateway_servers import GatewayPods, merge_servers, ordered_gateways
from meshlab.istio.read.proxy_config import GatewayTopology
from meshlab.quick_dataclass import dataclass

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from meshlab.istio.read.gateway import Gateway
    from meshlab.istio.read.pods import Pod
    from meshlab.istio.read.service_entry import ServiceEntry
    from meshlab.istio.read.services import Service, ServicePort
    from meshlab.istio.read.workload_ref import WorkloadRef

__all__ = [
    "ProxyKind",
    "Workload",
    "WorkloadPort",
    "gateway_ports",
    "port_targets",
    "proxy_of",
    "spiffe_id",
    "target_number",
    "workload_of",
]

ProxyKind = Literal["sidecar", "gateway", "none"]


@dataclass(frozen=True)
class WorkloadPort:
    """A port that a workload serves.

    Attributes:
        number: The pod's own port (a Service's targetPort).
        protocol: For an application, as `read.protocols` names it. For a gateway `http`, `https`, `tls` or `tcp`.
        declared: Whether a Service names it. Istio knows no other port of a pod, and takes what comes on one as it is.
        app_port: The port of the application behind it; `None` for the same.
        service: The host of the Service or ServiceEntry that declares it; empty for none.
        service_port: The port there.
    """

    number: int
    protocol: str
    declared: bool = True
    app_port: int | None = None
    service: str = field(default="", compare=False)
    service_port: int = field(default=0, compare=False)


@dataclass(frozen=True)
class Workload:
    """Something that runs pods, and its part in the mesh.

    Attributes:
        ref: Its qualified name.
        labels: Its pods' labels.
        service_account: Its pods' service account.
        proxy: The kind of its proxy.
        ports: What it serves, by number.
        named_ports: Names that its containers give to ports.
        assumed: Whether the manifests do not hold it: a gateway that a Gateway's selector asks for, or a workload
            that a case file declares.
        port_targets: For a gateway, the ports of its Services to the ports of its pods.
        unprivileged: Whether its proxy cannot open ports below 1024.
        topology: For a gateway, what its own annotation says about what stands in front of it.
    """

    ref: WorkloadRef
    labels: Mapping[str, str]
    service_account: str
    proxy: ProxyKind
    ports: tuple[WorkloadPort, ...]
    named_ports: Mapping[str, int]
    assumed: bool = False
    port_targets: Mapping[int, int] = field(default_factory=dict)
    unprivileged: bool = False
    topology: GatewayTopology = field(default_factory=GatewayTopology)

    @property
    def is_gateway(self) -> bool:
        """Whether its proxy is a gateway."""
        return self.proxy == "gateway"

    @property
    def injected(self) -> bool:
        """Whether it has a proxy."""
        return self.proxy != "none"

    @property
    def gateway_pods(self) -> GatewayPods:
        """Its pods, as far as the ports of a gateway depend on them."""
        return GatewayPods(self.ref.namespace, self.labels, self.named_ports, self.port_targets)

    def identity(self, trust_domain: str) -> str:
        """Return the SPIFFE ID in its certificate."""
        return spiffe_id(trust_domain, self.ref.namespace, self.service_account)


def spiffe_id(trust_domain: str, namespace: str, service_account: str) -> str:
    """Return the identity that Istio gives a workload's certificate (`pkg/spiffe/spiffe.go#Identity.String`)."""
    return f"spiffe://{trust_domain}/ns/{namespace}/sa/{service_account}"


def proxy_of(pod: Pod, injects: Mapping[str, bool | None], *, unknown_namespace: bool) -> ProxyKind:
    """Return the proxy that a pod gets.

    Args:
        pod: The pod template.
        injects: Namespace to what its labels say about injection, for the namespaces of the manifests.
        unknown_namespace: What to take for a namespace that the manifests do not hold.
    """
    if pod.own_proxy:
        return pod.own_proxy
    by_namespace = injects.get(pod.ref.namespace, unknown_namespace or None)
    # A namespace that opts out wins over everything: the webhook does not even see its pods.
    if pod.host_network or by_namespace is False or pod.inject is False:
        return "none"
    return pod.template if by_namespace or pod.webhook_label else "none"


def workload_of(
    pod: Pod,
    proxy: ProxyKind,
    services: Iterable[Service],
    gateways: Iterable[Gateway],
    entries: Iterable[ServiceEntry] = (),
) -> Workload:
    """Join a pod template with what surrounds it.

    Args:
        pod: The pod template.
        proxy: The kind of its proxy.
        services: All Services.
        gateways: All Gateways.
        entries: All ServiceEntries, which may choose pods as Services do.
    """
    chosen = sorted(
        (service for service in services if service.selects(pod.ref.namespace, pod.labels)),
        key=lambda service: (service.where.manifest.created, service.hostname),
    )
    targets = port_targets(chosen, pod.named_ports) if proxy == "gateway" else {}
    pods = GatewayPods(pod.ref.namespace, pod.labels, pod.named_ports, targets)
    ports = gateway_ports(pods, gateways) if proxy == "gateway" else _app_ports(pod, chosen, entries)
    return Workload(
        ref=pod.ref,
        labels=pod.labels,
        service_account=pod.service_account,
        proxy=proxy,
        ports=ports,
        named_ports=pod.named_ports,
        port_targets=targets,
        unprivileged=pod.unprivileged,
        topology=pod.topology,
    )


def _app_ports(
    pod: Pod, services: Iterable[Service], entries: Iterable[ServiceEntry]
) -> tuple[WorkloadPort, ...]:
    declaring = [
        (service.where.manifest.created, service.hostname, number, port.number, port.protocol)
        for service in services
        for port in service.ports
        if (number := target_number(pod.named_ports, port)) is not None
    ]
    declaring += [
        (entry.created or _LATER, host, port.target or port.number, port.number, port.protocol)
        for entry in entries
        if entry.namespace == pod.ref.namespace
        and entry.selector is not None
        and entry.selector.items() <= pod.labels.items()
        for host in entry.hosts
        for port in entry.ports
    ]
    found: dict[int, WorkloadPort] = {}
    # The oldest decides, then the first by name (`pilot/pkg/model/context.go#SetServiceTargets`). Where a file says no
    # age, ServiceEntries come after Services.
    for _, host, number, own_number, protocol in sorted(declaring, key=lambda each: each[:2]):
        if protocol != "udp":
            found.setdefault(number, WorkloadPort(number, protocol, service=host, service_port=own_number))
    others = [
        WorkloadPort(port.number, "auto", declared=False) for port in pod.ports if port.number not in found
    ]
    return tuple(sorted([*found.values(), *others], key=lambda port: port.number))


_LATER = "9999"


def port_targets(services: Iterable[Service], named_ports: Mapping[str, int]) -> dict[int, int]:
    """Return the pod's port behind each port of a gateway's Services, of which the first that has a port decides."""
    targets: dict[int, int] = {}
    for service in services:
        for port in service.ports if service.translates_ports else ():
            number = target_number(named_ports, port)
            if number is not None:
                targets.setdefault(port.number, number)
    return targets


def gateway_ports(pods: GatewayPods, gateways: Iterable[Gateway]) -> tuple[WorkloadPort, ...]:
    """Return the ports that the Gateways which select a gateway's pods open in them."""
    merged = merge_servers(ordered_gateways(gateways, pods.namespace, pods.labels), pods)
    return tuple(WorkloadPort(port.number, port.protocol) for port in merged.ports)


def target_number(named: Mapping[str, int], port: ServicePort) -> int | None:
    """Return the number of a Service port's target, which may be the name of a container's port.

    Returns:
        The number, or `None` where no container has a port of that name.
    """
    return port.target if isinstance(port.target, int) else named.get(port.target)
