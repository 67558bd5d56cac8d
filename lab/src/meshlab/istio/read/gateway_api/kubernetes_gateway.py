"""Gateway of the Gateway API: its listeners, whose routes they take, and the pods that serve them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, cast

from meshlab.istio.read.fields import Where
from meshlab.istio.read.gateway_api.label_selector import LabelSelector, read_label_selector
from meshlab.istio.read.gateway_api.listener import Listener, read_listeners
from meshlab.istio.read.gateway_api.listener_tls import FrontendValidation, read_frontend
from meshlab.istio.read.gateway_api.references import ObjectRef, read_object_ref
from meshlab.istio.read.gateway_api.schema_values import (
    checked_spec,
    creation_time,
    entries,
    metadata_map,
    required_name,
    unimplemented,
)
from meshlab.istio.read.proxy_config import PROXY_CONFIG, GatewayTopology, proxy_config_of
from meshlab.quick_dataclass import dataclass

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Mapping

    from meshlab.istio.read.fields import Fields
    from meshlab.manifest import Manifest

__all__ = [
    "Address",
    "AllowedListenerSets",
    "Infrastructure",
    "KubernetesGateway",
    "read_kubernetes_gateway",
]

_FIELDS = (
    "gatewayClassName",
    "listeners",
    "addresses",
    "infrastructure",
    "allowedListeners",
    "tls",
)
_NOT_IMPLEMENTED = {"defaultScope": "Istio does not implement it; routes attach by parentRefs alone."}
_ANNOTATIONS = (
    "gateway.istio.io/controller-version",
    "gateway.istio.io/name-override",
    "gateway.istio.io/service-account",
    "networking.istio.io/address-type",
    "networking.istio.io/service-type",
    "proxy.istio.io/config",
    "sidecar.istio.io/componentLogLevel",
    "sidecar.istio.io/logLevel",
    "sidecar.istio.io/proxyImage",
)
_LABELS = (
    "istio.io/dataplane-mode",
    "networking.istio.io/gatewayPort",
    "topology.istio.io/cluster",
    "topology.istio.io/network",
)


@dataclass(frozen=True)
class AllowedListenerSets:
    """Whose ListenerSets a Gateway takes; `selector` chooses namespaces by their labels for `Selector` only."""

    namespaces: Literal["All", "Same", "Selector", "None"]
    selector: LabelSelector | None


@dataclass(frozen=True)
class Address:
    """An address that a Gateway asks for; `kind` is `IPAddress`, `Hostname` or another one."""

    kind: str
    value: str


@dataclass(frozen=True)
class Infrastructure:
    """What the objects get that Istio makes for a Gateway; `None` where nothing is written."""

    labels: Mapping[str, str] | None
    annotations: Mapping[str, str] | None
    parameters: ObjectRef | None


@dataclass(frozen=True)
class KubernetesGateway:
    """A Gateway of the Gateway API as read.

    Attributes:
        class_name: Its GatewayClass.
        listener_sets: Which namespaces may add listeners by ListenerSets; by default none.
        frontend: What it asks of clients' certificates, where it says so.
        frontend_by_port: The same for single ports.
        topology: What stands in front of its pods, as their annotation says.
        created: When it was created, as an export from a cluster says; older Gateways come first.
        not_implemented: Fields that Istio does not implement, each with what follows.
    """

    namespace: str
    name: str
    class_name: str
    listeners: tuple[Listener, ...]
    addresses: tuple[Address, ...]
    infrastructure: Infrastructure
    listener_sets: AllowedListenerSets
    frontend: FrontendValidation | None
    frontend_by_port: Mapping[int, FrontendValidation | None]
    labels: Mapping[str, str]
    annotations: Mapping[str, str]
    topology: GatewayTopology
    created: dt.datetime
    not_implemented: tuple[tuple[Where, str], ...]
    where: Where

    def __str__(self) -> str:
        """Return `namespace/name`."""
        return f"{self.namespace}/{self.name}"


def read_kubernetes_gateway(manifest: Manifest) -> KubernetesGateway:
    """Read a Gateway of the Gateway API.

    Raises:
        ManifestError: An unknown field, or what the schema refuses.
    """
    spec = checked_spec(
        manifest, _FIELDS, annotations=_ANNOTATIONS, labels=_LABELS, passed_over=_NOT_IMPLEMENTED
    )
    namespace = manifest.namespace
    listeners = read_listeners(spec, namespace)
    frontend, by_port = read_frontend(spec, namespace)
    infrastructure = _infrastructure(spec, namespace)
    return KubernetesGateway(
        namespace=namespace,
        name=manifest.name,
        class_name=required_name(spec, "gatewayClassName"),
        listeners=listeners,
        addresses=tuple(
            Address(entry.string("type", "IPAddress"), entry.string("value"))
            for entry in entries(spec, "addresses", ("type", "value"), most=16)
        ),
        infrastructure=infrastructure,
        listener_sets=_listener_sets(spec),
        frontend=frontend,
        frontend_by_port=by_port,
        labels=metadata_map(manifest, "labels"),
        annotations=metadata_map(manifest, "annotations"),
        topology=_topology(infrastructure, manifest),
        created=creation_time(manifest),
        not_implemented=(
            *unimplemented(spec, _NOT_IMPLEMENTED),
            *unimplemented(
                spec.mapping("tls", ("frontend", "backend")),
                {
                    "backend": "Istio checks it and does not use it; backends get no certificate of the gateway."
                },
            ),
        ),
        where=spec.where,
    )


def _listener_sets(spec: Fields) -> AllowedListenerSets:
    namespaces = spec.mapping("allowedListeners", ("namespaces",)).mapping("namespaces", ("from", "selector"))
    choice = namespaces.choice("from", ("All", "Same", "Selector", "None"), "None")
    return AllowedListenerSets(
        cast("Literal['All', 'Same', 'Selector', 'None']", choice),
        read_label_selector(namespaces, "selector"),
    )


def _topology(infrastructure: Infrastructure, manifest: Manifest) -> GatewayTopology:
    where = Where(manifest).key("metadata", "annotations", PROXY_CONFIG)
    annotations = infrastructure.annotations
    if annotations is None:
        annotations = metadata_map(manifest, "annotations")
    else:
        where = Where(manifest).key("spec", "infrastructure", "annotations", PROXY_CONFIG)
    return (
        proxy_config_of(annotations[PROXY_CONFIG], where)
        if PROXY_CONFIG in annotations
        else GatewayTopology()
    )


def _infrastructure(spec: Fields, namespace: str) -> Infrastructure:
    fields = spec.mapping("infrastructure", ("labels", "annotations", "parametersRef"))
    parameters = None
    if fields.raw("parametersRef") is not None:
        parameters = read_object_ref(
            fields.mapping("parametersRef", ("group", "kind", "name")), namespace, None
        )
    return Infrastructure(
        fields.string_map("labels") if fields.raw("labels") is not None else None,
        fields.string_map("annotations") if fields.raw("annotations") is not None else None,
        parameters,
    )
