"""The hash of its content that a generated ConfigMap or Secret has behind its name (api/hasher/hasher.go)."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable

    from meshlab.kustomize.resource import Resource

__all__ = ["add_hashes", "content_hash"]

_LENGTH = 10
# Characters that could spell words are replaced, as in kubectl.
_ALPHABET = str.maketrans("013ae", "ghkmt")
# Go's JSON writes these characters escaped.
_ESCAPED = str.maketrans({char: f"\\u{ord(char):04x}" for char in "<>&\u2028\u2029"})


def add_hashes(resources: Iterable[Resource]) -> None:
    """Append the hash to the name of every object that needs one, in place."""
    for resource in resources:
        if resource.needs_hash:
            resource.remember()
            resource.body["metadata"]["name"] = f"{resource.name}-{content_hash(resource.body)}"


def content_hash(body: dict[str, Any]) -> str:
    """Return the hash of a ConfigMap or a Secret.

    Args:
        body: The object.
    """
    # kustomize means to include the name, looks it up in a field that no object has, and so hashes an empty one.
    content: dict[str, Any] = {"kind": body["kind"], "name": "", "data": body.get("data", "")}
    if body["kind"] == "Secret":
        content["type"] = body.get("type", "")
    more = "stringData" if body["kind"] == "Secret" else "binaryData"
    if isinstance(body.get(more), dict):
        content[more] = body[more]
    written = json.dumps(content, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    digest = hashlib.sha256(written.translate(_ESCAPED).encode()).hexdigest()
    return digest[:_LENGTH].translate(_ALPHABET)
