"""Places in manifests, as explanations name them, and values that may be shown."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from meshlab.explain.explanation import Place

if TYPE_CHECKING:
    from meshlab.istio.read.fields import Where
    from meshlab.manifest import Manifest

__all__ = ["place_of", "place_of_manifest", "safe"]

# The compact form of a JWT (RFC 7515, section 3.1): its header is a JSON object.
_TOKEN = re.compile(r"eyJ[\w-]+\.[\w-]*\.[\w-]*")
# The query parameter in which Istio looks for a token unless a rule names others.
_TOKEN_PARAMETER = re.compile(r"([?&]access_token=)[^&#\s]*", re.IGNORECASE)
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
    text = _TOKEN_PARAMETER.sub(r"\1<token>", _TOKEN.sub("<token>", str(value)))
    return text if len(text) <= _MAX_VALUE else f"{text[: _MAX_VALUE - 1]}…"
