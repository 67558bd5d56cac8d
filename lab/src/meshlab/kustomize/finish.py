"""Last steps after every kustomization is built: hashes, references, variables, and the order."""

from __future__ import annotations

from typing import TYPE_CHECKING

from meshlab.kustomize.hashes import add_hashes
from meshlab.kustomize.name_references import fix_references
from meshlab.kustomize.order import sort
from meshlab.kustomize.resource_list import refuse_duplicates
from meshlab.kustomize.variables import resolve_variables
from meshlab.kustomize.yaml_values import text

if TYPE_CHECKING:
    from meshlab.kustomize.accumulator import Accumulator
    from meshlab.kustomize.kustomization import Kustomization
    from meshlab.kustomize.resource import Resource
    from meshlab.manifest import Manifest

__all__ = ["finish"]

_LOCAL_CONFIG = "config.kubernetes.io/local-config"


def finish(accumulator: Accumulator, top: Kustomization) -> list[Manifest]:
    """Return the manifests of a build.

    Args:
        accumulator: What the kustomizations have gathered.
        top: The kustomization that is built, whose `sortOptions` count.

    Raises:
        ManifestError: A reference is ambiguous, a variable has no value, or two objects have become the same.
    """
    add_hashes(accumulator.resources)
    fix_references(accumulator.resources, accumulator.configuration.references)
    places = accumulator.configuration.fields("varReference")
    resolve_variables(accumulator.resources, accumulator.variables, places)
    applied = [resource for resource in accumulator.resources if not _is_local(resource)]
    refuse_duplicates(applied, top.path)
    for resource in applied:
        _write_annotations(resource)
    return [
        resource.manifest()
        for resource in sort(applied, top.spec.get("sortOptions"), f"{top.path}: sortOptions")
    ]


def _is_local(resource: Resource) -> bool:
    annotations = resource.body["metadata"].get("annotations") or {}
    return _LOCAL_CONFIG in annotations and annotations[_LOCAL_CONFIG] != "false"


def _write_annotations(resource: Resource) -> None:
    # kustomize writes annotations anew at the end, as strings, and leaves an empty mapping out.
    annotations = resource.body["metadata"].pop("annotations", None)
    if annotations:
        resource.body["metadata"]["annotations"] = {key: text(value) for key, value in annotations.items()}
