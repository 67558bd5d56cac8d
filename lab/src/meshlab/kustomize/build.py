"""The build itself: resources, generators and components first, then what changes them, in kustomize's order."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

from meshlab.kustomize import fields
from meshlab.kustomize.files import Files, name
from meshlab.kustomize.generators import config_map, is_local_config
from meshlab.kustomize.patches import patch
from meshlab.kustomize.replacements import replace
from meshlab.manifest import Manifest, ManifestError, parse_manifests, parse_yaml, to_manifest

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

__all__ = ["build"]

_FILE_NAMES = ("kustomization.yaml", "kustomization.yml", "Kustomization")
_API_VERSIONS = {
    "Kustomization": "kustomize.config.k8s.io/v1beta1",
    "Component": "kustomize.config.k8s.io/v1alpha1",
}
_FIELDS = (
    "apiVersion",
    "kind",
    "metadata",
    "resources",
    "components",
    "configMapGenerator",
    "generatorOptions",
    "patches",
    "namespace",
    "labels",
    "replacements",
)
_CLUSTER_SCOPED = frozenset(
    {
        "ClusterRole",
        "ClusterRoleBinding",
        "CustomResourceDefinition",
        "PersistentVolume",
        "PriorityClass",
        "ValidatingAdmissionPolicy",
        "ValidatingAdmissionPolicyBinding",
    }
)


def build(directory: Path, *, files: Mapping[Path, str] | None = None) -> list[Manifest]:
    """Build a kustomization.

    Args:
        directory: The directory of its `kustomization.yaml`. Messages name files relative to where this path starts.
        files: Contents that stand in for files, such as a public key set made for this run.

    Returns:
        The objects in the order in which the files list them.

    Raises:
        ManifestError: A file is missing, or says something outside the subset.
    """
    objects = _Builder(Files.of(files or {})).run(directory, (), None)
    return [manifest for manifest in objects if not is_local_config(dict(manifest.body))]


class _Builder:
    def __init__(self, files: Files) -> None:
        self._files = files

    def run(
        self, directory: Path, above: tuple[Path, ...], inherited: list[Manifest] | None
    ) -> list[Manifest]:
        """The objects of a kustomization, or of a component with what it found and may change."""
        if directory.resolve() in above:
            raise ManifestError(f"{name(directory)}: refers to itself through its resources or components.")
        above = (*above, directory.resolve())
        path, spec = self._read(directory)
        if inherited is not None and spec["kind"] != "Component":
            raise ManifestError(f"{path}: kind: it is listed under components, so it must be a Component.")
        objects = list(inherited or [])
        for reference in fields.strings(spec.get("resources"), f"{path}: resources"):
            _accumulate(objects, self._resources(directory, reference, above, f"{path}: resources"))
        for index, entry in enumerate(
            fields.listing(spec.get("configMapGenerator"), f"{path}: configMapGenerator")
        ):
            where = f"{path}: configMapGenerator[{index}]"
            generated = config_map(entry, spec.get("generatorOptions"), directory, self._files, where)
            _accumulate(objects, [to_manifest(generated, where)])
        for reference in fields.strings(spec.get("components"), f"{path}: components"):
            if not (directory / reference).is_dir():
                raise ManifestError(f"{path}: components: {reference} is not a directory.")
            objects = self.run(directory / reference, above, objects)
        self._transform(objects, spec, directory, path)
        return objects

    def _read(self, directory: Path) -> tuple[str, dict[str, Any]]:
        candidates = [directory / candidate for candidate in _FILE_NAMES if (directory / candidate).is_file()]
        if len(candidates) != 1:
            raise ManifestError(
                f"{name(directory)}: holds {len(candidates)} of {', '.join(_FILE_NAMES)}; one is needed."
            )
        path = name(candidates[0])
        documents = parse_yaml(self._files.read(candidates[0]), path)
        if len(documents) != 1:
            raise ManifestError(f"{path}: holds {len(documents)} documents; a kustomization is one.")
        spec = fields.known(documents[0], _FIELDS, path)
        kind = spec.setdefault("kind", "Kustomization")
        if kind not in _API_VERSIONS:
            raise ManifestError(f"{path}: kind: {kind!r} is neither Kustomization nor Component.")
        if spec.get("apiVersion", _API_VERSIONS[kind]) != _API_VERSIONS[kind]:
            raise ManifestError(f"{path}: apiVersion: write {_API_VERSIONS[kind]}.")
        return path, spec

    def _resources(
        self, directory: Path, reference: str, above: tuple[Path, ...], where: str
    ) -> list[Manifest]:
        target = directory / reference
        if target.is_dir():
            _, spec = self._read(target)
            if spec["kind"] == "Component":
                raise ManifestError(f"{where}: {reference} is a Component; list it under components.")
            return self.run(target, above, None)
        path = self._files.within(directory, reference, where)
        return parse_manifests(self._files.read(path), name(path))

    def _transform(self, objects: list[Manifest], spec: dict[str, Any], directory: Path, path: str) -> None:
        for index, entry in enumerate(fields.listing(spec.get("patches"), f"{path}: patches")):
            patch(entry, objects, directory, self._files, f"{path}: patches[{index}]")
        if "namespace" in spec:
            _set_namespace(objects, fields.string(spec["namespace"], f"{path}: namespace"), path)
        for index, entry in enumerate(fields.listing(spec.get("labels"), f"{path}: labels")):
            _add_labels(objects, entry, f"{path}: labels[{index}]")
        for index, entry in enumerate(fields.listing(spec.get("replacements"), f"{path}: replacements")):
            self._replace(entry, objects, directory, f"{path}: replacements[{index}]")
        for index, manifest in enumerate(objects):
            objects[index] = to_manifest(manifest.body, manifest.source)

    def _replace(self, entry: object, objects: list[Manifest], directory: Path, where: str) -> None:
        spec = fields.mapping(entry, where)
        if "path" not in spec:
            replace(spec, objects, where)
            return
        reference = fields.string(fields.known(spec, ("path",), where)["path"], f"{where}.path")
        path = self._files.within(directory, reference, f"{where}.path")
        for document in parse_yaml(self._files.read(path), name(path)):
            entries = document if isinstance(document, list) else [document]
            for index, written in enumerate(entries):
                replace(written, objects, f"{name(path)}[{index}]")


def _accumulate(objects: list[Manifest], added: list[Manifest]) -> None:
    taken = {
        (manifest.group, manifest.kind, manifest.namespace, manifest.name): manifest for manifest in objects
    }
    for manifest in added:
        key = (manifest.group, manifest.kind, manifest.namespace, manifest.name)
        if key in taken:
            raise ManifestError(f"{manifest}: the same object comes from {taken[key].source} already.")
        taken[key] = manifest
        objects.append(to_manifest(copy.deepcopy(dict(manifest.body)), manifest.source))


def _set_namespace(objects: list[Manifest], namespace: str, path: str) -> None:
    for manifest in objects:
        metadata = manifest.body["metadata"]
        if manifest.kind == "Namespace":
            metadata["name"] = namespace
        elif manifest.kind not in _CLUSTER_SCOPED:
            metadata["namespace"] = namespace
        for subject in manifest.body.get("subjects") or []:
            if subject.get("kind") == "ServiceAccount" and subject.get("namespace") != namespace:
                problem = f"does not follow its subject {subject.get('name')} into another namespace"
                raise ManifestError(
                    f"{path}: namespace: {manifest}: the subset {problem}; write {namespace} there."
                )


def _add_labels(objects: list[Manifest], entry: object, where: str) -> None:
    spec = fields.known(entry, ("pairs", "includeSelectors", "includeTemplates"), where)
    for option in ("includeSelectors", "includeTemplates"):
        if fields.boolean(spec.get(option), f"{where}.{option}"):
            raise ManifestError(f"{where}.{option}: not supported; write the labels where they are needed.")
    pairs = fields.string_map(spec.get("pairs"), f"{where}.pairs")
    for manifest in objects:
        labels = manifest.body["metadata"].setdefault("labels", {})
        labels.update(pairs)
