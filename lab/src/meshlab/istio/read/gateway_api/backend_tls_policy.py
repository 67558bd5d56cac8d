"""BackendTLSPolicy: TLS towards a backend, and whose certificate it must show."""

from __future__ import annotations

from typing import TYPE_CHECKING

from meshlab.istio.read.gateway_api.references import ObjectRef, read_object_ref
from meshlab.istio.read.gateway_api.schema_values import (
    checked_spec,
    entries,
    hostname_problem,
    metadata_map,
    optional_name,
)
from meshlab.quick_dataclass import dataclass

if TYPE_CHECKING:
    from meshlab.istio.read.fields import Fields, Where
    from meshlab.manifest import Manifest

__all__ = ["BackendTarget", "BackendTlsPolicy", "read_backend_tls_policy"]

_IGNORE = "istio.io/ignore-policy-attachment"
_REF_FIELDS = ("group", "kind", "name")
_MOST_TARGETS = 16


@dataclass(frozen=True)
class BackendTarget:
    """A Service or ServiceEntry; `section` is the name of a port, empty for all ports."""

    ref: ObjectRef
    section: str


@dataclass(frozen=True)
class BackendTlsPolicy:
    """A BackendTLSPolicy as read.

    Attributes:
        targets: The backends.
        hostname: The server name that is asked for, and the name in the certificate where `names` is empty.
        names: Names, of which the certificate must have one.
        authorities: ConfigMaps with the CA; empty for the operating system's CAs.
        well_known: `wellKnownCACertificates`.
        ignored: Whether an annotation makes Istio ignore it.
        created: Its creation time, where it is written.
    """

    namespace: str
    name: str
    targets: tuple[BackendTarget, ...]
    hostname: str
    names: tuple[str, ...]
    authorities: tuple[ObjectRef, ...]
    well_known: str
    ignored: bool
    created: str
    where: Where


def read_backend_tls_policy(manifest: Manifest) -> BackendTlsPolicy:
    """Read a BackendTLSPolicy.

    Raises:
        ManifestError: An unknown field, or what the schema refuses.
    """
    spec = checked_spec(manifest, ("targetRefs", "validation", "options"), annotations=(_IGNORE,))
    namespace = manifest.namespace
    targets = tuple(
        BackendTarget(read_object_ref(entry, namespace, None), optional_name(entry, "sectionName") or "")
        for entry in entries(spec, "targetRefs", (*_REF_FIELDS, "sectionName"), most=_MOST_TARGETS)
    )
    if not targets:
        raise spec.where.key("targetRefs").error("missing; name a backend.")
    _check_targets(targets)
    options = spec.string_map("options")
    for key in options:
        if key.partition("/")[0].endswith("istio.io"):
            spec.where.key("options", key).report("is not known; remove it.")
    known = ("hostname", "subjectAltNames", "caCertificateRefs", "wellKnownCACertificates")
    validation = spec.mapping("validation", known)
    hostname = validation.required("hostname")
    if problem := hostname_problem(hostname, wildcard=False):
        raise validation.where.key("hostname").error(problem)
    authorities = tuple(
        read_object_ref(entry, namespace, None)
        for entry in entries(validation, "caCertificateRefs", _REF_FIELDS, most=8)
    )
    well_known = validation.string("wellKnownCACertificates")
    if bool(authorities) == bool(well_known):
        problem = "needs either caCertificateRefs or wellKnownCACertificates."
        raise validation.where.error(problem)
    ignore = metadata_map(manifest, "annotations").get(_IGNORE, "")
    return BackendTlsPolicy(
        namespace=namespace,
        name=manifest.name,
        targets=targets,
        hostname=hostname,
        names=_names(validation),
        authorities=authorities,
        well_known=well_known,
        ignored=ignore.lower() == "true",
        created=manifest.created,
        where=spec.where,
    )


def _check_targets(targets: tuple[BackendTarget, ...]) -> None:
    for index, target in enumerate(targets):
        for other in targets[:index]:
            same = (target.ref.kind, target.ref.name) == (other.ref.kind, other.ref.name)
            if same and (target.section == other.section or not (target.section and other.section)):
                problem = f"{target.ref} stands here twice; distinguish the two by sectionName."
                raise target.ref.where.error(problem)


def _names(validation: Fields) -> tuple[str, ...]:
    found = []
    for entry in entries(validation, "subjectAltNames", ("type", "hostname", "uri"), most=5):
        own = {"Hostname": "hostname", "URI": "uri"}
        kind = entry.choice("type", tuple(own), "")
        for name, field in own.items():
            if bool(entry.string(field)) != (name == kind):
                raise entry.where.key(field).error(f"does not fit type {kind}; correct one of them.")
        found.append(entry.string(own[kind]))
    return tuple(found)
