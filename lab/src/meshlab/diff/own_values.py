"""Values that belong to one run alone, removed from what an application or a client received.

Two runs of one mesh make other tokens, request ids, ports, certificates and times. None of them is a change.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
from typing import TYPE_CHECKING

from meshlab.bench.echo.exchange import MARK_HEADER
from meshlab.visible_text import JWT

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

__all__ = ["CLIENT_CERTIFICATE", "Headers", "of_every_run", "without_own_values"]

Headers = tuple[tuple[str, str], ...]

_OF_ONE_REQUEST = frozenset(
    {
        MARK_HEADER,
        "b3",
        "content-length",  # of the echo's text, which holds all of these
        "date",
        "grpc-trace-bin",
        "traceparent",
        "tracestate",
        "x-amzn-trace-id",
        "x-client-trace-id",
        "x-cloud-trace-context",
        "x-datadog-parent-id",
        "x-datadog-trace-id",
        "x-envoy-attempt-count",  # how often it was tried depends on the moment
        "x-envoy-upstream-service-time",
        "x-ot-span-context",
        "x-request-id",
    }
)
_OF_ONE_REQUEST_PREFIXES = ("x-b3-",)
CLIENT_CERTIFICATE = "x-forwarded-client-cert"

_UUID = re.compile(r"\b[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b", re.IGNORECASE)
_CERTIFICATE = re.compile(r"\b(Hash|Cert|Chain)=(?:\"[^\"]*\"|[^;,]*)")
_LOOPBACK = re.compile(r"\b127(?:\.\d{1,3}){3}(?::\d+)?\b|\[::1\](?::\d+)?")
_SECONDS = re.compile(r"1\d{9}|2\d{9}")
"""Seconds since 1970, from 2001 to 2065, as the whole value of a header."""
_PAYLOAD = re.compile(r"ey[\w-]{8,}=*")
"""JSON of an object as base64url."""
_CLAIMS_OF_ONE_TOKEN = ("iat", "nbf", "exp", "jti")


def of_every_run(headers: Iterable[tuple[str, str]], secrets: Sequence[str] = ()) -> Headers:
    """Return headers in lower case and sorted by name, without what is of one run alone.

    Args:
        headers: The headers, in any case and order.
        secrets: Texts that must not be shown, such as tokens that a case writes out.
    """
    found = []
    for name, value in headers:
        key = name.lower()
        if key in _OF_ONE_REQUEST or key.startswith(_OF_ONE_REQUEST_PREFIXES):
            continue
        text = without_own_values(value, secrets)
        if key == CLIENT_CERTIFICATE:
            text = _CERTIFICATE.sub(r"\1=<of the run>", text)
        found.append((key, text))
    # Headers of one name keep their order; that of different names means nothing.
    return tuple(sorted(found, key=lambda header: header[0]))


def without_own_values(text: str, secrets: Sequence[str] = ()) -> str:
    """Return a text with names in place of what is of one run alone.

    Args:
        text: A header's value, a path or a body.
        secrets: Texts that must not be shown.
    """
    for secret in secrets:
        if secret:
            text = text.replace(secret, "<token>")
    text = JWT.sub("<token>", text)
    if _PAYLOAD.fullmatch(text) and (claims := _claims(text)):
        return claims
    if _SECONDS.fullmatch(text):
        return "<time>"
    return _LOOPBACK.sub("<address>", _UUID.sub("<id>", text))


def _claims(text: str) -> str:
    """Return the claims that Envoy forwards as base64url, without those of one token; empty where it is none."""
    try:
        padded = text.rstrip("=")
        document = json.loads(base64.urlsafe_b64decode(padded + "=" * (-len(padded) % 4)))
    except (ValueError, binascii.Error):
        return ""
    if not isinstance(document, dict):
        return ""
    lasting = {name: value for name, value in document.items() if name not in _CLAIMS_OF_ONE_TOKEN}
    own = [name for name in _CLAIMS_OF_ONE_TOKEN if name in document]
    return f"claims {json.dumps(lasting, sort_keys=True)} and {', '.join(own) or 'no others'}"
