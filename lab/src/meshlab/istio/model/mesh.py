"""The mesh that a set of manifests describes, checked as a whole."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from meshlab.istio.model.references import check_references
from meshlab.istio.model.workload import Workload, target_number, workload_of
from meshlab.istio.read.attachment import attached
from meshlab.istio.read.authorization_policy import AuthorizationPolicy, read_authorization_policy
from meshlab.istio.read.fields import Where
from meshlab.istio.read.gateway import Gateway, Server, read_gateway
from meshlab.istio.read.kinds import classify
from meshlab.istio.read.kubernetes import (
    Service,
    ServicePort,
    WorkloadRef,
    injects_by_namespace,
    read_deployment,
    read_service,
)
from meshlab.istio.read.peer_authentication import PeerAuthentication, read_peer_authentication
from meshlab.istio.read.request_authentication import RequestAuthentication, read_request_authentication
from meshlab.istio.read.telemetry import Telemetry, read_telemetry
from meshlab.istio.read.virtual_service import VirtualService, read_virtual_service

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from meshlab.manifest import Manifest

__all__ = ["Credential", "Mesh"]

_Object = TypeVar("_Object")


@dataclass(frozen=True)
class Credential:
    """A certificate that a gateway terminates TLS with: a Secret's name, and the hosts it must be good for."""

    namespace: str
    name: str
    hosts: tuple[str, ...]


@dataclass(frozen=True)
class Mesh:
    """Everything the compiler works from.

    Attributes:
        trust_domain: The first part of every identity.
        root_namespace: Whose policies count everywhere.
        workloads: Every Deployment, in the order of their names.
        not_enforced: What the manifests ask for and only a cluster can do, one sentence each.
    """

    trust_domain: str
    root_namespace: str
    workloads: tuple[Workload, ...]
    services: tuple[Service, ...]
    gateways: tuple[Gateway, ...]
    virtual_services: tuple[VirtualService, ...]
    request_authentications: tuple[RequestAuthentication, ...]
    authorization_policies: tuple[AuthorizationPolicy, ...]
    peer_authentications: tuple[PeerAuthentication, ...]
    telemetries: tuple[Telemetry, ...]
    not_enforced: tuple[str, ...]
    named_ports: Mapping[WorkloadRef, Mapping[str, int]]

    @classmethod
    def from_manifests(
        cls,
        manifests: Iterable[Manifest],
        *,
        trust_domain: str = "cluster.local",
        root_namespace: str = "istio-system",
    ) -> Mesh:
        """Read the manifests of a mesh.

        Args:
            manifests: Everything that would be applied.
            trust_domain: The mesh's trust domain (on Cloud Service Mesh `PROJECT.svc.id.goog`).
            root_namespace: Istio's root namespace.

        Raises:
            ManifestError: Something in them is unknown, unsupported, or does not fit together.
        """
        return _Reader(list(manifests)).mesh(trust_domain, root_namespace)

    def workload(self, ref: WorkloadRef) -> Workload:
        """The workload of that name.

        Raises:
            LookupError: There is none.
        """
        for workload in self.workloads:
            if workload.ref == ref:
                return workload
        known = ", ".join(str(workload.ref) for workload in self.workloads) or "none"
        raise LookupError(f"There is no workload {ref}; the manifests have {known}.")

    @property
    def credentials(self) -> tuple[Credential, ...]:
        """The certificates that the gateways need, each once."""
        hosts: dict[tuple[str, str], dict[str, None]] = {}
        for workload in self.workloads:
            for _, server in self.servers(workload) if workload.is_gateway else ():
                if server.tls:
                    found = hosts.setdefault((workload.ref.namespace, server.tls.credential), {})
                    found.update(dict.fromkeys(host.name for host in server.hosts))
        return tuple(Credential(*key, tuple(names)) for key, names in hosts.items())

    def servers(self, workload: Workload) -> list[tuple[Gateway, Server]]:
        """The servers of all Gateways that select a gateway workload, by name."""
        chosen = [gateway for gateway in self.gateways if gateway.selector.items() <= workload.labels.items()]
        ordered = sorted(chosen, key=lambda gateway: (gateway.name, gateway.namespace))
        return [(gateway, server) for gateway in ordered for server in gateway.servers]

    def target_port(self, workload: Workload, number: int) -> int | None:
        """The pod's port behind that port of a Service that selects the workload."""
        for service in self.services:
            if service.selects(workload.ref.namespace, workload.labels):
                for port in service.ports:
                    if port.number == number:
                        return self.resolve(workload, port)
        return None

    def resolve(self, workload: Workload, port: ServicePort) -> int:
        """The number of a Service port's target in that workload."""
        return target_number(self.named_ports[workload.ref], workload.ref, port)

    def attached_to(self, workload: Workload, policies: Iterable[_Policy]) -> list[_Policy]:
        """Those of the policies that reach the workload, in Istio's order."""
        return attached(policies, workload.ref.namespace, workload.labels, self.root_namespace)


