"""Edits of manifests in memory. What they leave alone keeps its line."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Literal

import yaml

from meshlab.explain.explanation import ChangePart
from meshlab.explain.manifest_places import place_of
from meshlab.quick_dataclass import dataclass
from meshlab.yaml_reader import LocatedDict, LocatedList

if TYPE_CHECKING:
    from collections.abc import Iterable

    from meshlab.inputs import Inputs
    from meshlab.istio.read.fields import Where

__all__ = ["Edit", "edited"]


@dataclass(frozen=True)
class Edit:
    """One edit of a field.

    Attributes:
        where: The field. A list or mapping on the way to it that is missing is made.
        kind: `append` to the list that stands there, `remove` from it, `set` the field, `delete` it, or `create` the
            object.
        value: The value.
        reason: Why it helps, in words that follow on the edit.
    """

    where: Where
    kind: Literal["append", "remove", "set", "delete", "create"]
    value: Any = None
    reason: str = ""

    @property
    def part(self) -> ChangePart:
        """The edit as a part of a suggested change."""
        if self.kind == "create":
            text = yaml.safe_dump(self.value, sort_keys=False, allow_unicode=True, width=1000).rstrip("\n")
            return ChangePart("manifest", f"add the {self.where.manifest.subject}", None, text)
        path = place_of(self.where).path
        verb = {"append": "add to", "remove": "remove from", "set": "write", "delete": "delete"}[self.kind]
        because = f", {self.reason}" if self.reason else ""
        if self.kind == "delete":
            return ChangePart("manifest", f"{verb} {path}{because}", place_of(self.where))
        written = {str(self.where.keys[-1]): self.value} if self.kind == "set" else [self.value]
        text = yaml.safe_dump(written, sort_keys=False, allow_unicode=True, width=1000).rstrip("\n")
        return ChangePart("manifest", f"{verb} {path}{because}", place_of(self.where), text)


def edited(inputs: Inputs, edits: Iterable[Edit]) -> Inputs:
    """Return the manifests with these edits.

    Raises:
        LookupError: A field does not fit the manifest any more.
    """
    manifests = list(inputs.manifests)
    for edit in edits:
        target = edit.where.manifest
        if edit.kind == "create":
            manifests.append(target)
            continue
        names = (target.kind, target.namespace, target.name)
        for index, manifest in enumerate(manifests):
            if (manifest.kind, manifest.namespace, manifest.name) == names:
                manifests[index] = replace(manifest, body=_with(manifest.body, edit.where.keys, edit))
    return replace(inputs, manifests=tuple(manifests))


def _with(value: Any, keys: tuple[str | int, ...], edit: Edit) -> Any:  # noqa: ANN401 - any value of a manifest
    if not keys:
        return _changed(value, edit)
    key, *rest = keys
    if edit.kind == "delete" and not rest:
        return _without(value, key)
    if isinstance(key, int):
        items = _list_like(value)
        if key >= len(items):
            raise LookupError(f"there is no item {key}")
        items[key] = _with(items[key], tuple(rest), edit)
        return items
    fields = _dict_like(value)
    fields[key] = _with(fields.get(key), tuple(rest), edit)
    return fields


def _without(value: Any, key: str | int) -> Any:  # noqa: ANN401 - any value of a manifest
    if isinstance(key, int):
        items = _list_like(value)
        del items[key]
        return items
    fields = _dict_like(value)
    del fields[key]
    return fields


def _changed(value: Any, edit: Edit) -> Any:  # noqa: ANN401 - any value of a manifest
    match edit.kind:
        case "append":
            items = _list_like(value)
            items.append(edit.value)
            return items
        case "remove":
            items = _list_like(value)
            items.remove(edit.value)
            return items
        case _:
            return edit.value


def _dict_like(value: Any) -> dict[str, Any]:  # noqa: ANN401 - any value of a manifest
    found = LocatedDict(value or {})
    found.lines = dict(getattr(value, "lines", {}))
    found.duplicates = dict(getattr(value, "duplicates", {}))
    return found


def _list_like(value: Any) -> list[Any]:  # noqa: ANN401 - any value of a manifest
    found = LocatedList(value or [])
    found.lines = dict(getattr(value, "lines", {}))
    return found
