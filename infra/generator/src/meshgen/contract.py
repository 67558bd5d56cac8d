"""References to values of `infra/contract.env`: `${KEY}` in a description, a kustomize replacement in the manifests.

A manifest keeps the reference as its placeholder, so a reader sees where the value comes from. kustomize puts the
value in when an overlay is built: at a field, or at one part of a field between delimiters.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from meshgen.generated import Object

__all__ = ["REFERENCE", "PlaceError", "Target", "misplaced", "replacements", "targets"]

REFERENCE = re.compile(r"\$\{([A-Z][A-Z0-9_]*)\}")
"""A reference to a value of the contract."""

_DELIMITERS = "/:,"


class PlaceError(Exception):
    """kustomize cannot put a value at the place of a reference."""


@dataclass(frozen=True, order=True)
class Target:
    """One place that takes a value of the contract.

    Attributes:
        index: Which part of the field, from 0.
        key: The key of the contract.
        kind: The object's kind.
        namespace: The object's namespace; empty for an object that has none.
        name: The object's name.
        path: The field, as kustomize writes it.
        delimiter: What separates the parts of the field; empty where the value is all of it.
    """

    index: int
    key: str
    kind: str
    namespace: str
    name: str
    path: str
    delimiter: str


def targets(objects: Iterable[Object]) -> list[Target]:
    """Find every reference in manifests.

    Raises:
        PlaceError: A reference stands where kustomize cannot replace it.
    """
    return [target for document in objects for target in _targets(document)]


def misplaced(text: str) -> str:
    """Return what is wrong with the references in a text; empty for nothing."""
    for match in REFERENCE.finditer(text):
        try:
            _part(text, match, text)
        except PlaceError as error:
            return f"{error}."
    if "${" in REFERENCE.sub("", text):
        return f"{text}: a reference is written ${{KEY}}, with a key in capitals."
    return ""


def replacements(found: Iterable[Target], config_map: str = "contract") -> list[dict[str, Any]]:
    """Return kustomize's `replacements`, whose order matters.

    The last part of a field comes first, because a value that goes to an earlier part may hold the delimiter and move
    what follows.
    """
    ordered = sorted(set(found), key=lambda target: (-target.index, target))
    result: list[dict[str, Any]] = []
    for (_, key), group in groupby(ordered, key=lambda target: (target.index, target.key)):
        source = {"kind": "ConfigMap", "name": config_map, "fieldPath": f"data.{key}"}
        result.append({"source": source, "targets": [_as_kustomize(target) for target in group]})
    return result


def _as_kustomize(target: Target) -> dict[str, Any]:
    select = {"kind": target.kind, "namespace": target.namespace, "name": target.name}
    entry: dict[str, Any] = {
        "select": {key: value for key, value in select.items() if value},
        "fieldPaths": [target.path],
    }
    if target.delimiter:
        entry["options"] = {"delimiter": target.delimiter, "index": target.index}
    return entry


def _targets(document: Mapping[str, Any]) -> Iterator[Target]:
    metadata = document["metadata"]
    for path, text in _strings(document, ()):
        place = f"{document['kind']} {metadata['name']}: {'.'.join(path)}: {text}"
        for match in REFERENCE.finditer(text):
            delimiter, index = _part(text, match, place)
            if any("." in step or "[" in step for step in path):
                raise PlaceError(f"{place}: kustomize cannot name this field")
            yield Target(
                index,
                match[1],
                document["kind"],
                metadata.get("namespace", ""),
                metadata["name"],
                ".".join(path),
                delimiter,
            )


def _part(text: str, match: re.Match[str], place: str) -> tuple[str, int]:
    """Return the delimiter around a reference, and which part between delimiters it is."""
    if match[0] == text:
        return "", 0
    before, after = text[: match.start()], text[match.end() :]
    around = {side for side in (before[-1:], after[:1]) if side}
    if len(around) != 1 or (delimiter := around.pop()) not in _DELIMITERS:
        raise PlaceError(f"{place}: a reference must be a whole part between one of {' '.join(_DELIMITERS)}")
    return delimiter, before.count(delimiter)


def _strings(value: object, path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], str]]:
    if isinstance(value, str):
        if REFERENCE.search(value):
            yield path, value
    elif isinstance(value, dict):
        for key, item in value.items():
            yield from _strings(item, (*path, str(key)))
    elif isinstance(value, list):
        for number, item in enumerate(value):
            yield from _strings(item, (*path, str(number)))
