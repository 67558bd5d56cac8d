"""The objects that mutants change: manifests, and the MeshConfig wherever it stands."""

from __future__ import annotations

import sys
from dataclasses import replace
from typing import TYPE_CHECKING

import yaml

from meshlab.bench.settings_file import read_settings_document
from meshlab.inputs import read_inputs
from meshlab.istio.read.mesh_config import is_mesh_config, read_mesh_settings
from meshlab.manifest import Manifest
from meshlab.mutate.edits import Edit, edited
from meshlab.mutate.mutants import mutants_of
from meshlab.mutate.written import at, mapping, text
from meshlab.quick_dataclass import dataclass

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path
    from typing import Any

    from meshlab.bench.protocol import Sources
    from meshlab.istio import MeshSettings
    from meshlab.manifest import Problem
    from meshlab.mutate.edits import Path as Keys
    from meshlab.mutate.mutants import Mutant

__all__ = ["MESH_CONFIG", "Objects", "as_object", "read_objects"]

MESH_CONFIG = "MeshConfig"
_ROOT_NAMESPACE = "istio-system"
_DATA: Keys = ("data", "mesh")
_OPERATOR: Keys = ("spec", "meshConfig")


@dataclass(frozen=True)
class Objects:
    """Everything that mutants change.

    Attributes:
        manifests: The objects of the inputs.
        config: The object of `--mesh-config`: an IstioOperator, a ConfigMap, or a MeshConfig in the shape of an object.
        unreadable: Files that could not be read.
    """

    manifests: tuple[Manifest, ...]
    config: Manifest | None = None
    unreadable: tuple[Problem, ...] = ()

    def mutants(self) -> Iterator[Mutant]:
        """Yield the mutants of all objects, in the order of the objects."""
        for manifest in (*self.manifests, *([self.config] if self.config else [])):
            yield from mutants_of(_config_in(manifest) or manifest)

    def changed(self, mutant: Mutant) -> Objects:
        """Return the objects with one change."""
        if mutant.kind == MESH_CONFIG:
            return self._with_config(mutant)
        found: list[Manifest] = []
        for manifest in self.manifests:
            if manifest is not mutant.manifest:
                found.append(manifest)
            elif (changed := mutant.changed) is not None:
                found.append(changed)
        return replace(self, manifests=tuple(found))

    def settings(self) -> MeshSettings | None:
        """Return the settings of `--mesh-config`; `None` where those of the manifests count.

        Raises:
            ManifestError: It holds something that the bench does not know.
        """
        if self.config is None:
            return None
        if self.config.kind == MESH_CONFIG:
            return read_mesh_settings(mapping(self.config.body, "spec"), self.config.source)
        return read_mesh_settings(self.config)

    def _with_config(self, mutant: Mutant) -> Objects:
        spec = mapping(mutant.body, "spec")
        if self.config is not None and _is_of(mutant, self.config):
            return replace(self, config=_with_spec(self.config, spec))
        changed = (
            _with_spec(manifest, spec) if _is_of(mutant, manifest) else manifest
            for manifest in self.manifests
        )
        return replace(self, manifests=tuple(changed))


def read_objects(sources: Sources) -> Objects:
    """Read what a command names, as `meshlab test` reads it.

    Raises:
        LabError: A path does not exist or holds no manifest.
        ManifestError: An input cannot be read at all.
    """
    inputs = read_inputs(sources.paths, namespace=sources.namespace, stdin=sys.stdin)
    config = _read_config(sources.mesh_config) if sources.mesh_config else None
    return Objects(inputs.manifests, config, inputs.unreadable)


def as_object(settings: Mapping[str, Any], source: str = MESH_CONFIG) -> Manifest:
    """Return a MeshConfig in the shape of an object, so that it is changed like one."""
    metadata = {"name": "mesh", "namespace": _ROOT_NAMESPACE}
    body = {"kind": MESH_CONFIG, "metadata": metadata, "spec": settings}
    return Manifest("", MESH_CONFIG, "mesh", _ROOT_NAMESPACE, body, source, 1)


def _read_config(file: Path) -> Manifest:
    found = read_settings_document(file)
    return found if isinstance(found, Manifest) else as_object(found, str(file))


def _config_in(manifest: Manifest) -> Manifest | None:
    """Return the MeshConfig that an object carries; `None` where it carries none."""
    if not is_mesh_config(manifest):
        return None
    where = _OPERATOR if manifest.kind == "IstioOperator" else _DATA
    spec = at(manifest.body, *where)
    if isinstance(spec, str):
        try:
            spec = yaml.safe_load(spec)
        except yaml.YAMLError:
            spec = None
    found = as_object(spec if isinstance(spec, dict) else {}, manifest.source)
    return replace(found, namespace=manifest.namespace, name=manifest.name, line=manifest.line_of(where))


def _is_of(mutant: Mutant, manifest: Manifest) -> bool:
    """Return whether a mutant of a MeshConfig is of the one that an object carries."""
    if manifest.kind != MESH_CONFIG and not is_mesh_config(manifest):
        return False
    ours = (manifest.namespace, manifest.name, manifest.source)
    return ours == (mutant.namespace, mutant.name, mutant.manifest.source)


def _with_spec(manifest: Manifest, spec: Mapping[str, Any]) -> Manifest:
    """Return the object that carries a MeshConfig with another one."""
    if manifest.kind == MESH_CONFIG:
        edit = Edit(("spec",), spec)
    elif text(manifest.body, *_DATA):
        edit = Edit(_DATA, yaml.safe_dump(_plain(spec)))
    else:
        edit = Edit(_OPERATOR, spec)
    return replace(manifest, body=edited(manifest.body, (edit,)))


def _plain(value: object) -> object:
    """Return a value of YAML in Python's own types."""
    if isinstance(value, dict):
        return {str(key): _plain(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_plain(inner) for inner in value]
    return str(value) if isinstance(value, str) else value
