"""`openapi`: an OpenAPI document that says which lists of which kinds merge by key."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from meshlab.kustomize import fields
from meshlab.kustomize.merge_keys import DEFINITIONS, NOTHING, Schema, SchemaOf, built_in_schema
from meshlab.manifest import ManifestError
from meshlab.quick_dataclass import dataclass

if TYPE_CHECKING:
    from meshlab.kustomize.kustomization import Kustomization

__all__ = ["read_schemas"]

_KINDS = "x-kubernetes-group-version-kind"
_STRATEGY = "x-kubernetes-patch-strategy"
_KEY = "x-kubernetes-patch-merge-key"
_KEYS = "x-kubernetes-list-map-keys"
_VERSION = "v1.21.2"  # the one version that kustomize carries
_DEPTH = 24  # levels of fields; definitions may refer to themselves


def read_schemas(kustomization: Kustomization, *, alone: bool) -> SchemaOf | None:
    """Return the schemas that a kustomization sets, or `None` where it sets none.

    Args:
        kustomization: The kustomization.
        alone: Whether its document replaces those of Kubernetes, as that of the kustomization that is built does.

    Raises:
        ManifestError: Another version than that of kustomize, or a file that is no OpenAPI document.
    """
    where = f"{kustomization.path}: openapi"
    spec = fields.known(kustomization.spec.get("openapi"), ("path", "version"), where)
    version, path = (fields.optional(spec.get(key), f"{where}.{key}") for key in ("version", "path"))
    if version and path:
        raise ManifestError(f"{where}: has both path and version; remove one.")
    if version not in ("", _VERSION):
        raise ManifestError(
            f"{where}.version: {version}: kustomize carries {_VERSION} alone; remove the field."
        )
    if not path:
        return built_in_schema if version else None
    documents = kustomization.documents(path, f"{where}.path")
    definitions = fields.mapping(documents[0] if documents else None, path).get("definitions")
    return _Definitions(fields.mapping(definitions, f"{path}: definitions"), alone).schema_of


@dataclass(frozen=True)
class _Definitions:
    """The definitions of a document."""

    known: dict[str, Any]
    alone: bool

    def schema_of(self, api_version: object, kind: object) -> Schema | None:
        built_in = None if self.alone else built_in_schema(api_version, kind)
        if built_in is not None:
            return built_in
        for definition in self.known.values():
            for entry in definition.get(_KINDS) or ():
                group, version = entry.get("group"), entry.get("version")
                if entry.get("kind") == kind and api_version == (f"{group}/{version}" if group else version):
                    return self._schema(definition, 0)
        return None

    def _schema(self, definition: dict[str, Any], depth: int) -> Schema:
        while isinstance(reference := definition.get("$ref"), str):
            name = reference.rpartition("/")[2]
            if name not in self.known:
                return NOTHING if self.alone else DEFINITIONS.get(name, NOTHING)
            definition = self.known[name]
        if depth > _DEPTH:
            return NOTHING
        keys = None
        if "merge" in str(definition.get(_STRATEGY, "")).split(","):
            key = definition.get(_KEY)
            keys = tuple(definition.get(_KEYS) or ([key] if key else []))
        if isinstance(definition.get("items"), dict):
            return Schema(keys, self._schema(definition["items"], depth).fields)
        properties = definition.get("properties") or {}
        return Schema(keys, {field: self._schema(schema, depth + 1) for field, schema in properties.items()})
