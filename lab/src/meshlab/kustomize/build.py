"""The build itself: resources, generators and components first, then what changes them, in kustomize's order."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from meshlab.kustomize.accumulator import Accumulator
from meshlab.kustomize.configuration import DEFAULTS, Configuration, read_configuration
from meshlab.kustomize.crd_references import read_definitions
from meshlab.kustomize.file_access import Files, is_remote, name, real_path
from meshlab.kustomize.finish import finish
from meshlab.kustomize.generators import generate
from meshlab.kustomize.kustomization import Kustomization, read_kustomization
from meshlab.kustomize.merge_keys import built_in_schema
from meshlab.kustomize.openapi import read_schemas
from meshlab.kustomize.resource_files import read_resources
from meshlab.kustomize.resource_list import append
from meshlab.kustomize.tool import build_with_tool
from meshlab.kustomize.transformers import transform
from meshlab.kustomize.variables import add_variables, read_variable
from meshlab.manifest import ManifestError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from meshlab.kustomize.merge_keys import SchemaOf
    from meshlab.manifest import Manifest

__all__ = ["build", "build_any"]

_GENERATORS = {"configMapGenerator": "ConfigMap", "secretGenerator": "Secret"}


def build(directory: Path, *, files: Mapping[Path, str] | None = None) -> list[Manifest]:
    """Build a kustomization without kustomize.

    Args:
        directory: The directory of its `kustomization.yaml`. Messages name files relative to where this path starts.
        files: Contents that replace those of files, such as a public key set made for this run.

    Returns:
        The objects in the order in which the files list them, or in that of `sortOptions`.

    Raises:
        ManifestError: A file is missing, or says something outside the subset.
    """
    builder = _Builder(Files.of(files or {}))
    top = read_kustomization(directory, builder.files)
    accumulator = Accumulator()
    builder.run(top, (), accumulator)
    return finish(accumulator, top)


def build_any(directory: Path) -> list[Manifest]:
    """Build a kustomization with the kustomize or kubectl of this machine, or without where there is neither.

    The tool decides what is built. Where `build` has the same result, its objects are returned, because they know the
    files and lines that they come from.

    Args:
        directory: The directory of its `kustomization.yaml`.

    Raises:
        ManifestError: The tool refuses it; or there is no tool, and it is outside the subset.
    """
    built = build_with_tool(directory)
    if built is None:
        return build(directory)
    try:
        known = build(directory)
    except ManifestError:
        return built
    return known if _bodies(known) == _bodies(built) else built


def _bodies(manifests: list[Manifest]) -> list[str]:
    return sorted(json.dumps(manifest.body, sort_keys=True, default=str) for manifest in manifests)


class _Builder:
    """One build. Every kustomization is run on its own accumulator, a component on that of its parent."""

    def __init__(self, files: Files) -> None:
        self.files = files
        self._schema_of: SchemaOf | None = None

    def run(self, kustomization: Kustomization, above: tuple[Path, ...], accumulator: Accumulator) -> None:
        if not kustomization.spec.keys() - {"apiVersion", "kind"}:
            raise ManifestError(
                f"{kustomization.path}: holds no field, which kustomize refuses; list resources."
            )
        # The first kustomization that sets schemas sets them for all.
        self._schema_of = self._schema_of or read_schemas(kustomization, alone=not above)
        above = (*above, real_path(kustomization.directory))
        for reference in kustomization.strings("resources"):
            self._take_resource(reference, kustomization, above, accumulator)
        added = _configuration(kustomization)
        accumulator.configuration = accumulator.configuration.plus(added, kustomization.path)
        for field, kind in _GENERATORS.items():
            for entry, where in kustomization.entries(field):
                generate(kind, entry, accumulator.resources, kustomization, where)
        for reference in kustomization.strings("components"):
            self._take_component(reference, kustomization, above, accumulator)
        transform(accumulator, kustomization, self._schema_of or built_in_schema)
        variables = [read_variable(entry, where) for entry, where in kustomization.entries("vars")]
        add_variables(accumulator.variables, variables, accumulator.resources)

    def _take_resource(
        self, reference: str, kustomization: Kustomization, above: tuple[Path, ...], accumulator: Accumulator
    ) -> None:
        where = f"{kustomization.path}: resources"
        target = kustomization.directory / reference
        if target.is_dir():
            below = self._below(target, above, where)
            if below.kind == "Component":
                raise ManifestError(f"{where}: {reference} is a Component; list it under components.")
            own = Accumulator()
            self.run(below, above, own)
            accumulator.take(own, where)
            return
        if is_remote(reference) and not target.exists():
            raise ManifestError(
                f"{where}: {reference} is remote, and nothing is fetched; list a copy of it, or build with kustomize."
            )
        path = self.files.within(kustomization.directory, reference, where)
        append(accumulator.resources, read_resources(path, self.files))

    def _take_component(
        self, reference: str, kustomization: Kustomization, above: tuple[Path, ...], accumulator: Accumulator
    ) -> None:
        where = f"{kustomization.path}: components"
        target = kustomization.directory / reference
        if not target.is_dir():
            problem = "is remote, and nothing is fetched" if is_remote(reference) else "is not a directory"
            raise ManifestError(f"{where}: {reference} {problem}; list a copy of it.")
        below = self._below(target, above, where)
        if below.kind != "Component":
            raise ManifestError(
                f"{below.path}: kind: it is listed under components, so it must be a Component."
            )
        self.run(below, above, accumulator)

    def _below(self, directory: Path, above: tuple[Path, ...], where: str) -> Kustomization:
        resolved = real_path(directory)
        if any(parent.is_relative_to(resolved) for parent in above):
            raise ManifestError(
                f"{where}: {name(directory)}: refers to itself or to a directory above it, which is a cycle."
            )
        return read_kustomization(directory, self.files)


def _configuration(kustomization: Kustomization) -> Configuration:
    found = Configuration()
    for field, read in (("configurations", read_configuration), ("crds", read_definitions)):
        added = Configuration()
        for reference in kustomization.strings(field):
            where = f"{kustomization.path}: {field}"
            for document in kustomization.documents(reference, where):
                added = added.plus(read(document, name(kustomization.directory / reference)), where)
        found = (DEFAULTS if field == "configurations" else found).plus(added, kustomization.path)
    return found
