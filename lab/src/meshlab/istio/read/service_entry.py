"""ServiceEntry: a host that the mesh knows beside the Services of the cluster."""

from __future__ import annotations

import ipaddress
from typing import TYPE_CHECKING, Literal, cast

from meshlab.istio.read.export_to import read_export_to
from meshlab.istio.read.fields import Fields, spec_of
from meshlab.istio.read.hosts import host_problem, is_address
from meshlab.istio.read.protocols import named_protocol
from meshlab.istio.read.workload_entry import (
    ENDPOINT_FIELDS,
    ENDPOINT_PASSED_OVER,
    EntryEndpoint,
    read_endpoint,
)
from meshlab.quick_dataclass import dataclass

if TYPE_CHECKING:
    from collections.abc import Mapping

    from meshlab.istio.read.fields import Where
    from meshlab.istio.read.protocols import Protocol
    from meshlab.manifest import Manifest

__all__ = ["EntryPort", "EntryResolution", "ServiceEntry", "read_service_entry"]

EntryResolution = Literal["NONE", "STATIC", "DNS", "DNS_ROUND_ROBIN", "DYNAMIC_DNS"]
_RESOLUTIONS = ("NONE", "STATIC", "DNS", "DNS_ROUND_ROBIN", "DYNAMIC_DNS")
_FIELDS = (
    "hosts", "addresses", "ports", "location", "resolution", "endpoints", "workloadSelector", "exportTo",
    "subjectAltNames",
)  # fmt: skip
_AUTO_ALLOCATE = "networking.istio.io/enable-autoallocate-ip"
_LABELS = (
    _AUTO_ALLOCATE,
    "service.istio.io/canonical-name",
    "service.istio.io/canonical-revision",
)
_ANNOTATIONS = ("networking.istio.io/traffic-distribution", "networking.istio.io/exportTo")


@dataclass(frozen=True)
class EntryPort:
    """A port of a ServiceEntry; `target` is the endpoints' port, `None` for the same number."""

    number: int
    name: str
    protocol: Protocol
    target: int | None
    where: Where


@dataclass(frozen=True)
class ServiceEntry:
    """A ServiceEntry as read.

    Attributes:
        hosts: Names; `*.` in front stands for all names below.
        addresses: Virtual addresses or ranges of them (CIDR); empty where it has none of its own.
        external: Whether it is outside of the mesh: no mutual TLS is chosen for it.
        resolution: How a proxy finds its addresses.
        endpoints: Its endpoints where they are written here.
        selector: Labels of pods and WorkloadEntries of its namespace that are its endpoints; `None` for none.
        export_to: Namespaces that see it; empty for the mesh's default.
        subject_alt_names: The names that its servers' certificates must have.
        auto_allocates: Whether istiod gives it an address where it has none.
        created: Its creation time, where it is written.
    """

    namespace: str
    name: str
    hosts: tuple[str, ...]
    addresses: tuple[str, ...]
    ports: tuple[EntryPort, ...]
    external: bool
    resolution: EntryResolution
    endpoints: tuple[EntryEndpoint, ...]
    selector: Mapping[str, str] | None
    export_to: tuple[str, ...]
    subject_alt_names: tuple[str, ...]
    auto_allocates: bool
    created: str
    where: Where


def read_service_entry(manifest: Manifest) -> ServiceEntry:
    """Read a ServiceEntry (`pkg/config/validation/validation.go#ValidateServiceEntry`).

    Raises:
        ManifestError: An unknown field, or what Istio's validation refuses.
    """
    spec = spec_of(manifest, _FIELDS, annotations=_ANNOTATIONS, labels=_LABELS)
    resolution = cast("EntryResolution", spec.choice("resolution", _RESOLUTIONS, "NONE"))
    ports = tuple(_port(port) for port in spec.items("ports", ("number", "name", "protocol", "targetPort")))
    endpoints = tuple(
        read_endpoint(endpoint)
        for endpoint in spec.items("endpoints", ENDPOINT_FIELDS, passed_over=ENDPOINT_PASSED_OVER)
    )
    selector = None
    if "workloadSelector" in spec:
        selector = spec.mapping("workloadSelector", ("labels",)).string_map("labels")
    labels = manifest.body["metadata"].get("labels") or {}
    entry = ServiceEntry(
        namespace=manifest.namespace,
        name=manifest.name,
        hosts=_hosts(spec),
        addresses=spec.strings("addresses"),
        ports=ports,
        external=spec.choice("location", ("MESH_EXTERNAL", "MESH_INTERNAL"), "MESH_EXTERNAL")
        == "MESH_EXTERNAL",
        resolution=resolution,
        endpoints=endpoints,
        selector=selector,
        export_to=read_export_to(spec, manifest.namespace, of_service=True),
        subject_alt_names=spec.strings("subjectAltNames"),
        auto_allocates=str(labels.get(_AUTO_ALLOCATE, "")).lower() != "false",
        created=manifest.created,
        where=spec.where,
    )
    _check(entry)
    return entry


