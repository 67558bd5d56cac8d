"""Errors of calls from a program to a service in the mesh, as one tree.

MeshError
├── ConfigurationError      settings are missing or wrong; lists all problems
├── InvalidRequest          the call cannot be sent safely; nothing was sent
│   └── InvalidPathValue    a value cannot be one segment of a path
├── ClientClosed            the client was closed before the call; nothing was sent
├── SigningKeyError         the signing key cannot be read or used
├── IdentityError           no Google identity was found, or Google issues no ID token for it
├── GatewayTLSError         the gateway's certificate is not trusted, or TLS failed
├── MeshTimeout             no complete response within the time limit; `code` says in which phase
├── BadResponse             the response is too large, cannot be decoded, or is not HTTP/1.1
├── UpstreamUnavailable     the mesh has no working service behind the route, or the connection broke
│   └── GatewayUnreachable  no connection to the gateway; nothing was sent
└── RequestRefused          the mesh refused the request; the service did not receive it
    ├── TokenRefused        the caller's token was not accepted; `cause` gives the reason
    ├── NotAllowed          no policy allows this caller to make this request
    └── NoRoute             the gateway has no route for this host and path

A response of the service itself is returned, with any status. It is never raised.
No error holds a token, a key or a payload.
"""

from collections.abc import Mapping, Sequence
from typing import Literal

AnsweredBy = Literal["gateway", "workload"]


class MeshError(Exception):
    """Base of all errors: a call could not be made, or did not reach its service.

    Args:
        message: What failed, on what, and why, in whole sentences.
        code: A stable word for logs and alerts.
        service: The host name of the service that was called.
        status: The HTTP status, where the mesh sent a response.
        detail: The text of the mesh's response, on one line and cut to a limited length.
        answered_by: Which proxy sent the response: "gateway", or "workload" for the service's own proxy.
        claims: `iss`, `aud`, `kid` and `exp` of the token that was sent; never the token itself.
        hint: What to do next.
        retryable: Whether the same call may succeed later without any change.
        attempts: How often the call was sent. A replay after a stale connection is not counted.
        retry_after_s: The response's `Retry-After`, in seconds from its arrival.
    """

    code: str = "mesh_error"
    retryable: bool = False

    def __init__(
        self,
        message: str,
        *,
        code: str | None = None,
        service: str | None = None,
        status: int | None = None,
        detail: str | None = None,
        answered_by: AnsweredBy | None = None,
        claims: Mapping[str, object] | None = None,
        hint: str = "",
        retryable: bool | None = None,
        attempts: int = 0,
        retry_after_s: float | None = None,
    ) -> None:
        super().__init__(message)
        if code is not None:
            self.code = code
        if retryable is not None:
            self.retryable = retryable
        self.service = service
        self.status = status
        self.detail = detail
        self.answered_by = answered_by
        self.claims: dict[str, object] = dict(claims or {})
        self.hint = hint
        self.attempts = attempts
        self.retry_after_s = retry_after_s

    def __str__(self) -> str:
        tried = f"It was tried {self.attempts} times." if self.attempts > 1 else ""
        return " ".join(part for part in (str(self.args[0]), tried, self.hint) if part)


class ConfigurationError(MeshError):
    """Settings are missing or wrong; `problems` lists all of them.

    Args:
        problems: One sentence for each problem, with the name of the setting.
    """

    code = "configuration"

    def __init__(self, problems: Sequence[str] | str) -> None:
        self.problems: list[str] = [problems] if isinstance(problems, str) else list(problems)
        super().__init__("The configuration cannot be used:\n" + "\n".join(f"- {p}" for p in self.problems))

    def __reduce__(self) -> tuple[type["ConfigurationError"], tuple[list[str]]]:
        return type(self), (self.problems,)


class InvalidRequest(MeshError, ValueError):  # noqa: N818
    """The arguments of the call cannot be sent safely; nothing was sent."""

    code = "invalid_request"


class InvalidPathValue(InvalidRequest):
    """A value cannot be exactly one segment of a path; nothing was sent."""

    code = "invalid_path_value"


class ClientClosed(MeshError, RuntimeError):  # noqa: N818
    """The client was closed before the call; nothing was sent."""

    code = "client_closed"


class SigningKeyError(MeshError):
    """The signing key cannot be read, or cannot sign tokens.

    `retryable` is true where the key's store could not be reached.
    """

    code = "signing_key"


class IdentityError(MeshError):
    """No Google identity was found, or Google issues no ID token for it.

    `retryable` is true where a server could not be reached, was overloaded or was not ready yet.
    """

    code = "identity"


class GatewayTLSError(MeshError):
    """The gateway's certificate is not trusted or not for this host, or TLS failed in another way."""

    code = "gateway_tls"


class MeshTimeout(MeshError):  # noqa: N818
    """No complete response arrived within the time limit.

    `code` names the phase in which the time ran out: `timeout_token`, `timeout_connect` (nothing was sent),
    `timeout_send` (the request was still being sent), `timeout_read` (no response began), `timeout_body` (the
    response did not end), or `deadline` (it had passed before the call began). After `timeout_send`, `timeout_read`
    and `timeout_body`, the service may have done the work.
    """

    code = "timeout"
    retryable = True


class BadResponse(MeshError):  # noqa: N818
    """The response cannot be returned.

    `code` says why: `response_too_large` (it is larger than `max_response_bytes`), `not_decodable` (its body is not
    what its content-encoding says), or `not_http` (it is not HTTP/1.1).
    """

    code = "bad_response"


class UpstreamUnavailable(MeshError):  # noqa: N818
    """The mesh has no working service behind the route (502, 503, 504), or the connection broke."""

    code = "upstream_unavailable"
    retryable = True


class GatewayUnreachable(UpstreamUnavailable):
    """No connection to the gateway could be made; nothing was sent."""

    code = "gateway_unreachable"


class RequestRefused(MeshError):  # noqa: N818
    """The mesh refused the request; the service did not receive it."""

    code = "request_refused"


class TokenRefused(RequestRefused):
    """The caller's token was not accepted: 401, or 403 for its audience.

    `cause` gives the reason: `missing`, `expired`, `not_yet_valid`, `issuer`, `audience`, `key_unknown`, `signature`,
    `keys_unavailable` (the mesh cannot fetch the issuer's public keys), or `other`.
    """

    code = "token_refused"
    cause: str = "other"


class NotAllowed(RequestRefused):
    """The token is valid, but no policy allows this caller to make this request: 403."""

    code = "not_allowed"


class NoRoute(RequestRefused):
    """The gateway has no route for this host and path: its own 404."""

    code = "no_route"
