"""Input and output of the conversion of the Gateway API."""

from __future__ import annotations

from dataclasses import field
from typing import TYPE_CHECKING, Protocol

from meshlab.quick_dataclass import dataclass

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Mapping, Sequence

    from meshlab.istio.read.destination_rule import DestinationRule
    from meshlab.istio.read.fields import Where
    from meshlab.istio.read.gateway import Gateway
    from meshlab.istio.read.gateway_api import (
        BackendTlsPolicy,
        GatewayClass,
        GrpcRoute,
        HttpRoute,
        KubernetesGateway,
        ListenerSet,
        ReferenceGrant,
        TcpRoute,
        TlsRoute,
    )
    from meshlab.istio.read.gateway_api.listener import Listener
    from meshlab.istio.read.gateway_api.references import Kind, ObjectRef
    from meshlab.istio.read.pods import Pod
    from meshlab.istio.read.service_entry import ServiceEntry
    from meshlab.istio.read.services import Service
    from meshlab.istio.read.virtual_service import VirtualService
    from meshlab.manifest import Manifest, Problem

__all__ = ["Converted", "GatewayApi", "ListenerHolder", "RouteError", "grants_allow", "note"]


class ListenerHolder(Protocol):
    """What Gateways and ListenerSets have in common."""

    @property
    def namespace(self) -> str:
        """Its namespace."""

    @property
    def name(self) -> str:
        """Its name."""

    @property
    def listeners(self) -> tuple[Listener, ...]:
        """Its listeners."""

    @property
    def labels(self) -> Mapping[str, str]:
        """Its labels."""

    @property
    def created(self) -> dt.datetime:
        """When it was created."""

    @property
    def where(self) -> Where:
        """Its spec."""


@dataclass(frozen=True)
class GatewayApi:
    """The objects of the Gateway API, and what they refer to.

    Attributes:
        namespaces: Every namespace that the manifests mention, with the labels that they give to it.
        config_maps: (namespace, name) of the ConfigMaps of the manifests, with their keys.
        workloads: (namespace, name) of what runs pods.
        class_defaults: Class to the place and the keys of the ConfigMap with the defaults of its Gateways.
    """

    classes: Sequence[GatewayClass]
    gateways: Sequence[KubernetesGateway]
    listener_sets: Sequence[ListenerSet]
    http_routes: Sequence[HttpRoute]
    grpc_routes: Sequence[GrpcRoute]
    tls_routes: Sequence[TlsRoute]
    tcp_routes: Sequence[TcpRoute]
    grants: Sequence[ReferenceGrant]
    tls_policies: Sequence[BackendTlsPolicy]
    services: Sequence[Service]
    service_entries: Sequence[ServiceEntry]
    namespaces: Mapping[str, Mapping[str, str]]
    config_maps: Mapping[tuple[str, str], frozenset[str]]
    workloads: frozenset[tuple[str, str]] = frozenset()
    class_defaults: Mapping[str, tuple[Where, frozenset[str]]] = field(default_factory=dict)


@dataclass(frozen=True)
class Converted:
    """What istiod makes of the Gateway API.

    Attributes:
        gateways: One for each listener that is served.
        services: The Services that Istio makes for Gateways.
        pods: The pods of the Deployments that it makes for them.
        refused: Objects that are not compiled, each with the reason.
        passed_over: Objects of other controllers.
        notes: What a cluster would report as a condition that is not met, and what Istio does not implement.
    """

    gateways: tuple[Gateway, ...]
    virtual_services: tuple[VirtualService, ...]
    destination_rules: tuple[DestinationRule, ...]
    services: tuple[Service, ...]
    pods: tuple[Pod, ...]
    refused: tuple[tuple[Manifest, Problem], ...]
    passed_over: tuple[Manifest, ...]
    notes: tuple[Problem, ...]


class RouteError(Exception):
    """A route is not accepted, and none of its rules counts.

    Attributes:
        note: Where and why.
    """

    def __init__(self, where: Where, text: str) -> None:
        self.note = note(where, text)
        super().__init__(str(self.note))


def note(where: Where, text: str) -> Problem:
    """Return a note on a place in a manifest."""
    return where.manifest.problem(where.keys, text, code="ML110")


def grants_allow(
    grants: Sequence[ReferenceGrant], source: Kind, source_namespace: str, target: ObjectRef
) -> bool:
    """Return whether an object may refer to another one: in its own namespace always, else with a grant."""
    return target.namespace == source_namespace or any(
        grant.namespace == target.namespace
        and grant.allows(source, source_namespace, target.kind, target.name)
        for grant in grants
    )
