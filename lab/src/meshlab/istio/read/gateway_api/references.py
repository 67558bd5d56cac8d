"""References between objects: parents of routes, backends, Secrets and other named objects."""

from __future__ import annotations

from typing import TYPE_CHECKING

from meshlab.istio.read.gateway_api.schema_values import (
    GATEWAY_API,
    entries,
    optional_name,
    required_name,
    whole_number,
)
from meshlab.quick_dataclass import dataclass

if TYPE_CHECKING:
    from meshlab.istio.read.fields import Fields, Where

__all__ = [
    "BACKEND_FIELDS",
    "BackendRef",
    "Kind",
    "ObjectRef",
    "ParentRef",
    "read_backend",
    "read_object_ref",
    "read_parents",
]

MAX_PORT = 65535
_MAX_WEIGHT = 1_000_000
_MAX_PARENTS = 32
_REF_FIELDS = ("group", "kind", "name", "namespace")
BACKEND_FIELDS = (*_REF_FIELDS, "port", "weight")


@dataclass(frozen=True)
class Kind:
    """A group and a kind; the group is empty for the core of Kubernetes."""

    group: str
    name: str

    def __str__(self) -> str:
        """Return `group/kind`, or the kind alone."""
        return f"{self.group}/{self.name}" if self.group else self.name


@dataclass(frozen=True)
class ObjectRef:
    """A named object; `namespace` is that of the referring object where none is written."""

    kind: Kind
    namespace: str
    name: str
    where: Where

    def __str__(self) -> str:
        """Return `Kind namespace/name`."""
        return f"{self.kind.name} {self.namespace}/{self.name}"


@dataclass(frozen=True)
class ParentRef:
    """What a route attaches to.

    Attributes:
        target: A Gateway, or a Service or ServiceEntry for routes of the mesh.
        section: The name of a listener; empty for all.
        port: The port of a listener or a service; `None` for all.
    """

    target: ObjectRef
    section: str
    port: int | None

    @property
    def where(self) -> Where:
        """Where it stands."""
        return self.target.where


@dataclass(frozen=True)
class BackendRef:
    """Where a share of the traffic goes.

    Attributes:
        target: A Service, or something else that may not be supported.
        port: The port of the Service; `None` where none is written.
        weight: Its share; 0 for none.
        own_namespace: Whether no namespace is written.
    """

    target: ObjectRef
    port: int | None
    weight: int
    own_namespace: bool

    @property
    def where(self) -> Where:
        """Where it stands."""
        return self.target.where


def read_object_ref(ref: Fields, namespace: str, default: Kind | None) -> ObjectRef:
    """Read a reference to an object.

    Args:
        ref: The reference.
        namespace: The namespace of the referring object.
        default: The kind where none is written; `None` where group and kind must be written.

    Raises:
        ManifestError: A name or kind is missing.
    """
    if default is None and "group" not in ref:
        raise ref.where.key("group").error('missing; write "" for the core of Kubernetes.')
    kind = Kind(
        ref.string("group", default.group if default else ""),
        ref.string("kind", default.name) if default else ref.required("kind"),
    )
    return ObjectRef(
        kind, optional_name(ref, "namespace") or namespace, required_name(ref, "name"), ref.where
    )


def read_parents(spec: Fields, namespace: str) -> tuple[ParentRef, ...]:
    """Read `parentRefs` of a route.

    Raises:
        ManifestError: Something that the schema refuses, such as one parent twice without sections or ports.
    """
    found = tuple(
        ParentRef(
            read_object_ref(entry, namespace, Kind(GATEWAY_API, "Gateway")),
            optional_name(entry, "sectionName") or "",
            whole_number(entry, "port", 1, MAX_PORT),
        )
        for entry in entries(spec, "parentRefs", (*_REF_FIELDS, "sectionName", "port"), most=_MAX_PARENTS)
    )
    for index, parent in enumerate(found):
        for other in found[:index]:
            if not _is_same(parent, other):
                continue
            some = [bool(each.section or each.port) for each in (parent, other)]
            if (parent.section, parent.port) == (other.section, other.port) or some[0] != some[1]:
                problem = f"{parent.target} is a parent already; distinguish them by sectionName or port."
                raise parent.where.error(problem)
    return found


def read_backend(
    ref: Fields,
    namespace: str,
) -> BackendRef:
    """Read a backend.

    Raises:
        ManifestError: A Service without a port, or another thing that the schema refuses.
    """
    target = read_object_ref(ref, namespace, Kind("", "Service"))
    port = whole_number(ref, "port", 1, MAX_PORT)
    if port is None and target.kind == Kind("", "Service"):
        raise ref.where.key("port").error("missing; a Service needs a port.")
    weight = whole_number(ref, "weight", 0, _MAX_WEIGHT, 1)
    return BackendRef(
        target, port, 1 if weight is None else weight, own_namespace=ref.raw("namespace") is None
    )


def _is_same(one: ParentRef, other: ParentRef) -> bool:
    return (one.target.kind, one.target.namespace, one.target.name) == (
        other.target.kind,
        other.target.namespace,
        other.target.name,
    )
