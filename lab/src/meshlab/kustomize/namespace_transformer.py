"""`namespace`: the namespace of every object that has one, and of what is known to name it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from meshlab.kustomize.fieldspecs import FieldSpec, find
from meshlab.kustomize.object_ids import NO_NAMESPACE
from meshlab.kustomize.resource_list import refuse_duplicates
from meshlab.manifest import ManifestError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from meshlab.kustomize.resource import Resource

__all__ = ["set_namespace"]

_BINDINGS = ("RoleBinding", "ClusterRoleBinding")


def set_namespace(resources: list[Resource], namespace: str, specs: Iterable[FieldSpec], where: str) -> None:
    """Set the namespace, in place.

    Of the subjects of role bindings those that are called `default` get it here. Others follow their ServiceAccount
    when references are fixed at the end of the build.

    Raises:
        ManifestError: Two objects become the same.
    """
    known = tuple(specs)
    for resource in resources:
        resource.remember()
        if resource.current_id.namespace != NO_NAMESPACE:
            resource.body["metadata"]["namespace"] = namespace
        if resource.kind in _BINDINGS:
            _set_default_subjects(resource, namespace)
        for spec in known:
            if spec.selects(resource.current_id) and _applies(spec, resource):
                for place in find(resource, spec, make=str):
                    if isinstance(place.value, dict | list):
                        raise ManifestError(
                            f"{resource}: {spec.path}: is no scalar; correct the configuration."
                        )
                    place.put(namespace)
    refuse_duplicates(resources, where)


def _applies(spec: FieldSpec, resource: Resource) -> bool:
    if spec.path == "metadata/namespace":
        return False
    if spec.path == "metadata/name":
        return resource.api_version == "v1"
    return not (spec.kind in _BINDINGS and spec.path == "subjects/namespace" and resource.kind in _BINDINGS)


def _set_default_subjects(resource: Resource, namespace: str) -> None:
    subjects = resource.body.get("subjects")
    for subject in subjects if isinstance(subjects, list) else []:
        if isinstance(subject, dict) and subject.get("name") == "default":
            subject["namespace"] = namespace
