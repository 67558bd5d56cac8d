"""Service: a name in front of pods, and the protocols of its ports."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from meshlab.istio.read.fields import Fields, Where, spec_of
from meshlab.istio.read.protocols import service_protocol
from meshlab.quick_dataclass import dataclass

if TYPE_CHECKING:
    from collections.abc import Mapping

    from meshlab.istio.read.protocols import Protocol
    from meshlab.manifest import Manifest

__all__ = ["Service", "ServicePort", "read_service"]

_EXPORT_TO = "networking.istio.io/exportTo"
_NO_TRANSLATION = "experimental.istio.io/disable-gateway-port-translation"
_ACCOUNTS = "alpha.istio.io/kubernetes-serviceaccounts"
_CANONICAL_ACCOUNTS = "alpha.istio.io/canonical-serviceaccounts"
_FIELDS = ("clusterIP", "clusterIPs", "externalName", "loadBalancerSourceRanges", "ports", "selector", "type")
_OUTSIDE = "it decides how the cluster's network leads to the Service"
_ENDPOINTS = "it chooses between endpoints that are alike"
_PASSED_OVER = {
    **dict.fromkeys(
        (
            "allocateLoadBalancerNodePorts", "externalIPs", "externalTrafficPolicy", "healthCheckNodePort",
            "ipFamilies", "ipFamilyPolicy", "loadBalancerClass", "loadBalancerIP",
        ),
        _OUTSIDE,
    ),
    **dict.fromkeys(
        (
            "internalTrafficPolicy", "publishNotReadyAddresses", "sessionAffinity", "sessionAffinityConfig",
            "trafficDistribution",
        ),
        _ENDPOINTS,
    ),
}  # fmt: skip
_PORT_FIELDS = ("name", "port", "targetPort", "protocol", "appProtocol")
_PORT_PASSED_OVER = {"nodePort": _OUTSIDE}


@dataclass(frozen=True)
class ServicePort:
    """A port of a Service. `target` is the pod's port, or the name that a container gives to it."""

    number: int
    name: str
    target: int | str
    protocol: Protocol
    where: Where


@dataclass(frozen=True)
class Service:
    """A Service.

    Attributes:
        selector: The labels of its pods; empty for a Service that reaches nothing by itself.
        kind: `headless` has no address of its own, `external` stands for `external_name`.
        addresses: Its `clusterIP`s as written; empty where the cluster chooses.
        export_to: Namespaces that see it; empty for the mesh's default.
        accounts: Identities that its endpoints may have beside those of its pods.
        translates_ports: Whether a port of a Gateway may be one of its ports, and so mean its target.
        limits_sources: Whether `loadBalancerSourceRanges` is there.
    """

    namespace: str
    name: str
    selector: Mapping[str, str]
    ports: tuple[ServicePort, ...]
    kind: Literal["cluster", "headless", "external"]
    external_name: str
    addresses: tuple[str, ...]
    export_to: tuple[str, ...]
    accounts: tuple[str, ...]
    translates_ports: bool
    limits_sources: bool
    where: Where

    def selects(self, namespace: str, labels: Mapping[str, str]) -> bool:
        """Return whether pods of that namespace with those labels are its endpoints."""
        chosen = self.selector.items() <= labels.items()
        return self.namespace == namespace and bool(self.selector) and chosen

    @property
    def hostname(self) -> str:
        """The name by which routes refer to it."""
        return f"{self.name}.{self.namespace}.svc.cluster.local"


def read_service(manifest: Manifest) -> Service:
    """Read a Service.

    Raises:
        ManifestError: A field or value that is not known.
    """
    annotations = (_EXPORT_TO, _ACCOUNTS, _CANONICAL_ACCOUNTS, *_NEAREST)
    spec = spec_of(manifest, _FIELDS, annotations=annotations, labels=_LABELS, passed_over=_PASSED_OVER)
    metadata = Where(manifest).key("metadata")
    written = Fields(manifest.body.get("metadata"), metadata, tuple(manifest.body["metadata"]))
    notes = written.string_map("annotations")
    kind = spec.choice("type", ("ClusterIP", "NodePort", "LoadBalancer", "ExternalName"), "ClusterIP")
    addresses = tuple(dict.fromkeys(filter(None, (spec.string("clusterIP"), *spec.strings("clusterIPs")))))
    external = spec.string("externalName") if kind == "ExternalName" else ""
    return Service(
        namespace=manifest.namespace,
        name=manifest.name,
        selector={} if external else spec.string_map("selector"),
        ports=_ports(spec),
        kind="external" if external else "headless" if "None" in addresses else "cluster",
        external_name=external,
        addresses=tuple(address for address in addresses if address != "None"),
        export_to=tuple(
            manifest.namespace if scope == "." else scope for scope in _listed(notes.get(_EXPORT_TO, ""))
        ),
        accounts=(
            *_listed(notes.get(_CANONICAL_ACCOUNTS, "")),
            *(f"ns/{manifest.namespace}/sa/{name}" for name in _listed(notes.get(_ACCOUNTS, ""))),
        ),
        translates_ports=_NO_TRANSLATION not in written.string_keys("labels"),
        limits_sources="loadBalancerSourceRanges" in spec,
        where=spec.where,
    )


# It chooses among endpoints of different places, and the lab is one place.
_NEAREST = ("networking.istio.io/traffic-distribution",)
_LABELS = (
    _NO_TRANSLATION,
    # istiod makes it for a Gateway of the Gateway API, as a cluster's export shows.
    "gateway.istio.io/managed",
    "networking.istio.io/gatewayPort",
    "topology.istio.io/cluster",
    "topology.istio.io/network",
)


def _ports(spec: Fields) -> tuple[ServicePort, ...]:
    if not spec.raw("ports"):
        return ()
    return tuple(_port(port) for port in spec.items("ports", _PORT_FIELDS, passed_over=_PORT_PASSED_OVER))


def _port(port: Fields) -> ServicePort:
    number = port.port("port")
    target = port.raw("targetPort")
    if target is None or target == 0:
        target = number
    elif isinstance(target, str):
        target = int(target) if target.isascii() and target.isdigit() else target
    else:
        target = port.port("targetPort")
    name = port.string("name")
    app_protocol = port.string("appProtocol") if port.raw("appProtocol") is not None else None
    transport = port.choice("protocol", ("TCP", "UDP", "SCTP"), "TCP")
    return ServicePort(
        number, name, target, service_protocol(number, name, transport, app_protocol), port.where
    )


def _listed(text: str) -> tuple[str, ...]:
    return tuple(part for item in text.split(",") if (part := item.strip()))
