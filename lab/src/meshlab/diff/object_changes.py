"""Objects that differ between two sets of manifests, field by field, with the file and line of each."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Literal

from meshlab.quick_dataclass import dataclass
from meshlab.visible_text import one_line

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from meshlab.manifest import Manifest

__all__ = ["FieldChange", "ObjectChange", "object_changes"]

_MOST_FIELDS = 50
_SHOWN_CHARACTERS = 80
_ABSENT = "absent"

Path = tuple[str | int, ...]
Key = tuple[str, str, str, str]


@dataclass(frozen=True)
class FieldChange:
    """One field of an object that differs.

    Attributes:
        path: The field, such as `spec.rules[0].to[0].operation.methods[1]`.
        old: Its value before as JSON, cut where it is long; `absent` for none.
        new: Its value now.
        place: `FILE:LINE` of the field, in the new manifests where it is there.
    """

    path: str
    old: str
    new: str
    place: str


@dataclass(frozen=True)
class ObjectChange:
    """An object that only one side has, or that differs.

    Attributes:
        what: Whether it was added, removed or changed.
        old: The object before; `None` for one that was added.
        new: The object now; `None` for one that was removed.
        fields: The fields that differ, of an object that both sides have.
    """

    what: Literal["added", "removed", "changed"]
    old: Manifest | None
    new: Manifest | None
    fields: tuple[FieldChange, ...] = ()

    @property
    def subject(self) -> str:
        """`Kind namespace/name`."""
        return self._manifest.subject

    @property
    def place(self) -> str:
        """`FILE:LINE`: of the first field that differs, else of the object."""
        return self.fields[0].place if self.fields else _place(self._manifest, ())

    @property
    def summary(self) -> str:
        """The change in one line, such as `spec.rules[0]: absent, now {}`."""
        if not self.fields:
            return self.what
        first = self.fields[0]
        more = f" and {len(self.fields) - 1} more" if len(self.fields) > 1 else ""
        return f"{first.path}: {first.old}, now {first.new}{more}"

    @property
    def _manifest(self) -> Manifest:
        found = self.new or self.old
        assert found is not None, "an object change without an object"  # noqa: S101 - never so built
        return found


def object_changes(old: Sequence[Manifest], new: Sequence[Manifest]) -> list[ObjectChange]:
    """Return the objects that differ: those of the new manifests in their order, then those that are gone.

    Args:
        old: The manifests before.
        new: The manifests now.
    """
    before = {_key(manifest): manifest for manifest in old}
    after = {_key(manifest): manifest for manifest in new}
    found = []
    for key, manifest in after.items():
        known = before.get(key)
        if known is None:
            found.append(ObjectChange("added", None, manifest))
        elif fields := _field_changes(known, manifest):
            found.append(ObjectChange("changed", known, manifest, fields))
    found += [ObjectChange("removed", manifest, None) for key, manifest in before.items() if key not in after]
    return found


def _key(manifest: Manifest) -> Key:
    return manifest.group, manifest.kind, manifest.namespace, manifest.name


def _field_changes(old: Manifest, new: Manifest) -> tuple[FieldChange, ...]:
    found = []
    for path, was, now in _differing(old.body, new.body, ()):
        place = _place(new, path) if now is not _MISSING else _place(old, path)
        found.append(FieldChange(_dotted(path), _shown(was), _shown(now), place))
        if len(found) == _MOST_FIELDS:
            break
    return tuple(found)


class _Missing:
    """What stands where a field is not there; `None` is a value of YAML."""


_MISSING = _Missing()


def _differing(old: Any, new: Any, path: Path) -> Iterator[tuple[Path, Any, Any]]:  # noqa: ANN401
    """Yield each place at which two values differ, as deep as possible."""
    if isinstance(old, dict) and isinstance(new, dict):
        for name in dict.fromkeys((*old, *new)):
            yield from _differing(old.get(name, _MISSING), new.get(name, _MISSING), (*path, name))
    elif isinstance(old, list) and isinstance(new, list):
        yield from _differing_entries(old, new, path)
    elif type(old) is not type(new) or old != new:
        yield path, old, new


def _differing_entries(old: list[Any], new: list[Any], path: Path) -> Iterator[tuple[Path, Any, Any]]:
    """Yield what differs in two lists. Entries that both have are set aside, so that an insertion shifts nothing."""
    kept, gone = list(range(len(new))), []
    for number, entry in enumerate(old):
        same = next((index for index in kept if _same(entry, new[index])), None)
        if same is None:
            gone.append(number)
        else:
            kept.remove(same)
    if not gone and not kept and not all(map(_same, old, new)):
        yield path, old, new  # only the order differs, which counts for routes and rules
        return
    for number, index in zip(gone, kept, strict=False):
        yield from _differing(old[number], new[index], (*path, index))
    for number in gone[len(kept) :]:
        yield (*path, number), old[number], _MISSING
    for index in kept[len(gone) :]:
        yield (*path, index), _MISSING, new[index]


def _same(old: object, new: object) -> bool:
    """Return whether two values are the same. Python says so of `0` and `false`, too."""
    return old == new and next(_differing(old, new, ()), None) is None


def _place(manifest: Manifest, path: Path) -> str:
    line = manifest.line_of(path)
    return f"{manifest.source}:{line}" if line else manifest.source


def _dotted(path: Path) -> str:
    return "".join(f"[{key}]" if isinstance(key, int) else f".{key}" for key in path).removeprefix(".")


def _shown(value: object) -> str:
    if value is _MISSING:
        return _ABSENT
    return one_line(json.dumps(value, default=str, ensure_ascii=False), _SHOWN_CHARACTERS)
