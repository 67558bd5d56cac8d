"""What an ID token says of itself. It is not verified: that is the mesh's part."""

import base64
import re
from typing import Any

from meshpass._errors import IdentityError
from meshpass._token import Token
from meshpass._tokens.untrusted_json import json_object, seconds


def read_token(encoded: str, audience: str, source: str) -> Token:
    """Return an encoded ID token with its expiry and what messages may say about it.

    Args:
        encoded: The token (RFC 7519).
        audience: What its `aud` must be: any other would only fail later, as a refusal of the mesh.
        source: Where it comes from, for messages.

    Raises:
        IdentityError: it is no such token.
    """
    # Also because it becomes a header's value.
    parts = encoded.split(".") if _JWT.fullmatch(encoded) else ["", ""]
    claims: dict[str, Any] = {**_part(parts[0]), **_part(parts[1])}
    expires_at = seconds(claims.get("exp"))
    if expires_at is None:
        raise IdentityError(f"What came as the ID token of {source} is no ID token.")
    if claims.get("aud") not in (audience, [audience]):
        raise IdentityError(
            f"The ID token of {source} came for another audience than {audience}.",
            hint="These credentials cannot choose an audience: set service_account.",
        )
    shown: dict[str, object] = {
        name: claims[name]
        for name in ("iss", "aud", "email", "kid")
        if isinstance(claims.get(name), str) and len(claims[name]) <= _SHOWN_CHARS
    }
    shown |= {"aud": audience, "exp": int(expires_at)}
    return Token(encoded, expires_at, "GoogleIDToken", shown)


def _part(text: str) -> dict[str, Any]:
    try:
        return json_object(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
    except ValueError:
        return {}


# RFC 7515, section 7.1. A signature of its own length is left to the mesh.
_JWT = re.compile(r"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]*")
_SHOWN_CHARS = 2000
