"""`sortOptions`: the order of the objects in the result."""

from __future__ import annotations

from typing import TYPE_CHECKING

from meshlab.kustomize import fields
from meshlab.kustomize.fieldspecs import FIRST_KINDS, LAST_KINDS
from meshlab.manifest import ManifestError

if TYPE_CHECKING:
    from meshlab.kustomize.resource import Resource

__all__ = ["sort"]


def sort(resources: list[Resource], options: object, where: str) -> list[Resource]:
    """Return the objects in the order that `sortOptions` asks for.

    Args:
        resources: The objects in the order of the files.
        options: `sortOptions` as written, or `None` to keep that order.
        where: Its place, for messages.

    Raises:
        ManifestError: An unknown order, or lists of kinds that go with another one.
    """
    if options is None:
        return resources
    spec = fields.known(options, ("order", "legacySortOptions"), where)
    order = fields.one_of(spec.get("order"), ("fifo", "legacy"), f"{where}.order")
    legacy = spec.get("legacySortOptions")
    if order == "fifo":
        if legacy is not None:
            raise ManifestError(f"{where}.legacySortOptions: goes with order: legacy alone; remove it.")
        return resources
    first, last = list(FIRST_KINDS), list(LAST_KINDS)
    if legacy is not None:
        kinds = fields.known(legacy, ("orderFirst", "orderLast"), f"{where}.legacySortOptions")
        first, last = (
            fields.string_list(kinds.get(name), f"{where}.legacySortOptions.{name}")
            for name in ("orderFirst", "orderLast")
        )
    return sorted(resources, key=lambda resource: _key(resource, first, last))


def _key(resource: Resource, first: list[str], last: list[str]) -> tuple[int, str, str]:
    rank = 0
    if resource.kind in first:
        rank = first.index(resource.kind) - len(first)
    if resource.kind in last:
        rank = last.index(resource.kind) + 1
    kind = f"{resource.group or '~G'}_{resource.version or '~V'}_{resource.kind}"
    return rank, kind, f"{resource.namespace or '~X'}|{resource.name}"
