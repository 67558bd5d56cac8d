"""Errors of a call that are also errors of the library that the caller uses.

A program that catches `httpx.ConnectError` or `requests.Timeout` also catches the mesh's errors, with all their
fields. Each combined class is made once.
"""

from collections.abc import Mapping
from functools import cache
from typing import NamedTuple

from meshpass._errors import MeshError


class Names(NamedTuple):
    """Names of the library errors that callers catch for one error code.

    Args:
        httpx: Name of the class in `httpx`.
        requests: Name of the class in `requests.exceptions`.
    """

    httpx: str
    requests: str


_NOT_SENT = Names("ConnectError", "ConnectionError")
_NOT_SENT_IN_TIME = Names("ConnectTimeout", "ConnectTimeout")
_NO_RESPONSE_IN_TIME = Names("ReadTimeout", "ReadTimeout")
_NOT_READABLE = Names("DecodingError", "ContentDecodingError")
_INVALID = Names("LocalProtocolError", "InvalidURL")
# The gateway is a reverse proxy, and its refusal is not a response of the service.
_REFUSED = Names("ProxyError", "ProxyError")
_OTHER = Names("TransportError", "RequestException")

NAMES: Mapping[str, Names] = {
    "mesh_error": _OTHER,
    "configuration": _OTHER,
    "client_closed": _OTHER,
    "signing_key": _OTHER,
    "identity": _OTHER,
    "invalid_request": _INVALID,
    "invalid_path_value": _INVALID,
    "gateway_tls": Names("ConnectError", "SSLError"),
    "gateway_unreachable": _NOT_SENT,
    "timeout": _NOT_SENT_IN_TIME,
    "timeout_token": _NOT_SENT_IN_TIME,
    "timeout_connect": _NOT_SENT_IN_TIME,
    "deadline": _NOT_SENT_IN_TIME,
    "timeout_send": Names("WriteTimeout", "ConnectionError"),
    "timeout_read": _NO_RESPONSE_IN_TIME,
    "timeout_body": _NO_RESPONSE_IN_TIME,
    "upstream_timeout": _NO_RESPONSE_IN_TIME,
    "connection_lost": Names("RemoteProtocolError", "ConnectionError"),
    "upstream_unavailable": _REFUSED,
    "request_refused": _REFUSED,
    "token_refused": _REFUSED,
    "not_allowed": _REFUSED,
    "no_route": _REFUSED,
    "bad_response": _NOT_READABLE,
    "response_too_large": _NOT_READABLE,
    "not_decodable": _NOT_READABLE,
    "not_http": Names("RemoteProtocolError", "ConnectionError"),
}
"""Library errors by `MeshError.code`."""


def names_for(error: MeshError) -> Names:
    """Return the names of the library errors that this error is raised as."""
    return NAMES.get(error.code, _OTHER)


def combined(error: MeshError, base: type[Exception], request: object) -> MeshError:
    """Return a copy of the error that is also an instance of the library's class.

    It is a copy, because one failed token fetch may end several calls with different requests.

    Args:
        error: The error of the call.
        base: The library's class.
        request: The library's request, which becomes `error.request`.
    """
    made = _rebuild(type(error), base, error.args, vars(error))
    made.request = request  # type: ignore[attr-defined]
    made.__cause__, made.__suppress_context__ = error.__cause__, True
    return made


@cache
def _combined_class(own: type, base: type) -> type:
    def reduce(self: MeshError) -> tuple[object, ...]:
        # The combined class cannot be imported by name. The request is left out, because it is not part of the error.
        fields = {name: value for name, value in vars(self).items() if name not in ("_request", "request")}
        return _rebuild, (own, base, self.args, fields)

    names = {"__module__": own.__module__, "__doc__": own.__doc__, "__reduce__": reduce}
    return type(own.__name__, (own, base), names)


def _rebuild(
    own: type[MeshError], base: type[Exception], args: tuple[object, ...], fields: Mapping[str, object]
) -> MeshError:
    cls: type[MeshError] = _combined_class(own, base)  # type: ignore[arg-type]
    # Runs the constructor of the library's class, without that of `MeshError`. It is called by its class, because the
    # one of `RuntimeError` would come first in an error that is one.
    made = base.__new__(cls, *args)
    base.__init__(made, *args)
    made.__dict__.update(fields)
    return made
