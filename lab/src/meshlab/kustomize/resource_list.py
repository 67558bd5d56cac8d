"""The objects of a build in their order: additions, and searches by identity."""

from __future__ import annotations

from typing import TYPE_CHECKING

from meshlab.manifest import ManifestError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from meshlab.kustomize.object_ids import ObjectId
    from meshlab.kustomize.resource import Resource

__all__ = ["append", "by_any_id", "refuse_duplicates", "the_one"]


def append(resources: list[Resource], added: Iterable[Resource]) -> None:
    """Append objects.

    Raises:
        ManifestError: An object has the identity of another.
    """
    taken = {resource.current_id: resource for resource in resources}
    for resource in added:
        _take(taken, resource)
        resources.append(resource)


def refuse_duplicates(resources: Iterable[Resource], where: str) -> None:
    """Check that a change gave no two objects the same identity.

    Raises:
        ManifestError: It did.
    """
    taken: dict[ObjectId, Resource] = {}
    for resource in resources:
        try:
            _take(taken, resource)
        except ManifestError as error:
            raise ManifestError(f"{where}: {error}") from None


def by_any_id(resources: Iterable[Resource], matches: Callable[[ObjectId], bool]) -> list[Resource]:
    """Return the objects of which a current or former identity matches."""
    return [resource for resource in resources if any(matches(identity) for identity in resource.ids)]


def the_one(resources: Iterable[Resource], wanted: ObjectId, where: str) -> Resource:
    """Return the object that has or had an identity.

    Raises:
        ManifestError: None has, or several have.
    """
    found = by_any_id(resources, lambda identity: identity == wanted)
    if len(found) == 1:
        return found[0]
    if found:
        listed = ", ".join(str(resource) for resource in found)
        raise ManifestError(
            f"{where}: {wanted}: several objects match: {listed}. Give the patch a target that means one."
        )
    raise ManifestError(
        f"{where}: {wanted}: no object matches; correct apiVersion, kind, name or namespace of the patch."
    )


def _take(taken: dict[ObjectId, Resource], resource: Resource) -> None:
    identity = resource.current_id
    if identity in taken:
        raise ManifestError(f"{resource}: the same object comes from {taken[identity].source} already.")
    taken[identity] = resource
