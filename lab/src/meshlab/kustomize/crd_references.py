"""`crds`: what the OpenAPI definitions of custom kinds say about references and labels (loadconfigfromcrds.go)."""

from __future__ import annotations

from typing import Any

from meshlab.kustomize import fields
from meshlab.kustomize.configuration import Configuration
from meshlab.kustomize.fieldspecs import FieldSpec
from meshlab.kustomize.name_references import NameReference

__all__ = ["read_definitions"]

_SECTIONS = {
    "x-kubernetes-annotation": "commonAnnotations",
    "x-kubernetes-label-selector": "commonLabels",
    "x-kubernetes-identity": "namePrefix",
}
_VERSION = "x-kubernetes-object-ref-api-version"
_KIND = "x-kubernetes-object-ref-kind"
_NAME = "x-kubernetes-object-ref-name-key"
_OBJECT = {"apiVersion", "kind", "metadata"}


def read_definitions(document: object, where: str) -> Configuration:
    """Return what a file that `crds` lists adds to the configuration.

    The file is a mapping of type names to definitions. A CustomResourceDefinition has none, and so adds nothing.

    Raises:
        ManifestError: It is no mapping.
    """
    definitions = fields.mapping(document, where)
    found = Configuration()
    for name, definition in definitions.items():
        if _properties(definition).keys() >= _OBJECT:
            kind = name.rpartition(".")[2]
            found = found.plus(_walk(name, kind, definitions, (), ()), where)
    return found


def _walk(
    name: str, kind: str, definitions: dict[str, Any], path: tuple[str, ...], above: tuple[str, ...]
) -> Configuration:
    found = Configuration()
    for field, schema in _properties(definitions.get(name)).items():
        here = (*path, field)
        sections = {
            section: (FieldSpec("/".join(here), kind=kind),)
            for mark, section in _SECTIONS.items()
            if isinstance(schema.get(mark), str)
        }
        references: tuple[NameReference, ...] = ()
        if isinstance(schema.get(_VERSION), str) and isinstance(schema.get(_KIND), str):
            spec = FieldSpec("/".join((*here, str(schema.get(_NAME) or "name"))), kind=kind)
            references = (NameReference(schema[_KIND], version=schema[_VERSION], fields=(spec,)),)
        found = found.plus(Configuration(sections, references), field)
        reference = schema.get("$ref")
        if isinstance(reference, str) and reference not in above:
            found = found.plus(_walk(reference, kind, definitions, here, (*above, reference)), field)
    return found


def _properties(definition: object) -> dict[str, Any]:
    schema = definition.get("Schema", definition.get("schema")) if isinstance(definition, dict) else None
    properties = schema.get("properties") if isinstance(schema, dict) else None
    if not isinstance(properties, dict):
        return {}
    return {name: value for name, value in properties.items() if isinstance(value, dict)}
