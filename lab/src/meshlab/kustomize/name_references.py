"""References by name: a name in one object that follows when the object of that name is renamed."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from meshlab.kustomize import fields
from meshlab.kustomize.fieldspecs import FieldSpec, find, merged, ordered, read_field_spec
from meshlab.kustomize.object_ids import NO_NAMESPACE, ObjectId
from meshlab.manifest import ManifestError
from meshlab.quick_dataclass import dataclass

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from meshlab.kustomize.places import Place
    from meshlab.kustomize.resource import Resource

__all__ = ["NameReference", "fix_references", "merged_references", "read_name_reference"]


@dataclass(frozen=True)
class NameReference:
    """The fields that hold the name of an object of some kind.

    Attributes:
        kind: Kind of the object that is named.
        group: Its API group; an empty string takes any.
        version: Its version; an empty string takes any.
        fields: The fields that hold its name.
    """

    kind: str
    group: str = ""
    version: str = ""
    fields: tuple[FieldSpec, ...] = ()

    def names(self, identity: ObjectId) -> bool:
        """Return whether it means objects of that group, version and kind."""
        return FieldSpec("", self.group, self.version, self.kind).selects(identity)


def read_name_reference(value: object, where: str) -> NameReference:
    """Read one entry of `nameReference` of a `configurations` file."""
    spec = fields.known(value, ("kind", "group", "version", "fieldSpecs"), where)
    specs: tuple[FieldSpec, ...] = ()
    for index, entry in enumerate(fields.listing(spec.get("fieldSpecs"), f"{where}.fieldSpecs")):
        place = f"{where}.fieldSpecs[{index}]"
        specs = merged(specs, (read_field_spec(entry, place),), place)
    return NameReference(
        kind=fields.optional(spec.get("kind"), f"{where}.kind"),
        group=fields.optional(spec.get("group"), f"{where}.group"),
        version=fields.optional(spec.get("version"), f"{where}.version"),
        fields=specs,
    )


def merged_references(
    known: Iterable[NameReference], added: Iterable[NameReference], where: str
) -> tuple[NameReference, ...]:
    """Add references to others; those to the same kind become one, in kustomize's order of kinds."""
    result = {(item.group, item.version, item.kind): item for item in known}
    for item in added:
        key = (item.group, item.version, item.kind)
        if key in result:
            item = replace(item, fields=merged(result[key].fields, item.fields, where))
        result[key] = item
    return tuple(sorted(result.values(), key=lambda item: ordered(item.group, item.version, item.kind)))


def fix_references(resources: list[Resource], references: Iterable[NameReference]) -> None:
    """Write the new names of renamed objects into the fields that refer to them, in place.

    Raises:
        ManifestError: A name may mean several objects, or a field is neither a name nor has one.
    """
    known = tuple(references)
    for referrer in resources:
        candidates = _in_reach(referrer, resources)
        original = referrer.original_id
        for reference in known:
            for spec in reference.fields:
                if spec.selects(original):
                    fixer = _Fixer(referrer, candidates, reference, spec)
                    for place in find(referrer, spec):
                        fixer.fix(place)


def _in_reach(referrer: Resource, resources: list[Resource]) -> list[Resource]:
    own = referrer.current_id.namespace
    if own == NO_NAMESPACE:
        return resources
    subjects = _subject_namespaces(referrer)
    return [
        resource
        for resource in resources
        if resource.current_id.namespace in (NO_NAMESPACE, own) or resource.namespace in subjects
    ]


def _subject_namespaces(referrer: Resource) -> set[str]:
    if referrer.kind != "RoleBinding":
        return set()
    found: set[str] = set()
    subjects = referrer.body.get("subjects")
    for subject in subjects if isinstance(subjects, list) else []:
        if isinstance(subject, dict) and subject.get("kind") == "ServiceAccount" and "namespace" in subject:
            if not isinstance(subject["namespace"], str):
                raise ManifestError(f"{referrer}: subjects: a namespace is blank; write or remove it.")
            found.add(subject["namespace"])
    return found


@dataclass(frozen=True)
class _Fixer:
    """One field of one object, and the objects that it may name."""

    referrer: Resource
    candidates: list[Resource]
    reference: NameReference
    spec: FieldSpec

    def fix(self, place: Place) -> None:
        value = place.value
        if isinstance(value, list):
            for index in range(len(value)):
                self.fix(type(place)(value, index))
        elif isinstance(value, dict):
            self._fix_mapping(value)
        elif isinstance(value, str):
            found = self._referral(value, self.candidates, lambda item: item.name)
            if found is not None:
                place.put(found.name)

    def _fix_mapping(self, value: dict[str, Any]) -> None:
        if "name" not in value:
            raise ManifestError(
                f"{self.referrer}: {self.spec.path}: has no name; let the configuration lead to one."
            )
        candidates = self.candidates
        if "namespace" in value:
            candidates = _of_namespace(str(value["namespace"]), candidates)
        found = self._referral(str(value["name"]), candidates, lambda item: (item.name, item.namespace))
        if found is None:
            return
        value["name"] = found.name
        if found.namespace:
            value["namespace"] = found.namespace

    def _referral(
        self, name: str, candidates: Iterable[Resource], written: Callable[[Resource], object]
    ) -> Resource | None:
        # Prefixes and suffixes decide only between several, first leniently (api/filters/nameref/nameref.go).
        fitting = [item for item in candidates if self._fits(item, name)]
        for lenient in (True, False):
            if len(fitting) > 1:
                fitting = [item for item in fitting if _same_affixes(item, self.referrer, lenient=lenient)]
        if len({written(item) for item in fitting}) > 1:
            listed = ", ".join(str(item) for item in fitting)
            raise ManifestError(
                f"{self.referrer}: {self.spec.path}: {name} may mean {listed}; give them different names."
            )
        return fitting[0] if fitting else None

    def _fits(self, candidate: Resource, name: str) -> bool:
        former = candidate.former_ids
        if not any(identity.name == name for identity in former):
            return False
        if not any(self.reference.names(identity) for identity in former):
            return False
        return self._fits_role(former) and self._fits_namespace(candidate)

    def _fits_role(self, former: list[ObjectId]) -> bool:
        role = self.referrer.body.get("roleRef")
        if not self.spec.path.endswith("roleRef/name") or not isinstance(role, dict):
            return True
        if role.get("apiGroup") is None or role.get("kind") is None:
            return True
        wanted = FieldSpec("", group=str(role["apiGroup"]), kind=str(role["kind"]))
        return any(wanted.selects(identity) for identity in former)

    def _fits_namespace(self, candidate: Resource) -> bool:
        # A RoleBinding may name an account of another namespace.
        own, other = self.referrer.current_id.namespace, candidate.current_id.namespace
        return NO_NAMESPACE in (own, other) or candidate.kind == "ServiceAccount" or own == other


def _of_namespace(namespace: str, candidates: list[Resource]) -> list[Resource]:
    originally = [item for item in candidates if item.original_id.namespace == namespace]
    return originally or [item for item in candidates if item.current_id.namespace == namespace]


def _same_affixes(one: Resource, other: Resource, *, lenient: bool) -> bool:
    return _same_end(one.prefixes, other.prefixes, lenient=lenient) and _same_end(
        one.suffixes, other.suffixes, lenient=lenient
    )


def _same_end(one: list[str], other: list[str], *, lenient: bool) -> bool:
    if not one or not other:
        return lenient or one == other
    shorter = min(len(one), len(other))
    return one[-shorter:] == other[-shorter:]
