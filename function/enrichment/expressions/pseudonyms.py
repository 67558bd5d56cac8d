"""Key of `hmac_sha256`, which replaces personal data by pseudonyms.

The key is set once at the start of the process, and never stands in `pipeline.toml`.
"""

import hashlib
import hmac

from enrichment.expressions.errors import EvaluationError

MIN_KEY_BYTES = 16
"""Shortest key: with fewer bytes, pseudonyms could be undone by trying keys."""

_key = b""


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


def pseudonym(text: str) -> str:
    """Return the HMAC-SHA-256 of a text in hexadecimal digits.

    Raises:
        EvaluationError: No key is set.
    """
    if not _key:
        raise EvaluationError("needs PSEUDONYM_KEY_FILE or PSEUDONYM_KEY_SECRET_ID, and neither is set")
    return hmac.new(_key, text.encode(), hashlib.sha256).hexdigest()