def _hosts(spec: Fields) -> tuple[str, ...]:
    hosts = spec.strings("hosts")
    where = spec.where.key("hosts")
    if not hosts:
        raise where.error("missing; a ServiceEntry needs a host.")
    for index, host in enumerate(hosts):
        problem = "* is refused by Istio; name the hosts." if host == "*" else host_problem(host)
        if problem:
            raise where.item(index).error(problem)
    return hosts


def _port(port: Fields) -> EntryPort:
    written = port.string("protocol")
    protocol: Protocol | None = named_protocol(written) if written else "auto"
    if protocol is None:
        raise port.where.key("protocol").error(f"{written!r} is no protocol that Istio knows.")
    return EntryPort(
        number=port.port("number"),
        name=port.required("name"),
        protocol=protocol,
        target=port.port("targetPort") if port.raw("targetPort") else None,
        where=port.where,
    )


def _check(entry: ServiceEntry) -> None:
    where = entry.where
    for kind in ("name", "number"):
        written = [getattr(port, kind) for port in entry.ports]
        for index, value in enumerate(written):
            if value in written[:index]:
                raise where.key("ports").item(index).key(kind).error(f"{value} stands here twice; keep one.")
    if entry.selector is not None and entry.endpoints:
        raise where.key("endpoints").error("stands beside workloadSelector; Istio takes only one of them.")
    names = {port.name for port in entry.ports}
    for endpoint in entry.endpoints:
        for name in endpoint.ports:
            if name not in names:
                raise endpoint.where.key("ports", name).error("the ServiceEntry has no port of that name.")
    for index, address in enumerate(entry.addresses):
        try:
            ipaddress.ip_network(address, strict=False)
        except ValueError:
            raise (
                where.key("addresses").item(index).error(f"{address!r} is no IP address or range.")
            ) from None
    _check_resolution(entry)
    opaque = [port for port in entry.ports if port.protocol in ("tcp", "udp", "auto")]
    if entry.resolution != "NONE" and len(entry.hosts) > 1 and opaque:
        raise opaque[0].where.error(
            "several hosts cannot share a port that is neither HTTP nor TLS: nothing distinguishes them."
        )


def _check_resolution(entry: ServiceEntry) -> None:
    where = entry.where
    if any("/" in address for address in entry.addresses) and entry.resolution not in ("NONE", "STATIC"):
        raise where.key("addresses").error("ranges are for the resolutions NONE and STATIC.")
    match entry.resolution:
        case "NONE" if entry.endpoints:
            raise where.key("endpoints").error("resolution NONE has no endpoints; write STATIC or DNS.")
        case "STATIC":
            for endpoint in entry.endpoints:
                if not is_address(endpoint.address):
                    raise endpoint.where.key("address").error("resolution STATIC needs an IP address.")
        case "DNS" | "DNS_ROUND_ROBIN":
            if not entry.endpoints and any(host.startswith("*") for host in entry.hosts):
                raise where.key("hosts").error(
                    f"a wildcard cannot be looked up; resolution {entry.resolution} needs endpoints or full names."
                )
            if entry.resolution == "DNS_ROUND_ROBIN" and len(entry.endpoints) > 1:
                raise where.key("endpoints").error("resolution DNS_ROUND_ROBIN takes one endpoint.")
        case "DYNAMIC_DNS":
            if not all(host.startswith("*") for host in entry.hosts):
                raise where.key("hosts").error("resolution DYNAMIC_DNS is for wildcards alone.")
            for name, value in (("addresses", entry.addresses), ("endpoints", entry.endpoints)):
                if value:
                    raise where.key(name).error("resolution DYNAMIC_DNS looks up each host by its own name.")
            for port in entry.ports:
                if port.protocol not in ("http", "http2", "tls"):
                    raise port.where.error("resolution DYNAMIC_DNS is for HTTP, HTTP2, GRPC and TLS.")
