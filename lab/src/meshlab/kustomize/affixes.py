"""`namePrefix` and `nameSuffix`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from meshlab.kustomize.fieldspecs import FieldSpec, find
from meshlab.kustomize.yaml_values import text

if TYPE_CHECKING:
    from collections.abc import Iterable

    from meshlab.kustomize.resource import Resource

__all__ = ["add_prefix", "add_suffix"]

_NAME = "metadata/name"
# Kinds whose name means something outside of the cluster's objects (api/internal/builtins/PrefixTransformer.go).
_SKIPPED = (
    FieldSpec("", kind="CustomResourceDefinition"),
    FieldSpec("", group="apiregistration.k8s.io", kind="APIService"),
    FieldSpec("", kind="Namespace"),
)


def add_prefix(resources: Iterable[Resource], prefix: str, specs: Iterable[FieldSpec]) -> None:
    """Put a prefix before the names of the objects, in place. References are fixed at the end of the build."""
    _add(resources, prefix, "", tuple(specs))


def add_suffix(resources: Iterable[Resource], suffix: str, specs: Iterable[FieldSpec]) -> None:
    """Put a suffix behind the names of the objects, in place. References are fixed at the end of the build."""
    _add(resources, "", suffix, tuple(specs))


def _add(resources: Iterable[Resource], prefix: str, suffix: str, specs: tuple[FieldSpec, ...]) -> None:
    for resource in resources:
        original = resource.original_id
        if any(spec.selects(original) for spec in _SKIPPED):
            continue
        for spec in specs:
            if not spec.selects(original):
                continue
            if spec.path == _NAME:
                resource.prefixes += [prefix] if prefix else []
                resource.suffixes += [suffix] if suffix else []
                resource.remember()
            if spec.selects(resource.current_id):
                for place in find(resource, spec, make=str):
                    place.put(f"{prefix}{text(place.value)}{suffix}")
