"""Types of what the mesh's policies and the caller's token have in common, and of hosts and addresses."""

from __future__ import annotations

import re

from meshcontract.ranges import private_address_problem
from meshcontract.value_types import OCTET, PORT, PRIVATE_START, Type, list_of

__all__ = ["AUDIENCE", "EMAIL", "HOST", "ISSUER", "PRIVATE_ADDRESS", "SCOPE", "SCOPES", "SUBJECT", "URL"]

# RFC 1123, section 2.1: the last label is alphabetic, so an address is no host name. Envoy and Istio compare hosts as
# they are written, so there is one spelling: lower case, without a dot at the end.
_LABEL = "[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
_HOST = f"(?:{_LABEL}[.])*[a-z](?:[a-z0-9-]{{0,61}}[a-z0-9])?"
_ADDRESS = f"(?:{OCTET}[.]){{3}}{OCTET}"
_MOST_PORT = 65535


def _host_problem(value: str) -> str:
    if re.fullmatch("[0-9.]+", value) or ":" in value:
        return "it is an address or has a port, and this is the name that the certificate and the routes have"
    if value != value.lower():
        return "it has capitals, and hosts are compared as they are written"
    return "it ends in a dot" if value.endswith(".") else ""


HOST = Type(
    "a host name",
    "a host name in lower case, such as user-profile.internal",
    f"{_LABEL}(?:[.]{_LABEL})*[.][a-z](?:[a-z0-9-]{{0,61}}[a-z0-9])?",
    longest=253,
    check=_host_problem,
)

PRIVATE_ADDRESS = Type(
    "a private IPv4 address",
    "a private IPv4 address, such as 10.128.0.5",
    f"{PRIVATE_START}(?:[.]{OCTET}){{2}}",
    check=private_address_problem,
)


def _url_problem(value: str) -> str:
    rest = value.partition("://")[2]
    if "@" in rest:
        return "it has a user name or a password"
    if "/" in rest or "?" in rest:
        return "it has a path, which belongs into each call"
    port = rest.rpartition(":")[2] if ":" in rest else ""
    if port.isdecimal() and not 1 <= int(port) <= _MOST_PORT:
        return f"{port} is no port"
    return ""


URL = Type(
    "the address of a gateway",
    "https://ADDRESS or https://ADDRESS:PORT, without a path",
    f"https?://(?:{_HOST}|{_ADDRESS})(?::{PORT})?",
    check=_url_problem,
)


def _claim_problem(value: str) -> str:
    # Istio takes `*` at the start or the end of a principal, an audience and a claim as "anything".
    # https://istio.io/latest/docs/reference/config/security/authorization-policy/#Source
    return "a policy reads `*` as a wildcard, and it would match other callers" if "*" in value else ""


def _subject_problem(value: str) -> str:
    if "/" in value:
        return "a policy writes ISSUER/SUBJECT, so a subject with a slash could be another issuer's"
    return _claim_problem(value)


_WORD = "[A-Za-z0-9][A-Za-z0-9_@%+=:.-]*"
_HTTPS = f"https://{_HOST}(?::{PORT})?(?:/[A-Za-z0-9_@%+=:.-]+)*/?"
ISSUER = Type(
    "an issuer",
    "the iss of the tokens, exactly: a service account's e-mail address, a name, or https://HOST",
    f"{_HTTPS}|{_WORD}",
    check=_claim_problem,
)
AUDIENCE = Type(
    "an audience",
    "the aud of the tokens, exactly: a name or https://HOST",
    f"{_HTTPS}|{_WORD}",
    check=_claim_problem,
)
# https://openid.net/specs/openid-connect-core-1_0.html#IDToken: at most 255 ASCII characters.
SUBJECT = Type("a subject", "the sub of the tokens, exactly", _WORD, longest=255, check=_subject_problem)

# RFC 6749, section 3.3, without what a shell or the contract's own lists would read in another way.
SCOPE = Type(
    "one scope",
    "one scope, such as read:user-profile; further ones belong into JWT_FURTHER_SCOPES",
    "[A-Za-z0-9][A-Za-z0-9_@%+=:./-]*",
    check=_claim_problem,
)
SCOPES = list_of(SCOPE, "scopes", "scopes separated by commas, such as read:orders,write:orders")

EMAIL = Type(
    "an e-mail address",
    "an e-mail address, such as reports@acme-mesh.iam.gserviceaccount.com",
    f"[A-Za-z0-9][A-Za-z0-9._%+-]*@{_LABEL}(?:[.]{_LABEL})+",
    check=_claim_problem,
)
