"""`vars`: values of fields that stand for `$(NAME)` in other fields."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from meshlab.kustomize import fieldpath, fields
from meshlab.kustomize.fieldspecs import FieldSpec, find
from meshlab.kustomize.object_ids import ObjectId
from meshlab.kustomize.resource_list import by_any_id
from meshlab.kustomize.yaml_values import text
from meshlab.manifest import ManifestError
from meshlab.quick_dataclass import dataclass

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from meshlab.kustomize.places import Place
    from meshlab.kustomize.resource import Resource

__all__ = ["Variable", "add_variables", "read_variable", "resolve_variables"]

# What follows a dollar sign: an escaped one, a reference, or anything else, which stays as it is.
_DOLLAR = re.compile(r"\$(?:(?P<escaped>\$)|\((?P<name>[^)]*)\)|(?P<other>.))", re.DOTALL)
_INDEX = re.compile(r"(.*)\[(\d+)\]")


@dataclass(frozen=True)
class Variable:
    """One entry of `vars`.

    Attributes:
        name: What stands between `$(` and `)`.
        group: API group of the object that has the value.
        version: Its version.
        kind: Its kind.
        object_name: Its first name.
        namespace: Its namespace; an empty string where any will do.
        path: The field with the value.
        where: Its place, for messages.
    """

    name: str
    group: str
    version: str
    kind: str
    object_name: str
    namespace: str
    path: str
    where: str

    def means(self, identity: ObjectId) -> bool:
        """Return whether an object of that identity has the value."""
        namespace = self.namespace or identity.namespace
        return identity == ObjectId(self.group, self.version, self.kind, self.object_name, namespace)


def read_variable(entry: object, where: str) -> Variable:
    """Read one entry of `vars`."""
    spec = fields.known(entry, ("name", "objref", "fieldref"), where)
    known = ("apiVersion", "group", "version", "kind", "name", "namespace")
    reference = fields.known(spec.get("objref"), known, f"{where}.objref")
    texts = {key: fields.optional(reference.get(key), f"{where}.objref.{key}") for key in known}
    group, _, version = texts["apiVersion"].rpartition("/")
    field = fields.known(spec.get("fieldref"), ("fieldPath", "fieldpath"), f"{where}.fieldref")
    path = field.get("fieldPath", field.get("fieldpath"))
    return Variable(
        name=fields.string(spec.get("name"), f"{where}.name"),
        group=group or texts["group"],
        version=version or texts["version"],
        kind=texts["kind"],
        object_name=texts["name"],
        namespace=texts["namespace"],
        path=fields.optional(path, f"{where}.fieldref.fieldPath") or "metadata.name",
        where=where,
    )


def add_variables(
    known: dict[str, Variable], added: Iterable[Variable], resources: Iterable[Resource]
) -> None:
    """Add variables to others, and mark the objects that have their values, in place.

    Raises:
        ManifestError: Two have one name, or several objects may have the value.
    """
    for variable in added:
        found = by_any_id(resources, variable.means)
        if len(found) > 1:
            listed = ", ".join(str(resource) for resource in found)
            raise ManifestError(
                f"{variable.where}.objref: {listed} match; exactly one may. Name the namespace."
            )
        for resource in found:
            resource.variables.append(variable.name)
        if variable.name in known:
            raise ManifestError(
                f"{variable.where}.name: {variable.name} is defined in {known[variable.name].where} too; "
                "rename one."
            )
        known[variable.name] = variable


def resolve_variables(
    resources: list[Resource], variables: Mapping[str, Variable], specs: Iterable[FieldSpec]
) -> None:
    """Replace the references in the fields that the specifications name, in place.

    A reference to an unknown variable stays: the shell of a container may mean it.

    Raises:
        ManifestError: No object has the value, or a list holds something else than strings.
    """
    values = {name: _value(variable, resources) for name, variable in sorted(variables.items())}
    known = tuple(specs) if values else ()
    for resource in resources:
        for spec in known:
            if spec.selects(resource.current_id):
                for place in find(resource, spec):
                    _resolve(place, values, f"{resource}: {spec.path}")


def _value(variable: Variable, resources: list[Resource]) -> object:
    owner = next((resource for resource in resources if variable.name in resource.variables), None)
    if owner is None:
        raise ManifestError(
            f"{variable.where}.objref: no object is {variable.kind} {variable.object_name}; list it as a resource."
        )
    parts: list[str] = []
    for part in fieldpath.split(variable.path):
        index = _INDEX.fullmatch(part)
        parts += [name for name in index.groups() if name] if index else [part]
    value: object = fieldpath.look_up(owner.body, parts)
    if value is None:
        raise ManifestError(
            f"{variable.where}.fieldref.fieldPath: {owner}: has no field {variable.path}; correct the path."
        )
    return value


def _resolve(place: Place, values: Mapping[str, object], where: str) -> None:
    value = place.value
    if isinstance(value, str):
        place.put(_expanded(value, values))
    elif isinstance(value, dict):
        for key, item in value.items():
            value[key] = _expanded(item, values) if isinstance(item, str) else item
    elif isinstance(value, list):
        for index, item in enumerate(value):
            if not isinstance(item, str):
                raise ManifestError(f"{where}: vars need a list of strings here, found {item!r}; quote it.")
            value[index] = _expanded(item, values)


def _expanded(written: str, values: Mapping[str, object]) -> object:
    whole = _DOLLAR.fullmatch(written)
    if whole and _is_scalar(value := values.get(whole["name"] or "")):
        # A field that is nothing but a reference gets the type of the value.
        return value

    def replaced(found: re.Match[str]) -> str:
        if found["escaped"]:
            return "$"
        value = values.get(found["name"] or "")
        return text(value) if _is_scalar(value) else found[0]

    return _DOLLAR.sub(replaced, written)


def _is_scalar(value: object) -> bool:
    return value is not None and not isinstance(value, dict | list)