_Policy = TypeVar("_Policy", RequestAuthentication, AuthorizationPolicy, PeerAuthentication, Telemetry)


class _Reader:
    def __init__(self, manifests: list[Manifest]) -> None:
        _refuse_duplicates(manifests)
        self._compiled = [manifest for manifest in manifests if classify(manifest) == "compiled"]
        self._elsewhere = [manifest for manifest in manifests if classify(manifest) == "not-enforced"]

    def mesh(self, trust_domain: str, root_namespace: str) -> Mesh:
        deployments = self._read("Deployment", read_deployment)
        services = self._read("Service", read_service)
        gateways = self._read("Gateway", read_gateway)
        injects = {
            manifest.name: injects_by_namespace(manifest)
            for manifest in self._compiled
            if manifest.kind == "Namespace"
        }
        accounts = {
            (manifest.namespace, manifest.name)
            for manifest in self._compiled
            if manifest.kind == "ServiceAccount"
        }
        limited = [service for service in services if service.limits_sources]
        mesh = Mesh(
            trust_domain=trust_domain,
            root_namespace=root_namespace,
            workloads=tuple(
                workload_of(deployment, injects, accounts, services, gateways)
                for deployment in sorted(deployments, key=lambda deployment: deployment.ref)
            ),
            services=tuple(services),
            gateways=tuple(gateways),
            virtual_services=tuple(self._read("VirtualService", read_virtual_service)),
            request_authentications=tuple(self._read("RequestAuthentication", read_request_authentication)),
            authorization_policies=tuple(self._read("AuthorizationPolicy", read_authorization_policy)),
            peer_authentications=tuple(self._read("PeerAuthentication", read_peer_authentication)),
            telemetries=tuple(self._read("Telemetry", read_telemetry)),
            not_enforced=(
                *(
                    f"{manifest}: a cluster's network enforces it, the lab does not."
                    for manifest in self._elsewhere
                ),
                *(
                    f"{service.where.manifest}: spec.loadBalancerSourceRanges: {_LIMITED}"
                    for service in limited
                ),
            ),
            named_ports={deployment.ref: deployment.named_ports for deployment in deployments},
        )
        check_references(mesh)
        return mesh

    def _read(self, kind: str, read: Callable[[Manifest], _Object]) -> list[_Object]:
        return [read(manifest) for manifest in self._compiled if manifest.kind == kind]


_LIMITED = "the load balancer enforces it, the lab does not."


def _refuse_duplicates(manifests: Iterable[Manifest]) -> None:
    seen: dict[tuple[str, str, str, str], Manifest] = {}
    for manifest in manifests:
        key = (manifest.group, manifest.kind, manifest.namespace, manifest.name)
        if key in seen:
            raise Where(manifest, "metadata.name").error(f"{seen[key].source} has the same object; keep one.")
        seen[key] = manifest
