"""`replicas`: how many pods a workload has."""

from __future__ import annotations

from typing import TYPE_CHECKING

from meshlab.kustomize import fields
from meshlab.kustomize.fieldspecs import FieldSpec, find
from meshlab.kustomize.resource_list import by_any_id
from meshlab.manifest import ManifestError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from meshlab.kustomize.object_ids import ObjectId
    from meshlab.kustomize.resource import Resource

__all__ = ["set_replicas"]


def set_replicas(entry: object, resources: list[Resource], specs: Iterable[FieldSpec], where: str) -> None:
    """Apply one entry of `replicas`, in place.

    Raises:
        ManifestError: An unknown field, or no workload has or had that name.
    """
    entries = fields.known(entry, ("name", "count"), where)
    name = fields.string(entries.get("name"), f"{where}.name")
    count = fields.integer(entries.get("count"), f"{where}.count")
    known = tuple(specs)
    found = False
    for spec in known:
        for resource in by_any_id(resources, _named(name, spec)):
            found = True
            for place in find(resource, spec, make=int) if spec.selects(resource.current_id) else ():
                place.put(count)
    if not found:
        kinds = ", ".join(sorted({spec.kind for spec in known}))
        raise ManifestError(
            f"{where}.name: {name}: no object of that name is one of {kinds}; correct the name."
        )


def _named(name: str, spec: FieldSpec) -> Callable[[ObjectId], bool]:
    return lambda identity: identity.name == name and spec.selects(identity)
