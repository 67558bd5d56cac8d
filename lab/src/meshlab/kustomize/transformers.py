"""The transformers that a kustomization asks for, in kustomize's order (api/internal/target)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from meshlab.kustomize import fields
from meshlab.kustomize.affixes import add_prefix, add_suffix
from meshlab.kustomize.file_access import name
from meshlab.kustomize.images import set_image
from meshlab.kustomize.labels import add_labels, set_pairs
from meshlab.kustomize.namespace_transformer import set_namespace
from meshlab.kustomize.patches import patch, patch_json, patch_strategically
from meshlab.kustomize.replacements import replace
from meshlab.kustomize.replicas import set_replicas

if TYPE_CHECKING:
    from meshlab.kustomize.accumulator import Accumulator
    from meshlab.kustomize.kustomization import Kustomization
    from meshlab.kustomize.merge_keys import SchemaOf

__all__ = ["transform"]


def transform(accumulator: Accumulator, kustomization: Kustomization, schema_of: SchemaOf) -> None:
    """Apply every transformer of a kustomization, in place.

    Args:
        accumulator: The objects so far and what configures the transformers.
        kustomization: The kustomization.
        schema_of: Finds the schema of a kind, for strategic merge patches.

    Raises:
        ManifestError: One is malformed, or cannot be carried out on these objects.
    """
    resources, configuration = accumulator.resources, accumulator.configuration
    path = kustomization.path
    patch_strategically(resources, kustomization, schema_of, f"{path}: patchesStrategicMerge")
    for entry, where in kustomization.entries("patches"):
        patch(entry, resources, kustomization, schema_of, where)
    if namespace := kustomization.text("namespace"):
        set_namespace(resources, namespace, configuration.fields("namespace"), f"{path}: namespace")
    if prefix := kustomization.text("namePrefix"):
        add_prefix(resources, prefix, configuration.fields("namePrefix"))
    if suffix := kustomization.text("nameSuffix"):
        add_suffix(resources, suffix, configuration.fields("nameSuffix"))
    for entry, where in kustomization.entries("labels"):
        add_labels(entry, resources, configuration, where)
    for field in ("commonLabels", "commonAnnotations"):
        set_pairs(resources, kustomization.pairs(field), configuration.fields(field))
    for entry, where in kustomization.entries("patchesJson6902"):
        patch_json(entry, resources, kustomization, where)
    for entry, where in kustomization.entries("replicas"):
        set_replicas(entry, resources, configuration.fields("replicas"), where)
    for entry, where in kustomization.entries("images"):
        set_image(entry, resources, configuration.fields("images"), where)
    for entry, where in kustomization.entries("replacements"):
        _replace(entry, accumulator, kustomization, where)


def _replace(entry: object, accumulator: Accumulator, kustomization: Kustomization, where: str) -> None:
    spec = fields.mapping(entry, where)
    if "path" not in spec:
        replace(spec, accumulator.resources, where)
        return
    reference = fields.string(fields.known(spec, ("path",), where)["path"], f"{where}.path")
    path = name(kustomization.directory / reference)
    for document in kustomization.documents(reference, f"{where}.path"):
        entries = document if isinstance(document, list) else [document]
        for index, written in enumerate(entries):
            replace(written, accumulator.resources, f"{path}[{index}]")
