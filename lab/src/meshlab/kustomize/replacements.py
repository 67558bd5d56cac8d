"""`replacements`: copy the value of one field into fields of other objects."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from meshlab.kustomize import fieldpath, fields
from meshlab.kustomize.selectors import SELECTOR_FIELDS, Selector, read_selector
from meshlab.kustomize.yaml_values import clone, like, plain, text
from meshlab.manifest import ManifestError

if TYPE_CHECKING:
    from meshlab.kustomize.object_ids import ObjectId
    from meshlab.kustomize.places import Place
    from meshlab.kustomize.resource import Resource

__all__ = ["replace"]

_NAME = "metadata.name"


def replace(entry: object, resources: list[Resource], where: str) -> None:
    """Apply one replacement, in place.

    Args:
        entry: The replacement as written.
        resources: Everything accumulated so far; their bodies are changed.
        where: The replacement's place, for messages.

    Raises:
        ManifestError: The source is missing or ambiguous, or a target has no such field.
    """
    spec = fields.known(entry, ("source", "sourceValue", "targets"), where)
    if "sourceValue" in spec:
        if spec.get("source"):
            raise ManifestError(f"{where}: has both source and sourceValue; remove one.")
        value: object = fields.optional(spec["sourceValue"], f"{where}.sourceValue")
    else:
        value = _source_value(spec.get("source"), resources, f"{where}.source")
    targets = fields.listing(spec.get("targets"), f"{where}.targets")
    if not targets:
        raise ManifestError(f"{where}.targets: missing; name the fields to write.")
    for index, target in enumerate(targets):
        _write(target, value, resources, f"{where}.targets[{index}]")


def _source_value(source: object, resources: list[Resource], where: str) -> object:
    spec = fields.mapping(source, where)
    selector = _selector(spec, where, also=("fieldPath", "options"))
    found = [
        resource for resource in resources if any(_is_source(selector, identity) for identity in resource.ids)
    ]
    if len(found) != 1:
        raise ManifestError(f"{where}: {selector}: {len(found)} objects match; exactly one must.")
    path = fields.optional(spec.get("fieldPath"), f"{where}.fieldPath") or _NAME
    value = fieldpath.look_up(found[0].body, fieldpath.split(path))
    if value is None or value in ({}, []):
        raise ManifestError(f"{where}.fieldPath: {found[0]}: has no field {path}; correct the path.")
    options = fields.known(
        spec.get("options"), ("delimiter", "index", "create", "encoding"), f"{where}.options"
    )
    delimiter = fields.optional(options.get("delimiter"), f"{where}.options.delimiter")
    if not delimiter:
        return clone(value)
    parts = _scalar(value, f"{where}.options.delimiter").split(delimiter)
    index = fields.integer(options.get("index"), f"{where}.options.index")
    if not 0 <= index < len(parts):
        raise ManifestError(
            f"{where}.options.index: {path} has {len(parts)} parts; there is no part {index}."
        )
    return parts[index]


def _is_source(selector: Selector, identity: ObjectId) -> bool:
    return selector.means(identity, identity.namespace)


def _write(target: object, value: object, resources: list[Resource], where: str) -> None:
    spec = fields.known(target, ("select", "reject", "fieldPaths", "options"), where)
    select = _selector(spec.get("select"), f"{where}.select")
    reject = [
        _selector(item, f"{where}.reject[{index}]")
        for index, item in enumerate(fields.listing(spec.get("reject"), f"{where}.reject"))
    ]
    options = fields.known(
        spec.get("options"), ("delimiter", "index", "create", "encoding"), f"{where}.options"
    )
    make = type(value) if fields.boolean(options.get("create"), f"{where}.options.create") else None
    chosen = [resource for resource in resources if _is_target(resource, select, reject)]
    for path in fields.string_list(spec.get("fieldPaths") or [_NAME], f"{where}.fieldPaths"):
        for resource in chosen:
            places = fieldpath.find(resource.body, path, make)
            if not places:
                raise ManifestError(
                    f"{where}: {resource}: has no field {path}; correct it or set options.create."
                )
            for place in places:
                _put(place, value, options, f"{where}: {resource}: {path}")
            resource.check()


def _is_target(resource: Resource, select: Selector, reject: list[Selector]) -> bool:
    # The current namespace counts as written, a former one as it takes effect.
    identities = [
        *((identity, identity.namespace) for identity in resource.former_ids),
        (resource.current_id, resource.namespace),
    ]
    if not select.selects_metadata(resource):
        return False
    for selector in reject:
        if selector.requirements and selector.selects_metadata(resource):
            return False
        if selector.patterns and any(selector.means(*identity) for identity in identities):
            return False
    return any(select.means(*identity) for identity in identities)


def _put(place: Place, value: object, options: dict[str, Any], where: str) -> None:
    old = place.value
    delimiter = fields.optional(options.get("delimiter"), f"{where}: options.delimiter")
    if delimiter:
        index = fields.integer(options.get("index"), f"{where}: options.index")
        value = _spliced(_scalar(old, where), _scalar(value, where), delimiter, index)
    if isinstance(old, dict | list):
        place.put(clone(value))
    elif place.created:
        # A field that is made here gets the text, which is then read like any text without quotes.
        place.put(plain(_scalar(value, where)))
    else:
        place.put(like(old, _scalar(value, where), where))


def _scalar(value: object, where: str) -> str:
    if isinstance(value, dict | list):
        raise ManifestError(f"{where}: expected a scalar, found {value!r}; choose a field below or above it.")
    return text(value)


def _spliced(old: str, value: str, delimiter: str, index: int) -> str:
    parts = old.split(delimiter)
    # kustomize puts a value before or behind the parts where the index lies outside them.
    if index < 0:
        parts.insert(0, value)
    elif index >= len(parts):
        parts.append(value)
    else:
        parts[index] = value
    return delimiter.join(parts)


def _selector(value: object, where: str, also: tuple[str, ...] = ()) -> Selector:
    found = fields.mapping(value, where)
    if not any(found.get(key) for key in SELECTOR_FIELDS):
        raise ManifestError(f"{where}: missing; say which objects are meant.")
    return read_selector(found, where, also=also)
