"""What an ID token says of itself. It is not verified: that is the mesh's part."""

import base64
import json
from typing import Any

from meshpass._errors import IdentityError
from meshpass._token import Token


def read_token(encoded: str, audience: str, source: str) -> Token:
    """Return an encoded ID token with its expiry and what messages may say about it.

    Args:
        encoded: The token (RFC 7519).
        audience: What its `aud` must be: any other would only fail later, as a refusal of the mesh.
        source: Where it comes from, for messages.

    Raises:
        IdentityError: it is no such token.
    """
    try:
        header, payload, _ = encoded.split(".")
        claims: dict[str, Any] = {**_part(header), **_part(payload)}
        expires_at = float(claims["exp"])
    except (ValueError, KeyError, TypeError, AttributeError):
        claims = {}
    if not claims:
        raise IdentityError(f"What came as the ID token of {source} is no ID token.")
    if claims.get("aud") not in (audience, [audience]):
        raise IdentityError(
            f"The ID token of {source} came for another audience than {audience}.",
            hint="These credentials cannot choose an audience: set service_account.",
        )
    shown: dict[str, object] = {
        name: claims[name] for name in ("iss", "aud", "email", "kid", "exp") if name in claims
    }
    return Token(encoded, expires_at, "GoogleIDToken", shown)


def _part(text: str) -> dict[str, Any]:
    part = json.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
    return part if isinstance(part, dict) else {}
