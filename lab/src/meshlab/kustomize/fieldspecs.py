"""Field specifications: which field of which kinds a transformer changes."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

from meshlab.kustomize import fields
from meshlab.kustomize.places import Place, root
from meshlab.manifest import ManifestError
from meshlab.quick_dataclass import dataclass

if TYPE_CHECKING:
    from collections.abc import Iterator

    from meshlab.kustomize.object_ids import ObjectId
    from meshlab.kustomize.resource import Resource

__all__ = ["FIRST_KINDS", "LAST_KINDS", "FieldSpec", "find", "merged", "ordered", "read_field_spec"]


@dataclass(frozen=True)
class FieldSpec:
    """One field of some kinds. Empty parts of the kind take any.

    Attributes:
        path: Names separated by slashes. Lists on the way are walked without being named.
        group: API group.
        version: API version.
        kind: Kind.
        create: Whether the field is made where it is missing.
    """

    path: str
    group: str = ""
    version: str = ""
    kind: str = ""
    create: bool = False

    def selects(self, identity: ObjectId) -> bool:
        """Return whether it means objects of that group, version and kind."""
        return _selected((identity.group, identity.version, identity.kind), self)


def read_field_spec(value: object, where: str) -> FieldSpec:
    """Read one field specification of a `configurations` file, or of `labels`."""
    spec = fields.known(value, ("path", "group", "version", "kind", "create"), where)
    return FieldSpec(
        path=fields.string(spec.get("path"), f"{where}.path"),
        group=fields.optional(spec.get("group"), f"{where}.group"),
        version=fields.optional(spec.get("version"), f"{where}.version"),
        kind=fields.optional(spec.get("kind"), f"{where}.kind"),
        create=fields.boolean(spec.get("create"), f"{where}.create"),
    )


@lru_cache(maxsize=1024)
def merged(known: tuple[FieldSpec, ...], added: tuple[FieldSpec, ...], where: str) -> tuple[FieldSpec, ...]:
    """Add field specifications to others, as kustomize does.

    A specification is left out where one of the same path is there already for a kind that it selects, so a broad
    one does not widen a narrow one (api/types/fieldspec.go).

    Raises:
        ManifestError: Two disagree about whether the field is created.
    """
    result = list(known)
    for spec in added:
        same = next((other for other in result if other.path == spec.path and _covers(spec, other)), None)
        if same is None:
            result.append(spec)
        elif same.create != spec.create:
            raise ManifestError(
                f"{where}: {spec.path}: an earlier specification says create: {str(same.create).lower()}; "
                "say the same."
            )
    return tuple(sorted(result, key=lambda spec: ordered(spec.group, spec.version, spec.kind)))


# The order in which kustomize puts kinds in its own lists (kyaml/resid/gvk.go). Name references follow it.
FIRST_KINDS = (
    "Namespace",
    "ResourceQuota",
    "StorageClass",
    "CustomResourceDefinition",
    "ServiceAccount",
    "PodSecurityPolicy",
    "Role",
    "ClusterRole",
    "RoleBinding",
    "ClusterRoleBinding",
    "ConfigMap",
    "Secret",
    "Endpoints",
    "Service",
    "LimitRange",
    "PriorityClass",
    "PersistentVolume",
    "PersistentVolumeClaim",
    "Deployment",
    "StatefulSet",
    "CronJob",
    "PodDisruptionBudget",
)
LAST_KINDS = ("MutatingWebhookConfiguration", "ValidatingWebhookConfiguration")


def ordered(group: str, version: str, kind: str) -> tuple[int, str]:
    """Return a sort key that puts kinds in kustomize's order."""
    rank = 0
    if kind in FIRST_KINDS:
        rank = FIRST_KINDS.index(kind) - len(FIRST_KINDS)
    elif kind in LAST_KINDS:
        rank = LAST_KINDS.index(kind) + 1
    return rank, f"{group or '~G'}_{version or '~V'}_{kind or '~K'}"


def find(resource: Resource, spec: FieldSpec, *, make: type | None = None) -> Iterator[Place]:
    """Yield the places in an object that a specification leads to.

    Args:
        resource: The object; the specification must select it.
        spec: The specification. Where it says `create`, mappings on the way are made.
        make: What the last field is made as where it is missing: `dict`, or `str` to leave it to the caller to put
            a scalar there. `None` makes nothing.

    Raises:
        ManifestError: The path leads through a value that is neither a mapping nor a list.
    """
    create = make if spec.create else None
    try:
        yield from _walk(root(resource.body), _split(spec.path), create)
    except TypeError:
        raise ManifestError(
            f"{resource}: {spec.path}: leads through a value that is neither a mapping nor a list."
        ) from None


def _split(path: str) -> list[str]:
    r"""Return the parts of a path; a slash after a backslash belongs to its part."""
    parts = [part.replace("\0", "/") for part in path.replace("\\/", "\0").split("/")]
    return parts[1:] if len(parts) > 1 and not parts[0] else parts


def _walk(place: Place, parts: list[str], make: type | None) -> Iterator[Place]:
    value = place.value
    if not parts:
        yield place
    elif value is None:
        return
    elif isinstance(value, list):
        for index in range(len(value)):
            yield from _walk(Place(value, index), parts, make)
    elif isinstance(value, dict):
        yield from _step(value, parts, make)
    else:
        raise TypeError


def _step(value: dict[str, object], parts: list[str], make: type | None) -> Iterator[Place]:
    name = parts[0].removesuffix("[]")
    is_list = name != parts[0]
    created = name not in value
    if make is None or is_list:
        if created:
            return
    elif value.get(name) is None and (len(parts) > 1 or make is dict):
        value[name] = {}
    yield from _walk(Place(value, name, created), parts[1:], make)


def _covers(spec: FieldSpec, other: FieldSpec) -> bool:
    return _selected((other.group, other.version, other.kind), spec)


def _selected(kind: tuple[str, str, str], spec: FieldSpec) -> bool:
    group, version, name = kind
    return (
        (not spec.kind or spec.kind == name)
        and (not spec.group or spec.group == group)
        and (not spec.version or spec.version == version)
    )
