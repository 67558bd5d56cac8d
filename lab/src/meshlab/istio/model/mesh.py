"""The mesh that a set of manifests describes."""

from __future__ import annotations

from dataclasses import field
from functools import cached_property
from typing import TYPE_CHECKING, TypeVar

from meshlab.istio.model.build_registry import build_registry
from meshlab.istio.model.credentials import Credential, credentials_of
from meshlab.istio.model.gateway_servers import MergedPorts, merge_servers, ordered_gateways
from meshlab.istio.model.visibility import Visibility
from meshlab.istio.read.attachment import attached
from meshlab.manifest import ManifestError
from meshlab.quick_dataclass import dataclass

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from meshlab.istio.model.registry import Registry
    from meshlab.istio.model.trust import Direction, Refusal
    from meshlab.istio.model.workload import Workload
    from meshlab.istio.read.authorization_policy import AuthorizationPolicy
    from meshlab.istio.read.destination_rule import DestinationRule
    from meshlab.istio.read.gateway import Gateway, Server
    from meshlab.istio.read.mesh_config import MeshSettings
    from meshlab.istio.read.peer_authentication import PeerAuthentication
    from meshlab.istio.read.request_authentication import RequestAuthentication
    from meshlab.istio.read.service_entry import ServiceEntry
    from meshlab.istio.read.services import Service
    from meshlab.istio.read.sidecar import Sidecar
    from meshlab.istio.read.telemetry import Telemetry
    from meshlab.istio.read.virtual_service import VirtualService
    from meshlab.istio.read.workload_entry import WorkloadEntry
    from meshlab.istio.read.workload_ref import WorkloadRef
    from meshlab.manifest import Manifest, Problem

__all__ = ["Credential", "Mesh"]


@dataclass(frozen=True)
class Mesh:
    """Everything that the compiler works from.

    Attributes:
        settings: The mesh-wide settings.
        workloads: Everything that runs pods, in the order of the names.
        refusals: Objects that are not compiled. The traffic that they could change cannot be judged.
        notes: What is legal and hardly intended, such as a selector that selects nothing; and what was assumed.
        passed_over: Objects that never decide a request.
        not_enforced: What the manifests ask for and only a cluster can do, one sentence each.
        stated_addresses: Workload to the IP address of its pod, for the workloads whose address is known.
        issuer_keys: Issuer to the public keys (RFC 7517) that count in place of those of the manifests.
    """

    settings: MeshSettings
    workloads: tuple[Workload, ...]
    services: tuple[Service, ...]
    gateways: tuple[Gateway, ...]
    virtual_services: tuple[VirtualService, ...]
    request_authentications: tuple[RequestAuthentication, ...]
    authorization_policies: tuple[AuthorizationPolicy, ...]
    peer_authentications: tuple[PeerAuthentication, ...]
    telemetries: tuple[Telemetry, ...]
    service_entries: tuple[ServiceEntry, ...] = ()
    workload_entries: tuple[WorkloadEntry, ...] = ()
    destination_rules: tuple[DestinationRule, ...] = ()
    sidecars: tuple[Sidecar, ...] = ()
    refusals: tuple[Refusal, ...] = ()
    notes: tuple[Problem, ...] = ()
    passed_over: tuple[Manifest, ...] = ()
    not_enforced: tuple[str, ...] = ()
    issuer_keys: Mapping[str, str] = field(default_factory=dict)
    stated_addresses: Mapping[WorkloadRef, str] = field(default_factory=dict)

    @property
    def trust_domain(self) -> str:
        """The first part of every identity."""
        return self.settings.trust_domain

    @property
    def root_namespace(self) -> str:
        """The namespace whose policies count everywhere."""
        return self.settings.root_namespace

    def require_complete(self, *, without_notes: bool = False) -> Mesh:
        """Return the mesh, if nothing in its manifests was refused.

        Args:
            without_notes: Whether notes count as refusals.

        Raises:
            ManifestError: Something was refused; the error lists all of it.
        """
        problems = [problem for refusal in self.refusals for problem in refusal.problems]
        if without_notes:
            problems += self.notes
        if problems:
            raise ManifestError(problems)
        return self

    @cached_property
    def usable_authorizers(self) -> tuple[str, ...]:
        """The extension providers whose external authorizer has a service that exists."""
        found = []
        for name, provider in self.settings.extension_providers.items():
            authorizer = provider.authorizer
            if authorizer and not authorizer.problem and self.registry.named(authorizer.host):
                found.append(name)
        return tuple(found)

    def untrusted(
        self, workload: Workload, direction: Direction, host: str | None, port: int | None = None
    ) -> list[Problem]:
        """Return why a request that a proxy handles cannot be judged; empty where it can.

        Args:
            workload: Whose proxy it is.
            direction: What the proxy does with the request.
            host: The host that the request is for; `None` where it is not known.
            port: The port that it is for; `None` where it is not known.
        """
        return [
            problem
            for refusal in self.refusals
            if refusal.covers(workload, direction, host, port)
            for problem in refusal.problems
        ]

    def workload(self, ref: WorkloadRef) -> Workload:
        """Return the workload of that name.

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
        """What the gateways' TLS needs and the manifests do not hold, each once."""
        found: dict[tuple[str, str], Credential] = {}
        for workload in self.workloads:
            if not workload.is_gateway:
                continue
            servers = (
                merged.server for port in self.gateway_ports(workload).ports for merged in port.servers
            )
            for credential in credentials_of(workload.ref.namespace, servers):
                key = credential.namespace, credential.name
                found[key] = found[key].joined(credential) if key in found else credential
        return tuple(found.values())

    def gateway_ports(self, workload: Workload) -> MergedPorts:
        """Return the listeners of a gateway workload: the servers of all Gateways that select it, merged."""
        chosen = ordered_gateways(self.gateways, workload.ref.namespace, workload.labels)
        return merge_servers(chosen, workload.gateway_pods)

    @cached_property
    def registry(self) -> Registry:
        """All services that proxies may know, with their endpoints and addresses."""
        return build_registry(self)

    @cached_property
    def visibility(self) -> Visibility:
        """What each proxy knows."""
        return Visibility(self)

    def servers(self, workload: Workload) -> list[tuple[Gateway, Server]]:
        """Return the servers of all Gateways that select a gateway workload, the oldest Gateway first."""
        return [
            (gateway, server)
            for gateway in ordered_gateways(self.gateways, workload.ref.namespace, workload.labels)
            for server in gateway.servers
        ]

    def services_of(self, workload: Workload) -> list[Service]:
        """Return the Services that select a workload."""
        return [
            service for service in self.services if service.selects(workload.ref.namespace, workload.labels)
        ]

    def target_port(self, workload: Workload, number: int) -> int:
        """Return the pod's port behind a port of a gateway's Service; the number itself where no Service has it."""
        return workload.port_targets.get(number, number)

    def attached_to(self, workload: Workload, policies: Iterable[_Policy]) -> list[_Policy]:
        """Return those of the policies that reach the workload, in Istio's order."""
        return attached(policies, workload.ref.namespace, workload.labels, self.root_namespace)


_Policy = TypeVar(
    "_Policy", "RequestAuthentication", "AuthorizationPolicy", "PeerAuthentication", "Telemetry"
)
