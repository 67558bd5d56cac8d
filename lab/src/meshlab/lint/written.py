"""Objects as written, for rules that look at what the mesh's readers pass over or refuse."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from meshlab.istio.read.fields import Where
from meshlab.istio.read.hosts import full_name
from meshlab.istio.read.object_kinds import NETWORKING
from meshlab.istio.read.pods import TEMPLATES
from meshlab.istio.read.protocols import service_protocol
from meshlab.lint.facts import listed, mapping, scalar
from meshlab.quick_dataclass import dataclass

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping

    from meshlab.manifest import Manifest

__all__ = [
    "Destination",
    "PodTemplate",
    "denied_to_all",
    "destinations",
    "exported_to",
    "guessed",
    "injection_of",
    "is_control_plane",
    "is_made_by_istio",
    "is_selected",
    "isolated",
    "labels_of",
    "of_networking",
    "opens_dns",
    "pod_templates",
    "protocol_of",
    "services_of",
    "share_a_namespace",
    "text",
    "text_list",
]


def text(holder: object, name: str) -> str:
    """Return a string of an object as written; empty where there is none."""
    value = holder.get(name) if isinstance(holder, dict) else None
    return value if isinstance(value, str) else ""


def text_list(holder: object, name: str) -> list[str]:
    """Return the strings of a list of an object as written."""
    return [value for value in listed(holder, name) if isinstance(value, str)]


def labels_of(manifest: Manifest) -> Mapping[str, Any]:
    """Return the labels of an object as written."""
    return mapping(manifest.body, "metadata", "labels")


@dataclass(frozen=True)
class PodTemplate:
    """A pod, or the template of pods.

    Attributes:
        where: The template in its object.
        labels: The pods' labels.
        annotations: The pods' annotations.
        spec: The pods' spec.
    """

    where: Where
    labels: Mapping[str, Any]
    annotations: Mapping[str, Any]
    spec: Mapping[str, Any]

    @property
    def manifest(self) -> Manifest:
        """The object that it stands in."""
        return self.where.manifest

    @property
    def containers(self) -> Iterator[tuple[Where, Mapping[str, Any]]]:
        """The containers, each with its place."""
        for name in ("initContainers", "containers"):
            for index, container in enumerate(listed(self.spec, name)):
                if isinstance(container, dict):
                    yield self.where.key("spec", name).item(index), container


def pod_templates(manifests: Iterable[Manifest]) -> Iterator[PodTemplate]:
    """Yield what runs pods."""
    for manifest in manifests:
        path = TEMPLATES.get((manifest.group, manifest.kind))
        if path is not None:
            metadata = mapping(manifest.body, *path, "metadata")
            yield PodTemplate(
                Where(manifest, path),
                mapping(metadata, "labels"),
                mapping(metadata, "annotations"),
                mapping(manifest.body, *path, "spec"),
            )


def is_selected(selector: Mapping[str, Any], labels: Mapping[str, Any]) -> bool:
    """Return whether pods with those labels are selected; a selector without labels selects none."""
    return bool(selector) and selector.items() <= labels.items()


def services_of(manifests: Iterable[Manifest], pod: PodTemplate) -> list[Manifest]:
    """Return the Services that select a pod."""
    return [
        manifest
        for manifest in manifests
        if (manifest.group, manifest.kind, manifest.namespace) == ("", "Service", pod.manifest.namespace)
        and is_selected(mapping(manifest.body, "spec", "selector"), pod.labels)
    ]


@dataclass(frozen=True)
class Destination:
    """A destination of a VirtualService.

    Attributes:
        where: Its place.
        host: Its full name.
        subset: The subset; empty for none.
        port: The number of the port; `None` where none is written.
        is_mirror: Whether it gets copies.
    """

    where: Where
    host: str
    subset: str
    port: int | None
    is_mirror: bool


def destinations(service: Manifest) -> Iterator[Destination]:
    """Yield the destinations of a VirtualService."""
    spec = mapping(service.body, "spec")
    for kind in ("http", "tls", "tcp"):
        for index, rule in enumerate(listed(spec, kind)):
            place = Where(service, ("spec", kind, index))
            for number, entry in enumerate(listed(rule, "route")):
                where = place.key("route").item(number).key("destination")
                yield from _destination(service, where, mapping(entry, "destination"), is_mirror=False)
            yield from _destination(service, place.key("mirror"), mapping(rule, "mirror"), is_mirror=True)
            for number, entry in enumerate(listed(rule, "mirrors")):
                where = place.key("mirrors").item(number).key("destination")
                yield from _destination(service, where, mapping(entry, "destination"), is_mirror=True)


def _destination(
    service: Manifest, where: Where, written: Mapping[str, Any], *, is_mirror: bool
) -> Iterator[Destination]:
    if host := text(written, "host"):
        port = mapping(written, "port").get("number")
        number = port if isinstance(port, int) else None
        name = full_name(host, service.namespace)
        yield Destination(where, name, text(written, "subset"), number, is_mirror)


def exported_to(manifest: Manifest, default: Iterable[str] = ()) -> frozenset[str]:
    """Return the namespaces that see an object of Istio's; `*` for all.

    Args:
        manifest: The object.
        default: What counts where it names none; every namespace where that is empty, too.
    """
    written = text_list(mapping(manifest.body, "spec"), "exportTo") or [*default] or ["*"]
    return frozenset(manifest.namespace if scope == "." else scope for scope in written)


def share_a_namespace(one: frozenset[str], other: frozenset[str]) -> bool:
    """Return whether some namespace sees both of two objects with those scopes."""
    return "*" in one or "*" in other or bool(one & other)


def of_networking(manifests: Iterable[Manifest], kind: str) -> list[Manifest]:
    """Return the objects of one kind of networking.istio.io."""
    return [each for each in manifests if (each.group, each.kind) == (NETWORKING, kind)]


def protocol_of(port: object) -> str:
    """Return the protocol of a port of a Service as Istio reads it, `auto` where it has to guess."""
    written = mapping(port)
    number, app_protocol = written.get("port"), written.get("appProtocol")
    return service_protocol(
        number if isinstance(number, int) else 0,
        text(port, "name"),
        text(port, "protocol") or "TCP",
        app_protocol if isinstance(app_protocol, str) else None,
    )


def guessed(port: object) -> bool:
    """Return whether Istio has to guess the protocol of a port of a Service."""
    return protocol_of(port) == "auto"


def is_made_by_istio(manifest: Manifest) -> bool:
    """Return whether istiod makes an object, for a Gateway of the Gateway API."""
    return "gateway.istio.io/managed" in labels_of(manifest)


def is_control_plane(manifest: Manifest, root_namespace: str) -> bool:
    """Return whether an object is a part of Istio itself."""
    labels = labels_of(manifest)
    return manifest.namespace == root_namespace and ("istio" in labels or labels.get("app") == "istiod")


def injection_of(namespace: Manifest) -> bool | None:
    """Return what a Namespace's labels say about injection: yes, no, or nothing."""
    labels = labels_of(namespace)
    if "istio-injection" in labels:
        return bool(labels["istio-injection"] == "enabled")
    return True if labels.get("istio.io/rev") else None


def opens_dns(rule: object) -> bool:
    """Return whether a rule of a NetworkPolicy names port 53."""
    return any(scalar(port, "port") == _DNS for port in listed(rule, "ports"))


def denied_to_all(policy: Manifest) -> Collection[str]:
    """Return the directions in which a NetworkPolicy isolates every pod of its namespace."""
    spec = mapping(policy.body, "spec")
    return isolated(policy) if spec.get("podSelector") in ({}, None) else ()


def isolated(policy: Manifest) -> Collection[str]:
    """Return the directions in which a NetworkPolicy isolates the pods that it selects."""
    spec = mapping(policy.body, "spec")
    kinds = text_list(spec, "policyTypes")
    return kinds or ("Ingress", *(("Egress",) if "egress" in spec else ()))


_DNS = 53
