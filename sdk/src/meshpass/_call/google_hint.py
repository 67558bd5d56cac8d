"""Advice on a refused Google ID token: its caller has an account and an audience, and neither a key nor a scope."""

from typing import TYPE_CHECKING

from meshpass._errors import NotAllowed, TokenRefused

if TYPE_CHECKING:
    from meshpass._call.refusal import Refusal
    from meshpass._token import Token

_NEW_KEYS = (
    "Where the RequestAuthentication has them inline, write Google's present keys into it and apply it"
    " (meshgen google-keys). Behind a jwksUri Istio may take 20 minutes to fetch them again."
)
_HINTS = {
    "issuer": "The mesh does not trust Google's ID tokens: its RequestAuthentication needs the issuer {iss}.",
    "audience": "JWT_AUDIENCE must be one of the audiences in the RequestAuthentication.",
    "key_unknown": f"Google signs with a key that the mesh does not have. {_NEW_KEYS}",
    "signature": f"The mesh has another key under this kid than Google. {_NEW_KEYS}",
}
_NOT_ALLOWED = (
    "An AuthorizationPolicy must allow the principal {iss}/{sub}, which ends with the unique id of the service account"
    "{email}, and host, method and path. An ID token has no scope: a policy that asks for one refuses it."
)


def google_hint(found: "Refusal", token: "Token") -> str:
    """Return what to do about a refusal of a Google ID token; empty for any other token or refusal.

    Args:
        found: The refusal.
        token: The token that was sent.
    """
    if token.source != "GoogleIDToken":
        return ""
    known = {name: str(token.claims.get(name, "?")) for name in ("iss", "sub")}
    email = token.claims.get("email")
    if found.error is NotAllowed:
        return _NOT_ALLOWED.format(**known, email=f" {email}" if email else "")
    return _HINTS.get(found.cause, "").format(**known) if found.error is TokenRefused else ""
