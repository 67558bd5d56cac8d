"""`replacements`: copy the value of one field into fields of other objects."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any, cast

from meshlab.kustomize import fieldpath, fields
from meshlab.kustomize.selectors import read_selector
from meshlab.manifest import ManifestError

if TYPE_CHECKING:
    from meshlab.manifest import Manifest

__all__ = ["replace"]


def replace(entry: object, objects: list[Manifest], where: str) -> None:
    """Carry out one replacement, in place.

    Args:
        entry: The replacement as written.
        objects: Everything accumulated so far; their bodies are changed.
        where: The replacement's place, for messages.

    Raises:
        ManifestError: The source is missing or ambiguous, or a target has no such field.
    """
    spec = fields.known(entry, ("source", "targets"), where)
    value = _source_value(spec.get("source"), objects, f"{where}.source")
    targets = fields.listing(spec.get("targets"), f"{where}.targets")
    if not targets:
        raise ManifestError(f"{where}.targets: missing; name the fields to write.")
    for index, target in enumerate(targets):
        _write(target, value, objects, f"{where}.targets[{index}]")


def _source_value(source: object, objects: list[Manifest], where: str) -> object:
    spec = fields.mapping(source, where)
    selector = read_selector(spec, where, also=("fieldPath", "options"))
    found = [manifest for manifest in objects if selector.matches(manifest)]
    if len(found) != 1:
        raise ManifestError(f"{where}: {selector}: {len(found)} objects match; exactly one must.")
    path = fields.string(spec.get("fieldPath", "metadata.name"), f"{where}.fieldPath")
    places = fieldpath.find(_body(found[0]), path)
    if len(places) != 1:
        raise ManifestError(f"{where}.fieldPath: {found[0]}: has no field {path}.")
    value: object = copy.deepcopy(places[0].value)
    options = fields.known(spec.get("options"), ("delimiter", "index"), f"{where}.options")
    delimiter = options.get("delimiter", "")
    if not delimiter:
        return value
    parts = str(value).split(str(delimiter))
    index = _index(options, f"{where}.options")
    if not 0 <= index < len(parts):
        raise ManifestError(
            f"{where}.options.index: {path} has {len(parts)} parts; there is no part {index}."
        )
    return parts[index]


def _write(target: object, value: object, objects: list[Manifest], where: str) -> None:
    spec = fields.known(target, ("select", "reject", "fieldPaths", "options"), where)
    select = read_selector(spec.get("select"), f"{where}.select")
    reject = [
        read_selector(item, f"{where}.reject[{index}]")
        for index, item in enumerate(fields.listing(spec.get("reject"), f"{where}.reject"))
    ]
    options = fields.known(spec.get("options"), ("delimiter", "index", "create"), f"{where}.options")
    create = fields.boolean(options.get("create"), f"{where}.options.create")
    chosen = [
        manifest
        for manifest in objects
        if select.matches(manifest) and not any(selector.matches(manifest) for selector in reject)
    ]
    for path in fields.strings(spec.get("fieldPaths", ["metadata.name"]), f"{where}.fieldPaths"):
        if path.startswith(("metadata.name", "kind", "apiVersion")):
            raise ManifestError(f"{where}.fieldPaths: {path}: renaming objects is not supported.")
        for manifest in chosen:
            places = fieldpath.find(_body(manifest), path, create=create)
            if not places:
                raise ManifestError(
                    f"{where}: {manifest}: has no field {path}; correct it or set options.create."
                )
            for place in places:
                place.put(_spliced(place.value, value, options, f"{where}.options"))


def _spliced(old: object, value: object, options: dict[str, Any], where: str) -> object:
    delimiter = options.get("delimiter", "")
    if not delimiter:
        return copy.deepcopy(value)
    parts, index = str(old).split(str(delimiter)), _index(options, where)
    # kustomize puts a value before or behind the parts where the index lies outside them.
    if index < 0:
        parts.insert(0, str(value))
    elif index >= len(parts):
        parts.append(str(value))
    else:
        parts[index] = str(value)
    return str(delimiter).join(parts)


def _index(options: dict[str, Any], where: str) -> int:
    index = options.get("index", 0)
    if not isinstance(index, int):
        raise ManifestError(f"{where}.index: expected a whole number, found {index!r}.")
    return index


def _body(manifest: Manifest) -> dict[str, Any]:
    # The builder copies every object it accumulates, so the body is its own to change.
    return cast("dict[str, Any]", manifest.body)
