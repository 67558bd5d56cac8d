"""What is sent: a call checked and turned into a request, and one attempt to send it."""

import json as json_module
import re
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal
from urllib.parse import quote, urlencode

from meshpass._call.body import RequestBody
from meshpass._call.path import fill_path
from meshpass._call.retry import IDEMPOTENT, RetryPolicy
from meshpass._call.service import Service
from meshpass._deadline import Deadline
from meshpass._errors import InvalidRequest, MeshError
from meshpass._token import Token

Params = Mapping[str, str | int | Sequence[str | int]]
Phase = Literal["token", "connect", "send", "read", "head", "body"]

_METHOD = re.compile(r"(?!CONNECT\Z)[A-Z]{1,32}")
# RFC 9110, section 5.6.2 (token) and 5.5 (field-value, without the obsolete bytes).
_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_HEADER_VALUE = re.compile(r"[\x20-\x7e\t]*")
# RFC 6750, section 2.1: b64token.
_BEARER = re.compile(r"[A-Za-z0-9._~+/-]+=*")
_OWN_HEADERS = frozenset({"authorization", "host", "content-length", "transfer-encoding", "connection"})
_STANDARD_HEADERS = {"user-agent": "meshpass", "accept": "*/*", "accept-encoding": "gzip, deflate"}
_NEVER = float("inf")


@dataclass(slots=True)
class Call:
    """What a caller asked for.

    Args:
        method: The HTTP method.
        template: The path with placeholders.
        values: A value for each of them.
        params: The query.
        headers: Further headers.
        json: A body to send as JSON.
        content: A body to send as it is.
        timeout: The limit in seconds, or the deadline; the client's limit when None.
        idempotent: Whether it may be sent more than once; as its method says when None.
        retry: How to retry this call; as the client does when None.
    """

    method: str
    template: str
    values: Mapping[str, object]
    params: Params | None = None
    headers: Mapping[str, str] | None = None
    json: object = None
    content: bytes | None = None
    timeout: float | Deadline | None = None
    idempotent: bool | None = None
    retry: RetryPolicy | None = None

    @property
    def repeatable(self) -> bool:
        """Whether the call may be sent again when nobody knows if it was carried out."""
        return self.method in IDEMPOTENT if self.idempotent is None else self.idempotent


@dataclass(slots=True)
class Request:
    """A call that can be sent as it is, but for the token.

    Args:
        method: The HTTP method.
        target: Path and query, encoded.
        headers: Lower-case names and values; neither Host nor Authorization.
        content: The body.
        deadline: When the call must be over.
        limit_s: What the call was given at its start, for messages.
        stream: Whether the caller reads the response's body while it comes in.
    """

    method: str
    target: str
    headers: dict[str, str]
    content: bytes | RequestBody | None
    deadline: Deadline
    limit_s: float
    stream: bool = False


class GetToken:
    """The step "get a token"."""

    __slots__ = ("_request",)

    def __init__(self, request: Request) -> None:
        self._request = request

    def left_s(self) -> float:
        """Return the seconds left of the call."""
        return self._request.deadline.left_s()


class Work:
    """The step "work on this machine", such as decoding.

    Args:
        advance: Carries out one slice of a millisecond or less, and returns whether all is done. It raises
            `TimeoutError` when the time was up, and otherwise a `MeshError`.
    """

    __slots__ = ("advance",)

    def __init__(self, advance: Callable[[], bool]) -> None:
        self.advance = advance


class Attempt:
    """One sending of a request, and the transport's report on how far it came.

    Args:
        request: What to send.
        headers: Headers that may be shown; not Host.
        secrets: Headers that may not: the token's and the cookies'.
        until: When to give up, in seconds of `time.monotonic()`.
        fresh: Whether to send it on a new connection.

    Attributes:
        content: The body; a `RequestBody` is produced while it is sent.
        limit_s: What the call was given at its start, in seconds, for messages.
        stream: Whether the body of a response below 300 is left to be read while it comes in.
        phase: How far the attempt came: `connect` while nothing was sent, `send` while the body goes out, `read` when
            all was sent and no byte came back, then `head` and `body` of the response.
        reused: Whether it went over a connection that an earlier attempt had used.
    """

    __slots__ = (
        "content",
        "fresh",
        "headers",
        "limit_s",
        "method",
        "phase",
        "reused",
        "secrets",
        "stream",
        "target",
        "until",
    )

    def __init__(
        self,
        request: Request,
        headers: dict[str, str],
        secrets: dict[str, str],
        until: float,
        *,
        fresh: bool,
    ) -> None:
        self.method = request.method
        self.target = request.target
        self.content = request.content
        self.limit_s = request.limit_s
        self.stream = request.stream
        self.headers = headers
        self.secrets = secrets
        self.until = until
        self.fresh = fresh
        self.phase: Phase = "connect"
        self.reused = False

    def left_s(self) -> float:
        """Return the seconds left.

        Raises:
            TimeoutError: there are none.
        """
        left = self.until - time.monotonic()
        if left <= 0:
            raise TimeoutError
        return left


