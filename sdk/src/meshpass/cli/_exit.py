"""Exit codes of the command: one for each kind of failure, so that a script can distinguish them."""

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

MEANINGS = {
    Exit.OK: "good",
    Exit.FAILED: "the service answered 4xx or 5xx, or something else failed",
    Exit.USAGE: "wrong usage",
    Exit.SETTINGS: "settings are missing or wrong",
    Exit.TOKEN_SOURCE: "the token source or the signing key cannot be used",
    Exit.ADDRESS: "the gateway's name does not resolve",
    Exit.CONNECT: "no connection to the gateway",
    Exit.TLS: "no TLS with the gateway",
    Exit.CERTIFICATE: "the gateway's certificate is not trusted",
    Exit.HTTP: "no usable HTTP response",
    Exit.TOKEN_REFUSED: "the mesh refused the token",
    Exit.POLICY: "a policy does not allow the call",
    Exit.ROUTE: "no route for this host and path",
    Exit.UPSTREAM: "no working service, or no response in time",
    Exit.KEYS: "a step of a key's life was refused, or the key store cannot be used",
}
# A line that is a backspace alone keeps the lines below it from being joined.
HELP = "\b\nExit codes:\n" + "\n".join(f"  {code.value:>2}  {meaning}" for code, meaning in MEANINGS.items())


def exit_code(error: MeshError) -> Exit:
    """Return the exit code for an error that ends the command."""
    if error.code == "connection_lost":
        return Exit.HTTP
    return next((code for kind, code in _OF_ERRORS if isinstance(error, kind)), Exit.FAILED)
