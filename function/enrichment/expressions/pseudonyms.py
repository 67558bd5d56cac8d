"""Key of `hmac_sha256`, which replaces personal data by pseudonyms.

The key is read once, at the start of the process, and never stands in `pipeline.toml`. An event that comes before there
is a key cannot exist: without one the process does not start.
"""

import hashlib
import hmac
from collections.abc import Mapping
from pathlib import Path

import meshpass

from enrichment.expressions.errors import EvaluationError

FILE, SECRET_ID = "PSEUDONYM_KEY_FILE", "PSEUDONYM_KEY_SECRET_ID"
"""Environment variables that say where the key is: a file, or `projects/P/secrets/S/versions/V`."""

MIN_KEY_BYTES = 16
"""Shortest key: with fewer bytes, pseudonyms could be undone by trying keys."""

_key = b""


def load(env: Mapping[str, str]) -> list[str]:
    """Read the key of this process. For a secret, this asks Secret Manager.

    Args:
        env: The environment.

    Returns:
        What is wrong, one sentence each; empty where the key is set.
    """
    path, secret = env.get(FILE, ""), env.get(SECRET_ID, "")
    if bool(path) == bool(secret):
        found = "both are" if path else "neither is"
        return [
            f"pipeline.toml calls hmac_sha256(), which needs one of {FILE} and {SECRET_ID}, and {found} set."
        ]
    name = FILE if path else SECRET_ID
    try:
        key = (Path(path).read_bytes() if path else meshpass.SecretManagerKey(secret)()).strip()
        if not key:
            return [f"{name}: the key is empty."]
        set_key(key)
    except OSError as error:
        return [f"{name}: {path} cannot be read: {error.strerror}."]
    except meshpass.MeshError as error:
        return [f"{name}: {error}"]
    except ValueError as error:
        return [f"{name}: {error}."]
    return []


def set_key(key: bytes) -> None:
    """Set the key of this process.

    Args:
        key: At least `MIN_KEY_BYTES` bytes; empty takes the key away.

    Raises:
        ValueError: The key is too short.
    """
    global _key
    if key and len(key) < MIN_KEY_BYTES:
        raise ValueError(f"the key has {len(key)} bytes; it needs at least {MIN_KEY_BYTES}")
    _key = key


def has_key() -> bool:
    """Return whether a key is set."""
    return bool(_key)


def pseudonym(text: str) -> str:
    """Return the HMAC-SHA-256 of a text in hexadecimal digits.

    Raises:
        EvaluationError: No key is set.
    """
    if not _key:
        raise EvaluationError(f"needs {FILE} or {SECRET_ID}, and neither is set")
    return hmac.new(_key, text.encode(), hashlib.sha256).hexdigest()
