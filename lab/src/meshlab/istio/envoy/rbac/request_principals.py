"""Request principals: the issuer and the subject of a verified token (`authz/model/generator.go`)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from meshlab.istio.envoy.rbac import matchers

if TYPE_CHECKING:
    from meshlab.istio.envoy.config import Json

__all__ = ["request_principal"]


def request_principal(value: str) -> Json:
    """Return the principal for `ISSUER/SUBJECT`; the last slash parts them, and both must match.

    A `*` alone asks for both. At the beginning it stands for the beginning of the issuer, or of the subject where there
    is no slash. At the end it stands for the end of the subject, or of the issuer where there is no slash.
    """
    issuer, slash, subject = value.rpartition("/")
    if not slash:
        issuer, subject = value, ""
    anything = matchers.regex(".+")
    match_issuer, match_subject = {"exact": issuer}, {"exact": subject}
    if value == "*":
        match_issuer = match_subject = anything
    elif value.startswith("*") and slash:
        match_issuer = anything if issuer == "*" else {"suffix": issuer[1:]}
    elif value.startswith("*"):
        match_issuer, match_subject = anything, {"suffix": value[1:]}
    elif value.endswith("*") and slash:
        match_subject = anything if subject == "*" else {"prefix": subject[:-1]}
    elif value.endswith("*"):
        match_issuer, match_subject = {"prefix": value[:-1]}, anything
    both = [
        matchers.claim(("iss",), {"stringMatch": match_issuer}),
        matchers.claim(("sub",), {"stringMatch": match_subject}),
    ]
    return {"andIds": {"ids": both}}
