"""Places in manifests, as explanations name them, and values that may be shown."""

from __future__ import annotations

from typing import TYPE_CHECKING

from meshlab.explain.explanation import Place
from meshlab.visible_text import in_words, without_tokens

if TYPE_CHECKING:
    from meshlab.istio.read.fields import Where
    from meshlab.manifest import Manifest

__all__ = ["place_of", "place_of_manifest", "safe"]

_MAX_VALUE = 200


def place_of(where: Where) -> Place:
    """Return the place of a field."""
    found = where.manifest.problem(where.keys, "")
    return Place(found.source, found.line, found.subject, found.path)


def place_of_manifest(manifest: Manifest) -> Place:
    """Return the place of an object."""
    return Place(manifest.source, manifest.line, manifest.subject)


def safe(value: object) -> str:
    """Return a value as text without tokens, cut where it is long. It may still hold control characters."""
    text = without_tokens(in_words(value))
    return text if len(text) <= _MAX_VALUE else f"{text[: _MAX_VALUE - 1]}…"
