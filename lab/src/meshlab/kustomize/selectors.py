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
_PLAIN = re.compile(r"[\w.-]+")


@dataclass(frozen=True)
class Selector:
    """What an object must be; an empty field takes any."""

    group: str = ""
    version: str = ""
    kind: str = ""
    name: str = ""
    namespace: str = ""

    def matches(self, manifest: Manifest) -> bool:
        """Whether it means that object."""
        found = (manifest.group, manifest.version, manifest.kind, manifest.name, manifest.namespace)
        wanted = (self.group, self.version, self.kind, self.name, self.namespace)
        return all(not text or text == value for text, value in zip(wanted, found, strict=True))

    def __str__(self) -> str:
        """The fields that are set."""
        return ", ".join(f"{key} {getattr(self, key)}" for key in _KEYS if getattr(self, key)) or "anything"


def read_selector(value: object, where: str, *, also: tuple[str, ...] = ()) -> Selector:
    """Read a selector.

    kustomize takes the fields as regular expressions for patches, and as they stand for replacements (in releases up
    to 5.5 at least). What would mean different things is refused.

    Args:
        value: The selector as written.
        where: Its place, for messages.
        also: Keys that stand beside it and are not part of it.
    """
    found = fields.known(value, (*_KEYS, *also), where)
    texts = {key: fields.string(found[key], f"{where}.{key}") for key in _KEYS if key in found}
    if not texts:
        raise ManifestError(f"{where}: missing; say which objects are meant.")
    for key, text in texts.items():
        if not _PLAIN.fullmatch(text):
            raise ManifestError(
                f"{where}.{key}: {text!r}: patterns are not supported; write the whole {key}."
            )
    return Selector(**texts)
