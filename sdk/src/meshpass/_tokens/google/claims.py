"""Claims of an ID token. They are not verified here; the mesh verifies them."""

import base64
import re
from typing import Any

from meshpass._errors import IdentityError
from meshpass._token import Token
from meshpass._tokens.untrusted_json import json_object, seconds


def read_token(encoded: str, audience: str, source: str) -> Token:
    """Return an encoded ID token with its expiry and the claims that messages may show.

    Args:
        encoded: The token (RFC 7519).
        audience: The `aud` that it must have. The mesh would refuse any other.
        source: Where it comes from, for messages.

    Raises:
        IdentityError: it is not an ID token, or has another audience.
    """
    # This also keeps characters out that a header cannot hold.
    parts = encoded.split(".") if _JWT.fullmatch(encoded) else ["", ""]
    claims: dict[str, Any] = {**_part(parts[0]), **_part(parts[1])}
    expires_at = seconds(claims.get("exp"))
    if expires_at is None:
        raise IdentityError(f"The ID token of {source} is not a valid JWT with an expiry.")
    if claims.get("aud") not in (audience, [audience]):
        raise IdentityError(
            f"The ID token of {source} has another audience than {audience}.",
            hint="These credentials cannot choose an audience: set service_account.",
        )
    shown: dict[str, object] = {
        name: claims[name]
        for name in ("iss", "sub", "aud", "email", "kid")
        if isinstance(claims.get(name), str) and len(claims[name]) <= _SHOWN_CHARS
    }
    shown |= {"aud": audience, "exp": int(expires_at)}
    return Token(encoded, expires_at, "GoogleIDToken", shown)


def _part(text: str) -> dict[str, Any]:
    try:
        return json_object(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
    except ValueError:
        return {}


# RFC 7515, section 7.1. The signature is checked by the mesh.
_JWT = re.compile(r"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]*")
_SHOWN_CHARS = 2000
