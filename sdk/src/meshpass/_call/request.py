"""Requests: a call checked and encoded, the steps of its plan, and one attempt to send it."""

import math
import re
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from meshpass._call.body import RequestBody
from meshpass._call.fields import Headers, checked_headers
from meshpass._call.path import fill_path
from meshpass._call.retry import IDEMPOTENT, RetryPolicy
from meshpass._call.service import DEFAULT_CONNECT_TIMEOUT_S, DEFAULT_MAX_RESPONSE_BYTES, Hook, Service
from meshpass._deadline import Deadline
from meshpass._errors import InvalidRequest, MeshError
from meshpass._token import Token
from meshpass._values import is_number, is_size, shown

if TYPE_CHECKING:
    import httpx

    from meshpass._call.payload import Content, Files, Form
    from meshpass._call.query import Params

Phase = Literal["token", "connect", "send", "read", "head", "body"]

_METHOD = re.compile(r"(?!CONNECT\Z)[A-Z]{1,32}")
# RFC 6750, section 2.1: b64token.
_BEARER = re.compile(r"[A-Za-z0-9._~+/-]+=*")
_STANDARD_HEADERS = {"user-agent": "meshpass", "accept": "*/*", "accept-encoding": "gzip, deflate"}
_NEVER = float("inf")
# The longest call, in seconds: a week. The system's own timers end somewhere above.
_LONGEST_S = 7 * 86400.0
# The longest path and query, in bytes. Envoy reads a head of 60 KiB, and httpx a URL of 64 KiB.
_LONGEST_TARGET = 60 * 1024
_HAVE_A_BODY = frozenset({"POST", "PUT", "PATCH"})


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
        data: A body to send as a form.
        files: Files to send with the form.
        path_values: Further values for placeholders, for those that have the name of a keyword.
        stream: Whether the caller reads the response's body while it comes in.
        target: Path and query as they are sent, encoded and checked; takes the place of template, values and params.
        cookies: Whether the client's cookies are sent and kept; False where the caller has a cookie jar of its own.
        max_response_bytes: The largest response that is read, before and after decoding; the client's when None.
        connect_timeout_s: Limit for connecting, in seconds; the client's counts where it is smaller.
    """

    method: str
    template: str
    values: Mapping[str, object]
    params: "Params | None" = None
    headers: Headers | None = None
    json: object = None
    content: "Content | RequestBody | None" = None
    timeout: float | Deadline | None = None
    idempotent: bool | None = None
    retry: RetryPolicy | None = None
    data: "Form | None" = None
    files: "Files | None" = None
    path_values: Mapping[str, object] | None = None
    stream: bool = False
    target: str | None = None
    cookies: bool = True
    max_response_bytes: int | None = None
    connect_timeout_s: float | None = None

    @property
    def repeatable(self) -> bool:
        """Whether the call may be sent again when it is not known if it was carried out."""
        return self.method in IDEMPOTENT if self.idempotent is None else self.idempotent


KEYWORDS = (
    "params",
    "headers",
    "json",
    "content",
    "data",
    "files",
    "timeout_s",
    "idempotent",
    "retry",
    "max_response_bytes",
    "path_values",
)
"""Keywords of a call; any other names a placeholder of the path."""


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
        template: The path with placeholders, for messages; it holds no value.
        connect_timeout_s: Limit for connecting alone, in seconds.
        max_response_bytes: The largest response that is read, before and after decoding.
    """

    method: str
    target: str
    headers: dict[str, str]
    content: bytes | RequestBody | None
    deadline: Deadline
    limit_s: float
    stream: bool = False
    template: str = ""
    connect_timeout_s: float = DEFAULT_CONNECT_TIMEOUT_S
    max_response_bytes: int = DEFAULT_MAX_RESPONSE_BYTES

    @property
    def can_be_sent_again(self) -> bool:
        """Whether the body can be sent once more: it has not begun, or gives the same bytes again."""
        content = self.content
        return not isinstance(content, RequestBody) or content.replayable or not content.started


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


class RunHooks:
    """The step "call the caller's event hooks".

    Args:
        hooks: The functions.
        argument: What each is called with: an `httpx.Request`, or an `httpx.Response`.
    """

    __slots__ = ("argument", "hooks")

    def __init__(self, hooks: Sequence[Hook], argument: "httpx.Request | httpx.Response") -> None:
        self.hooks = hooks
        self.argument = argument

    def close(self) -> None:
        """Close the response, if it is one: its caller never gets it."""
        if hasattr(self.argument, "close"):
            self.argument.close()

    async def aclose(self) -> None:
        """Close the response, if it is one: its caller never gets it."""
        if hasattr(self.argument, "aclose"):
            await self.argument.aclose()


