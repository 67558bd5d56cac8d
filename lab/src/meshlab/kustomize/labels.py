"""`labels`, `commonLabels` and `commonAnnotations`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from meshlab.kustomize import fields
from meshlab.kustomize.fieldspecs import FieldSpec, find, merged, read_field_spec
from meshlab.manifest import ManifestError
from meshlab.visible_text import shown_value

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from meshlab.kustomize.configuration import Configuration
    from meshlab.kustomize.resource import Resource

__all__ = ["add_labels", "set_pairs"]

_FIELDS = ("pairs", "includeSelectors", "includeTemplates", "includeVolumeClaimTemplates", "fields")


def add_labels(
    entry: object, resources: Iterable[Resource], configuration: Configuration, where: str
) -> None:
    """Apply one entry of `labels`, in place.

    Raises:
        ManifestError: An unknown field, or a field specification that contradicts another.
    """
    spec = fields.known(entry, _FIELDS, where)
    chosen = {name: fields.boolean(spec.get(name), f"{where}.{name}") for name in _FIELDS[1:4]}
    specs: tuple[FieldSpec, ...] = tuple(
        read_field_spec(item, f"{where}.fields[{index}]")
        for index, item in enumerate(fields.listing(spec.get("fields"), f"{where}.fields"))
    )
    if chosen["includeSelectors"]:
        sections = ["labels", "commonLabels"]
    else:
        sections = ["labels"]
        sections += ["templateLabels"] if chosen["includeTemplates"] else []
        sections += ["volumeClaimTemplateLabels"] if chosen["includeVolumeClaimTemplates"] else []
    for section in sections:
        specs = merged(specs, configuration.fields(section), f"{where}.fields")
    if not chosen["includeSelectors"]:
        specs = merged(specs, (FieldSpec("metadata/labels", create=True),), f"{where}.fields")
    set_pairs(resources, fields.string_map(spec.get("pairs"), f"{where}.pairs"), specs)


def set_pairs(resources: Iterable[Resource], pairs: Mapping[str, str], specs: Iterable[FieldSpec]) -> None:
    """Write labels or annotations into the fields of every object that the specifications select, in place.

    Raises:
        ManifestError: A field is no mapping.
    """
    known = tuple(specs)
    for resource in resources if pairs else ():
        for spec in known:
            if not spec.selects(resource.current_id):
                continue
            for place in find(resource, spec, make=dict):
                if place.value is None:
                    continue
                if not isinstance(place.value, dict):
                    raise ManifestError(
                        f"{resource}: {spec.path}: expected a mapping, found {shown_value(place.value)}."
                    )
                place.value.update(pairs)
