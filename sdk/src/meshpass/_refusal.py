"""Whose answer is this? Telling the mesh's own answers from the service's.

Envoy puts `x-envoy-upstream-service-time` on an answer that came from upstream, and none on one it made itself. So with
that header, the words of an Envoy are those of the workload's sidecar; without it, and with Envoy's `server` header,
the gateway made the answer. The words are Envoy's own: its `jwt_verify_lib` status strings, its RBAC filter and its
router. A mesh may be set to send neither header; then only answers with those words count as the mesh's.
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

_TOKEN_HINTS = (
    (
        "Jwt is missing",
        "Something on the way removed the Authorization header: look at proxies before the gateway.",
    ),
    ("Jwt is expired", "Check this machine's clock against the mesh's."),
    ("Jwt not yet valid", "Check this machine's clock against the mesh's."),
    ("Jwt is not yet valid", "Check this machine's clock against the mesh's."),
    (
        "Jwt issuer is not configured",
        "Compare JWT_ISSUER with the issuer in the mesh's RequestAuthentication.",
    ),
    ("Audiences in Jwt", "Compare JWT_AUDIENCE with the audiences in the mesh's RequestAuthentication."),
    (_JWKS_WORDS, "The mesh cannot fetch the issuer's public keys: check its jwksUri."),
    (
        "Jwks doesn't have key",
        "Publish this key's public half in the RequestAuthentication's JWKS; Istio takes up to 20 minutes to refetch a"
        " jwksUri.",
    ),
    (
        "Jwt verification fails",
        "The mesh's JWKS holds another key under this kid: publish the one that signs.",
    ),
)
_TOKEN_HINT = "Compare the token's claims with the mesh's RequestAuthentication."  # noqa: S105
_POLICY_HINT = "An AuthorizationPolicy must allow this caller's principal (iss/sub), host, method and path."
_ROUTE_HINT = (
    "Check that the virtual host (GKE_GATEWAY_HOST) and path stand in the Gateway and a VirtualService."
)
_UPSTREAM_HINT = "Check that the service's pods are running and ready, and that the gateway may reach them."
_OTHER_HINT = "The gateway's access log has the reason in its response flags and details."


@dataclass(frozen=True, slots=True)
class Refusal:
    """An answer of the mesh's own making: the error it stands for, and that error's fields."""

    error: type[RequestRefused] | type[UpstreamUnavailable]
    answered_by: AnsweredBy
    detail: str
    hint: str
    retryable: bool = False
    code: str | None = None


def classify(status: int, headers: Mapping[str, str], body: bytes) -> Refusal | None:
    """Tell what the mesh refused, or None when the service itself answered.

    Args:
        status: The HTTP status.
        headers: The answer's headers, looked up in lower case.
        body: The decoded body.
    """
    if status < 300:
        return None
    from_upstream = "x-envoy-upstream-service-time" in headers
    by_gateway = not from_upstream and headers.get("server", "") in ("istio-envoy", "envoy")
    answered_by: AnsweredBy = "workload" if from_upstream else "gateway"
    words = one_line(body)
    if status in (401, 403) and words.startswith(_JWT_WORDS):
        # The mesh could not get its keys: the token may be perfectly good a little later.
        keys_missing = _JWKS_WORDS in words
        return Refusal(TokenRefused, answered_by, words, _token_hint(words), retryable=keys_missing)
    if status == 403 and (words == _RBAC_WORDS or by_gateway):
        return Refusal(NotAllowed, answered_by, words, _POLICY_HINT)
    if status in (502, 503, 504) and (words.startswith(_UPSTREAM_WORDS) or by_gateway):
        code = "upstream_timeout" if status == 504 else None
        return Refusal(UpstreamUnavailable, answered_by, words, _UPSTREAM_HINT, retryable=True, code=code)
    if not by_gateway:
        return None
    if status == 401:
        return Refusal(TokenRefused, answered_by, words, _TOKEN_HINT)
    if status == 404:
        # The router's own 404 is empty; with a body it is a service's, behind a gateway that sends no service time.
        return None if body else Refusal(NoRoute, answered_by, words, _ROUTE_HINT)
    return Refusal(RequestRefused, answered_by, words, _OTHER_HINT, retryable=status in (408, 429))


def one_line(body: bytes) -> str:
    """Return a body's beginning as one printable line of at most 200 characters."""
    text = body[: 4 * MAX_DETAIL_CHARS].decode("utf-8", "replace")
    printable = "".join(c if unicodedata.category(c)[0] != "C" else " " for c in text)
    line = " ".join(printable.split())
    return line if len(line) <= MAX_DETAIL_CHARS else line[: MAX_DETAIL_CHARS - 1] + "…"


def _token_hint(words: str) -> str:
    # Envoy may put one status behind another: "Jwt verification fails: Jwks doesn't have key ...". The order counts.
    return next((hint for mark, hint in _TOKEN_HINTS if mark in words), _TOKEN_HINT)