class Bearer:
    """The Authorization header, made and checked once for each token."""

    __slots__ = ("_last",)

    def __init__(self) -> None:
        self._last: tuple[Token | None, str] = (None, "")

    def header(self, token: Token) -> str:
        """Return the header's value.

        Raises:
            MeshError: the source's token is not one that a header can hold.
        """
        known, value = self._last
        if known is not token:
            if not _BEARER.fullmatch(token.value):
                raise MeshError(
                    f"The token from {token.source} is not a bearer token: it is empty or has odd characters."
                )
            value = f"Bearer {token.value}"
            self._last = (token, value)
        return value


def prepare(service: Service, call: Call) -> Request:
    """Check a call and encode it.

    Raises:
        InvalidRequest: the method, the path, a value, a header or the query cannot be sent safely as written.
    """
    if not _METHOD.fullmatch(call.method):
        raise InvalidRequest(f"The method {call.method!r} is not an HTTP method in capitals.")
    target = fill_path(call.template, call.values)
    if call.params:
        query = _query(call.params)
        target = f"{target}?{query}" if query else target
    timeout = service.timeout_s if call.timeout is None else call.timeout
    deadline = timeout if isinstance(timeout, Deadline) else Deadline(time.monotonic() + _seconds(timeout))
    headers = dict(_STANDARD_HEADERS)
    content = call.content
    if call.json is not None:
        if content is not None:
            raise InvalidRequest("A request has one body: give `json` or `content`.")
        content = json_module.dumps(call.json, separators=(",", ":"), allow_nan=False).encode()
        headers["content-type"] = "application/json"
    if call.headers:
        headers.update(_checked_headers(call.headers))
    if content is not None or call.method in ("POST", "PUT", "PATCH"):
        headers["content-length"] = str(len(content or b""))
    limit_s = deadline.left_s() if isinstance(timeout, Deadline) else timeout
    return Request(call.method, target, headers, content, deadline, limit_s)


def begin_attempt(
    service: Service, request: Request, authorization: str, cookie: str | None, *, fresh: bool
) -> Attempt:
    """Put the token, the cookies and what is left of the deadline into a request.

    It goes to the service's own origin by construction: nothing else is dialled.
    """
    now = time.monotonic()
    until = min(request.deadline.at, now + (service.attempt_timeout_s or _NEVER))
    headers = dict(request.headers)
    secrets = {"authorization": authorization}
    given = headers.pop("cookie", cookie)
    if given is not None and _HEADER_VALUE.fullmatch(given):
        secrets["cookie"] = given
    if service.deadline_header is not None:
        headers.setdefault(service.deadline_header, str(max(1, int((until - now) * 1000))))
    return Attempt(request, headers, secrets, until, fresh=fresh)


def _seconds(timeout_s: float) -> float:
    if not 0 < timeout_s < _NEVER:
        raise InvalidRequest(f"timeout_s is {timeout_s}; it must be a number of seconds above 0.")
    return timeout_s


def _query(params: Params) -> str:
    try:
        return urlencode(params, doseq=True, quote_via=quote, safe="")
    except UnicodeEncodeError:
        pass
    # Raised out of the `except` block: the codec's error holds the whole value.
    raise InvalidRequest("The query has a value that is not valid Unicode: it has lone surrogates in it.")


def _checked_headers(headers: Mapping[str, str]) -> dict[str, str]:
    checked = {}
    for name, value in headers.items():
        if not _HEADER_NAME.fullmatch(name):
            raise InvalidRequest(f"The header name {name!r} has characters that a header name cannot hold.")
        if name.lower() in _OWN_HEADERS:
            raise InvalidRequest(f"The header {name} is set by the client itself and cannot be given.")
        if not _HEADER_VALUE.fullmatch(value):
            raise InvalidRequest(
                f"The value of the header {name} has line breaks, control or non-ASCII characters."
            )
        checked[name.lower()] = value
    return checked
