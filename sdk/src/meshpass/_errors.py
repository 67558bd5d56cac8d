"""What can go wrong between a caller and a service in the mesh, as one tree.

MeshError
├── ConfigurationError      settings are missing or wrong; lists every problem at once
├── InvalidRequest          the call itself cannot be sent safely; nothing was sent
│   └── InvalidPathValue    a value cannot stand as one segment of a path
├── SigningKeyError         the signing key cannot be read or used
├── IdentityError           no Google identity was found, or Google gives no ID token for it
├── GatewayTLSError         the gateway's certificate is not trusted, or TLS failed
├── MeshTimeout             no complete answer within the time given; `code` says where it went
├── BadResponse             the answer is too large or cannot be decoded
├── UpstreamUnavailable     the mesh has no working service behind the route, or the connection broke
│   └── GatewayUnreachable  no connection to the gateway; nothing was sent
└── RequestRefused          the mesh answered in the service's place
    ├── TokenRefused        the caller's token was not accepted; `cause` says why
    ├── NotAllowed          a policy does not allow this caller this request
    └── NoRoute             the gateway has no route for this host and path

Answers of the service itself, whatever their status, are returned and never raised.
No error holds a token, a key or a payload.
"""

from collections.abc import Mapping, Sequence
from typing import Literal

AnsweredBy = Literal["gateway", "workload"]


class MeshError(Exception):
    """A call through the mesh did not reach its service, or could not be made.

    Args:
        message: What was tried, on what, and why it failed: whole sentences.
        code: A stable word for logs and alerts; each class has its own.
        service: The virtual host that was called.
        status: The HTTP status of the answer, when the mesh answered.
        detail: The mesh's own words, on one line and cut to a sane length.
        answered_by: "gateway" or "workload" (the service's own proxy), when one of them answered.
        claims: `iss`, `aud`, `kid` and `exp` of the token that was sent, never the token.
        hint: What to do next.
        retryable: Whether the same call may succeed later with nothing changed.
        attempts: How often the call was sent, without the free replay of a stale connection.
        retry_after_s: When the answer asks to come back, in seconds from then.
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
    """Settings are missing or wrong; `problems` lists all of them, one sentence each.

    Args:
        problems: One sentence per problem, each naming its setting.
    """

    code = "configuration"

    def __init__(self, problems: Sequence[str] | str) -> None:
        self.problems: list[str] = [problems] if isinstance(problems, str) else list(problems)
        super().__init__("The configuration cannot be used:\n" + "\n".join(f"- {p}" for p in self.problems))

    def __reduce__(self) -> tuple[type["ConfigurationError"], tuple[list[str]]]:
        return type(self), (self.problems,)


class InvalidRequest(MeshError, ValueError):  # noqa: N818
    """The call cannot be sent safely as it was written; nothing was sent."""

    code = "invalid_request"


class InvalidPathValue(InvalidRequest):
    """A value cannot stand as exactly one segment of a path; nothing was sent."""

    code = "invalid_path_value"


class SigningKeyError(MeshError):
    """The signing key cannot be read, or is not a key that signs tokens.

    `retryable` is true where only the key's store was out of reach.
    """

    code = "signing_key"


class IdentityError(MeshError):
    """No Google identity was found, or Google gives no ID token for it.

    `retryable` is true where a server was out of reach, overloaded or not ready yet.
    """

    code = "identity"


class GatewayTLSError(MeshError):
    """The gateway's certificate is not trusted or not for this host, or TLS failed in another way."""

    code = "gateway_tls"


class MeshTimeout(MeshError):  # noqa: N818
    """No complete answer came within the time given.

    `code` says where the time went: `timeout_token`, `timeout_connect` (nothing was sent), `timeout_send` (the
    request was being sent), `timeout_read` (no response began), `timeout_body` (it did not end), or `deadline` (it
    was over before anything was done). From `timeout_send` on, the service may have done the work.
    """

    code = "timeout"
    retryable = True


class BadResponse(MeshError):  # noqa: N818
    """The response is larger than allowed, its body is not what its content-encoding says, or it is not HTTP/1.1."""

    code = "bad_response"


class UpstreamUnavailable(MeshError):  # noqa: N818
    """The mesh has no working service behind the route (502, 503, 504), or the connection broke."""

    code = "upstream_unavailable"
    retryable = True


class GatewayUnreachable(UpstreamUnavailable):
    """No connection to the gateway could be made; nothing was sent."""

    code = "gateway_unreachable"


class RequestRefused(MeshError):  # noqa: N818
    """The mesh answered in the service's place; the service never saw the request."""

    code = "request_refused"


class TokenRefused(RequestRefused):
    """The caller's token was not accepted: 401, or 403 for its audience.

    `cause` says why: `missing`, `expired`, `not_yet_valid`, `issuer`, `audience`, `key_unknown`, `signature`,
    `keys_unavailable` (the mesh cannot fetch the issuer's public keys), or `other`.
    """

    code = "token_refused"
    cause: str = "other"


class NotAllowed(RequestRefused):
    """The token is good, but no policy allows this caller this request: 403."""

    code = "not_allowed"


class NoRoute(RequestRefused):
    """The gateway has no route for this host and path: its own 404."""

    code = "no_route"
