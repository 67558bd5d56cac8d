"""Selectors of patches and replacements: the objects that each applies to."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from meshlab.kustomize import fields
from meshlab.kustomize.label_selectors import Requirement, matches, read_requirements
from meshlab.kustomize.yaml_values import text
from meshlab.manifest import ManifestError
from meshlab.quick_dataclass import dataclass

if TYPE_CHECKING:
    from collections.abc import Mapping

    from meshlab.kustomize.object_ids import ObjectId
    from meshlab.kustomize.resource import Resource

__all__ = ["SELECTOR_FIELDS", "Selector", "read_selector"]

_PARTS = ("group", "version", "kind", "name", "namespace")
_LABELS = {"labelSelector": "labels", "annotationSelector": "annotations"}
SELECTOR_FIELDS = (*_PARTS, *_LABELS)
_PLAIN = re.compile(r"[\w.-]+")


@dataclass(frozen=True)
class Selector:
    """What an object must be.

    Attributes:
        patterns: Regular expressions by the part of the identity that they are about; a missing part takes any.
        requirements: What the labels and the annotations must be, by their name in the metadata.
        written: The parts as written.
    """

    patterns: Mapping[str, re.Pattern[str]]
    requirements: Mapping[str, tuple[Requirement, ...]]
    written: Mapping[str, str]

    def selects(self, resource: Resource) -> bool:
        """Return whether a patch with that target changes an object.

        Its name and its namespace may be the first ones or the current ones.
        """
        first, now = resource.original_id, resource.current_id
        return (
            self._is("group", now.group)
            and self._is("version", now.version)
            and self._is("kind", now.kind)
            and (self._is("name", first.name) or self._is("name", now.name))
            and (self._is("namespace", first.namespace) or self._is("namespace", now.namespace))
            and self.selects_metadata(resource)
        )

    def selects_metadata(self, resource: Resource) -> bool:
        """Return whether the labels and the annotations of an object are as required."""
        metadata = resource.body["metadata"]
        for name, required in self.requirements.items():
            found = {key: text(value) for key, value in (metadata.get(name) or {}).items()}
            if not matches(required, found):
                return False
        return True

    def means(self, identity: ObjectId, namespace: str) -> bool:
        """Return whether it means an identity, of which the namespace is given as written."""
        found = (identity.group, identity.version, identity.kind, identity.name, namespace)
        return all(self._is(part, value) for part, value in zip(_PARTS, found, strict=True))

    def _is(self, part: str, found: str) -> bool:
        return part not in self.patterns or self.patterns[part].fullmatch(found) is not None

    def __str__(self) -> str:
        """Return the fields that are set."""
        return ", ".join(f"{key} {value}" for key, value in self.written.items()) or "anything"


def read_selector(
    value: object, where: str, *, also: tuple[str, ...] = (), patterns: bool = False
) -> Selector:
    """Read a selector.

    kustomize takes the parts of a patch's target as regular expressions. It does so with those of a replacement in
    some releases, and takes them as they stand in releases up to 5.5. What would mean different things is refused.

    Args:
        value: The selector as written.
        where: Its place, for messages.
        also: Keys that stand beside it and are not part of it.
        patterns: Whether the parts are regular expressions.

    Raises:
        ManifestError: An unknown key, nothing that is selected by, or a pattern where none may be.
    """
    found = fields.known(value, (*SELECTOR_FIELDS, *also), where)
    written = {key: fields.optional(found.get(key), f"{where}.{key}") for key in SELECTOR_FIELDS}
    written = {key: part for key, part in written.items() if part}
    for key, part in written.items():
        if not patterns and key in _PARTS and not _PLAIN.fullmatch(part):
            raise ManifestError(
                f"{where}.{key}: {part!r}: patterns are not supported; write the whole {key}."
            )
    return Selector(
        patterns={
            key: _compiled(part if patterns else re.escape(part), f"{where}.{key}")
            for key, part in written.items()
            if key in _PARTS
        },
        requirements={
            name: read_requirements(written[key], f"{where}.{key}")
            for key, name in _LABELS.items()
            if key in written
        },
        written=written,
    )


def _compiled(pattern: str, where: str) -> re.Pattern[str]:
    try:
        return re.compile(pattern)
    except re.error as error:
        raise ManifestError(f"{where}: {pattern!r} is no regular expression: {error}.") from None
