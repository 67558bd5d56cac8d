"""Refusals: which responses the mesh made itself, in the service's place, and what they mean.

Envoy puts `x-envoy-upstream-service-time` on a response that came from upstream, and none on one of its own.
So with that header, an Envoy's words are those of the workload's sidecar. Without it, but with Envoy's `server`
header, the gateway made the response. An Envoy writes plain text, so JSON is always the service's.
The words are Envoy's: `jwt_verify_lib`'s status strings, the RBAC filter's and the router's. A mesh may be
set to send neither header. Then only responses with those words count as the mesh's.
"""

import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass

from meshpass._errors import (
    AnsweredBy,
    NoRoute,
    NotAllowed,
    RequestRefused,
    TokenRefused,
    UpstreamUnavailable,
)

MAX_DETAIL_CHARS = 200

_JWT_WORDS = ("Jwt ", "Jwks ", "Audiences in Jwt ", "Found multiple Jwt")
_RBAC_WORDS = "RBAC: access denied"
_UPSTREAM_WORDS = (
    "no healthy upstream",
    "upstream connect error or disconnect/reset before headers",
    "upstream request timeout",
    "upstream max stream duration reached",
)
_JWKS_WORDS = "Jwks remote fetch is failed"

_CLOCK_HINT = "Check this machine's clock against the mesh's."
_JWKS_HINT = (
    "Publish this key in the RequestAuthentication; Istio may take 20 minutes to fetch a jwksUri again."
)
# Envoy's words, what they mean (`TokenRefused.cause`), and what to do. Envoy may put one status behind another:
# "Jwt verification fails: Jwks doesn't ...". The order counts.
_TOKEN_CAUSES = (
    (
        _JWKS_WORDS,
        "keys_unavailable",
        "The mesh cannot fetch the issuer's public keys: check the RequestAuthentication's jwksUri.",
    ),
    ("Jwks doesn't have key", "key_unknown", _JWKS_HINT),
    ("Jwt is missing", "missing", "Something before the gateway took the Authorization header away."),
    ("Jwt is expired", "expired", _CLOCK_HINT),
    ("Jwt is not yet valid", "not_yet_valid", _CLOCK_HINT),
    ("Jwt not yet valid", "not_yet_valid", _CLOCK_HINT),
    (
        "Jwt issuer is not configured",
        "issuer",
        "Compare the token's iss with the issuer in the RequestAuthentication.",
    ),
    (
        "Audiences in Jwt",
        "audience",
        "Compare the token's aud with the audiences in the RequestAuthentication.",
    ),
    (
        "Jwt verification fails",
        "signature",
        "The RequestAuthentication has another key under this kid: publish this one.",
    ),
)
_ANY_TOKEN_HINT = "Compare the token's claims with the RequestAuthentication."  # noqa: S105
# A token made anew has a new time and, after a rotation, a new key; its issuer and audience stay as they are.
_NEW_TOKEN_MAY_HELP = frozenset({"expired", "not_yet_valid", "key_unknown", "signature", "other"})
_POLICY_HINT = "An AuthorizationPolicy must allow this caller's principal (iss/sub), host, method and path."
_ROUTE_HINT = "Check that a Gateway and a VirtualService name this virtual host and path."
_UPSTREAM_HINT = "Check that the service's pods are ready, and that the gateway may reach them."
_REDIRECT_HINT = "No redirect is followed: check the scheme, and whether a path value has a slash in it."
_OTHER_HINT = "The access log of the gateway has the reason in its response flags and details."


@dataclass(frozen=True, slots=True)
class Refusal:
    """A response that the mesh made itself: the error that it stands for, and the fields of that error."""

    error: type[RequestRefused] | type[UpstreamUnavailable]
    answered_by: AnsweredBy
    detail: str
    hint: str
    retryable: bool = False
    code: str | None = None
    cause: str = "other"


def classify(status: int, headers: Mapping[str, str], body: bytes) -> Refusal | None:
    """Return what the mesh refused; None for a response of the service itself.

    Args:
        status: The HTTP status.
        headers: The response's headers, looked up in lower case.
        body: The decoded body.
    """
    plain = not body or headers.get("content-type", "text/plain").startswith("text/plain")
    if status < 300 or not plain:
        return None
    from_upstream = "x-envoy-upstream-service-time" in headers
    by_gateway = not from_upstream and headers.get("server") in ("istio-envoy", "envoy")
    who: AnsweredBy = "workload" if from_upstream else "gateway"
    words = one_line(body)
    if status in (401, 403) and words.startswith(_JWT_WORDS):
        cause, hint = _token_cause(words)
        # With the mesh's own keys missing, the token may be perfectly good a little later.
        return Refusal(TokenRefused, who, words, hint, retryable=cause == "keys_unavailable", cause=cause)
    if status == 403 and (words == _RBAC_WORDS or by_gateway):
        return Refusal(NotAllowed, who, words, _POLICY_HINT)
    if status in (502, 503, 504) and (words.startswith(_UPSTREAM_WORDS) or by_gateway):
        code = "upstream_timeout" if status == 504 else None
        return Refusal(UpstreamUnavailable, who, words, _UPSTREAM_HINT, retryable=True, code=code)
    return _by_gateway(status, words) if by_gateway else None


def new_token_may_help(error: TokenRefused) -> bool:
    """Return whether a token made anew may be accepted: 401, and not for what the configuration says."""
    return error.status == 401 and error.cause in _NEW_TOKEN_MAY_HELP


def one_line(body: bytes) -> str:
    """Return a body's beginning as one printable line of at most 200 characters."""
    text = body[: 4 * MAX_DETAIL_CHARS].decode("utf-8", "replace")
    printable = "".join(" " if unicodedata.category(c).startswith("C") else c for c in text)
    line = " ".join(printable.split())
    return line if len(line) <= MAX_DETAIL_CHARS else line[: MAX_DETAIL_CHARS - 1] + "…"


def _by_gateway(status: int, words: str) -> Refusal | None:
    if status == 401:
        return Refusal(TokenRefused, "gateway", words, _ANY_TOKEN_HINT)
    if status == 404:
        # The router's 404 is empty; one with a body is a service's, if the gateway sends no service time.
        return None if words else Refusal(NoRoute, "gateway", words, _ROUTE_HINT)
    hint = _REDIRECT_HINT if status < 400 else _OTHER_HINT
    return Refusal(RequestRefused, "gateway", words, hint, retryable=status in (408, 429))


def _token_cause(words: str) -> tuple[str, str]:
    return next(
        ((cause, hint) for mark, cause, hint in _TOKEN_CAUSES if mark in words), ("other", _ANY_TOKEN_HINT)
    )