class Attempt:
    """One sending of a request, and the transport's report on how far it came.

    Args:
        request: What to send.
        headers: Headers that may be shown; not Host.
        secrets: Headers that may not: the token's and the cookies'.
        until: When to give up, in seconds of `time.monotonic()`.
        fresh: Whether to send it on a new connection.

    Attributes:
        connect_timeout_s: Limit for connecting alone, in seconds.
        content: The body; a `RequestBody` is produced while it is sent.
        max_response_bytes: The largest response that is read, before and after decoding.
        limit_s: What the call was given at its start, in seconds, for messages.
        stream: Whether the body of a response below 300 is left to be read while it comes in.
        phase: How far the attempt came: `connect` while nothing was sent, `send` while the body goes out, `read` when
            all was sent and no byte came back, then `head` and `body` of the response.
        reused: Whether it went over a connection that an earlier attempt had used.
    """

    __slots__ = (
        "connect_timeout_s",
        "content",
        "fresh",
        "headers",
        "limit_s",
        "max_response_bytes",
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
        self.connect_timeout_s = request.connect_timeout_s
        self.max_response_bytes = request.max_response_bytes
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


def is_callers_own(step: object, exc: BaseException) -> bool:
    """Return whether this error is one of the caller's own code, which leaves the call as it is."""
    if isinstance(step, RunHooks):
        return True
    content = step.content if isinstance(step, Attempt) else None
    return isinstance(content, RequestBody) and content.failure is exc


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
            if not isinstance(token, Token):
                raise MeshError(
                    f"The client's `auth` gave a {type(token).__name__} for a token; it must give a meshpass.Token."
                )
            if not isinstance(token.value, str) or not _BEARER.fullmatch(token.value):
                raise MeshError(
                    f"The token from {token.source} is not a bearer token: it is empty or has odd characters."
                )
            value = f"Bearer {token.value}"
            self._last = (token, value)
        return value


def prepare(service: Service, call: Call) -> Request:
    """Check a call and encode it.

    Raises:
        InvalidRequest: the method, the path, a value, a header, the query or the body cannot be sent as written.
    """
    method = call.method
    if not isinstance(method, str) or not _METHOD.fullmatch(method):
        raise InvalidRequest(f"The method {shown(method)} is not an HTTP method in capitals.")
    if call.target is not None:
        target = call.target
    else:
        values = call.values if call.path_values is None else _merged(call.values, call.path_values)
        target = service.base_path + fill_path(call.template, values, KEYWORDS)
    if call.params is not None:
        from meshpass._call.query import encode_query

        query = encode_query(call.params)
        target = f"{target}?{query}" if query else target
    if len(target) > _LONGEST_TARGET:
        raise InvalidRequest(f"The path and query are longer than {_LONGEST_TARGET} characters.")
    deadline, limit_s = _deadline(service.timeout_s if call.timeout is None else call.timeout)
    headers = {**_STANDARD_HEADERS, **service.headers} if service.headers else dict(_STANDARD_HEADERS)
    given = checked_headers(call.headers) if call.headers is not None else None
    content: bytes | RequestBody | None = None
    if call.json is not None or call.content is not None or call.data is not None or call.files is not None:
        content, content_type = _payload(call, given)
        if content_type is not None:
            headers["content-type"] = content_type
    if given:
        headers.update(given)
    if isinstance(content, RequestBody) and content.length is None:
        headers["transfer-encoding"] = "chunked"
    elif isinstance(content, RequestBody):
        headers["content-length"] = str(content.length)
    elif content is not None or method in _HAVE_A_BODY:
        headers["content-length"] = str(len(content or b""))
    if call.idempotent is not None and not isinstance(call.idempotent, bool):
        raise InvalidRequest(f"`idempotent` is of type {type(call.idempotent).__name__}; it must be a bool.")
    if call.retry is not None and not isinstance(call.retry, RetryPolicy):
        raise InvalidRequest(f"`retry` is of type {type(call.retry).__name__}; it must be a RetryPolicy.")
    connect_timeout_s = service.connect_timeout_s
    if call.connect_timeout_s is not None:
        connect_timeout_s = min(connect_timeout_s, call.connect_timeout_s)
    size = call.max_response_bytes
    if size is None:
        size = service.max_response_bytes
    elif not is_size(size):
        raise InvalidRequest(f"max_response_bytes is {shown(size)}; it must be a whole number above 0.")
    return Request(
        method,
        target,
        headers,
        content,
        deadline,
        limit_s,
        call.stream,
        service.base_path + call.template,
        connect_timeout_s,
        size,
    )


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
    if given is not None:
        secrets["cookie"] = given
    if service.deadline_header is not None:
        headers.setdefault(service.deadline_header.lower(), str(max(1, int((until - now) * 1000))))
    return Attempt(request, headers, secrets, until, fresh=fresh)


def _deadline(timeout: float | Deadline) -> tuple[Deadline, float]:
    """Return when a call must be over, and the seconds that it was given."""
    now = time.monotonic()
    if isinstance(timeout, Deadline):
        if not is_number(timeout.at) or not math.isfinite(timeout.at):
            raise InvalidRequest(
                f"The deadline is at {shown(timeout.at)}; it must be a finite number of seconds."
            )
        return (timeout if timeout.at < now + _LONGEST_S else Deadline(now + _LONGEST_S)), timeout.at - now
    if not is_number(timeout) or not 0 < timeout < _NEVER:
        raise InvalidRequest(
            f"timeout_s is {shown(timeout)}; it must be a number of seconds above 0, or a Deadline."
        )
    return Deadline(now + min(timeout, _LONGEST_S)), timeout


def _merged(values: Mapping[str, object], more: Mapping[str, object]) -> Mapping[str, object]:
    if not isinstance(more, Mapping) or not all(isinstance(name, str) for name in more):
        raise InvalidRequest("`path_values` must be a mapping of placeholders to values.")
    twice = sorted(values.keys() & more.keys())
    if twice:
        raise InvalidRequest(
            f"The placeholders {twice} have two values: one as a keyword, one in `path_values`."
        )
    return {**values, **more}


def _payload(call: Call, given: dict[str, str] | None) -> "tuple[bytes | RequestBody, str | None]":
    from meshpass._call.payload import content_payload, form_payload, json_payload

    form = call.data is not None or call.files is not None
    if (call.json is not None) + (call.content is not None) + form > 1:
        raise InvalidRequest("A request has one body: give `json`, `content`, or `data` and `files`.")
    if call.json is not None:
        return json_payload(call.json)
    if isinstance(call.content, RequestBody):
        return call.content, None
    if call.content is not None:
        return content_payload(call.content)
    return form_payload(call.data, call.files, (given or {}).get("content-type"))
