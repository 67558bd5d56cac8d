"""Which objects a patch or a replacement means."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from meshlab.kustomize import fields
from meshlab.manifest import ManifestError

if TYPE_CHECKING:
    from meshlab.manifest import Manifest

__all__ = ["Selector", "read_selector"]

_KEYS = ("group", "version", "kind", "name", "namespace")


@dataclass(frozen=True)
class Selector:
    """What an object must be; an empty field takes any. Fields are regular expressions, matched as a whole."""

    group: str = ""
    version: str = ""
    kind: str = ""
    name: str = ""
    namespace: str = ""

    def matches(self, manifest: Manifest) -> bool:
        """Whether it means that object."""
        found = (manifest.group, manifest.version, manifest.kind, manifest.name, manifest.namespace)
        return all(
            not pattern or re.fullmatch(pattern, value)
            for pattern, value in zip(
                (self.group, self.version, self.kind, self.name, self.namespace), found, strict=True
            )
        )

    def __str__(self) -> str:
        """The fields that are set."""
        return ", ".join(f"{key} {getattr(self, key)}" for key in _KEYS if getattr(self, key)) or "anything"


def read_selector(value: object, where: str, *, also: tuple[str, ...] = ()) -> Selector:
    """Read a selector; `also` are keys that stand beside it and are not part of it."""
    found = fields.known(value, (*_KEYS, *also), where)
    patterns = {key: fields.string(found[key], f"{where}.{key}") for key in _KEYS if key in found}
    for key, pattern in patterns.items():
        try:
            re.compile(pattern)
        except re.error:
            raise ManifestError(f"{where}.{key}: {pattern!r} is not a regular expression.") from None
    return Selector(**patterns)
