"""How the command ends: one exit code for each kind of trouble, so that a script can tell them apart."""

from enum import IntEnum

from meshpass._errors import (
    BadResponse,
    ConfigurationError,
    GatewayTLSError,
    GatewayUnreachable,
    IdentityError,
    InvalidRequest,
    MeshError,
    MeshTimeout,
    NoRoute,
    NotAllowed,
    RequestRefused,
    SigningKeyError,
    TokenRefused,
    UpstreamUnavailable,
)
from meshpass.keys import KeyLifecycleError


class Exit(IntEnum):
    """Exit codes."""

    OK = 0
    FAILED = 1
    USAGE = 2
    SETTINGS = 3
    TOKEN_SOURCE = 4
    ADDRESS = 5
    CONNECT = 6
    TLS = 7
    CERTIFICATE = 8
    HTTP = 9
    TOKEN_REFUSED = 10
    POLICY = 11
    ROUTE = 12
    UPSTREAM = 13
    KEYS = 14


_OF_ERRORS: tuple[tuple[type[MeshError], Exit], ...] = (
    (ConfigurationError, Exit.SETTINGS),
    (InvalidRequest, Exit.USAGE),
    (SigningKeyError, Exit.TOKEN_SOURCE),
    (IdentityError, Exit.TOKEN_SOURCE),
    (GatewayTLSError, Exit.TLS),
    (GatewayUnreachable, Exit.CONNECT),
    (TokenRefused, Exit.TOKEN_REFUSED),
    (NotAllowed, Exit.POLICY),
    (NoRoute, Exit.ROUTE),
    (RequestRefused, Exit.HTTP),
    (BadResponse, Exit.HTTP),
    (UpstreamUnavailable, Exit.UPSTREAM),
    (MeshTimeout, Exit.UPSTREAM),
    (KeyLifecycleError, Exit.KEYS),
)

HELP = """Exit codes: 0 good · 1 the service answered 4xx or 5xx, or something else failed · 2 wrong usage ·
3 settings · 4 token source or signing key · 5 address · 6 connection · 7 TLS · 8 certificate ·
9 no usable HTTP answer · 10 token refused · 11 not allowed by policy · 12 no route ·
13 no working service or no answer in time · 14 a step of a key's life refused, or the key store out of use."""


def exit_code(error: MeshError) -> Exit:
    """Return the exit code that this error ends the command with."""
    if error.code == "connection_lost":
        return Exit.HTTP
    return next((code for kind, code in _OF_ERRORS if isinstance(error, kind)), Exit.FAILED)
