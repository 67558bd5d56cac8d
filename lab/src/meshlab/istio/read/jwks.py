"""A check of inline key sets (RFC 7517), so that a broken or private key is found before Envoy sees it."""

from __future__ import annotations

import base64
import binascii
import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from meshlab.istio.read.fields import Where

__all__ = ["check_jwks"]

_PRIVATE = ("d", "p", "q", "dp", "dq", "qi", "oth", "k")
_EC_BYTES = {"P-256": 32, "P-384": 48, "P-521": 66}


def check_jwks(text: str, where: Where) -> str:
    """Make sure that a text is a set of public keys that Envoy can verify with.

    Args:
        text: The JWKS document.
        where: Where it stands; no part of a key ever reaches a message.

    Returns:
        The text.

    Raises:
        ManifestError: Not JSON, no keys, a private member, or a key of an unknown or incomplete kind.
    """
    try:
        document = json.loads(text)
    except ValueError:
        raise where.error(
            "not JSON (comments are not allowed in it); write the issuer's JWKS document."
        ) from None
    keys = document.get("keys") if isinstance(document, dict) else None
    if not isinstance(keys, list) or not keys:
        raise where.error("holds no keys; a token of this issuer could never be verified.")
    seen: set[str] = set()
    for index, key in enumerate(keys):
        _check_key(key, where.key(f"keys[{index}]"))
        if (kid := key.get("kid")) is not None and kid in seen:
            raise where.key(f"keys[{index}].kid").error("another key has the same kid; make them differ.")
        if kid is not None:
            seen.add(kid)
    return text


def _check_key(key: object, where: Where) -> None:
    if not isinstance(key, dict):
        raise where.error("is not a JSON object.")
    if private := [name for name in _PRIVATE if name in key]:
        names = ", ".join(private)
        raise where.error(
            f"holds private members ({names}); publish the public key only, and replace this one."
        )
    match key.get("kty"):
        case "EC":
            size = _EC_BYTES.get(key.get("crv", ""))
            if size is None:
                raise where.key("crv").error(f"is none of {', '.join(_EC_BYTES)}.")
            sound = _byte_length(key, "x") == size and _byte_length(key, "y") == size
        case "RSA":
            sound = _byte_length(key, "n") >= 256 and _byte_length(key, "e") > 0
        case "OKP":
            sound = key.get("crv") == "Ed25519" and _byte_length(key, "x") == 32
        case _:
            raise where.key("kty").error("is none of EC, RSA, OKP.")
    if not sound:
        raise where.error("is incomplete, malformed or too short; generate it from the key again.")


def _byte_length(key: dict[str, Any], name: str) -> int:
    value = key.get(name)
    if not isinstance(value, str):
        return 0
    try:
        return len(base64.b64decode(value + "=" * (-len(value) % 4), altchars=b"-_", validate=True))
    except binascii.Error:
        return 0
