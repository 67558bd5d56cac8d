"""Responses: the service's own as httpx's type, and the mesh's as the error that it stands for."""

import time
from collections.abc import Generator, Sequence
from dataclasses import dataclass
from datetime import timedelta

import httpx

from meshpass._call.body import AsyncResponseBody, ResponseBody
from meshpass._call.content_coding import NotDecodableError, TooLargeError, decode_slices
from meshpass._call.failures import not_decodable, too_large
from meshpass._call.google_hint import google_hint
from meshpass._call.refusal import MAX_DETAIL_CHARS, Refusal, classify
from meshpass._call.request import Attempt, Work
from meshpass._call.retry import retry_after_s
from meshpass._call.service import Service
from meshpass._errors import MeshError, TokenRefused
from meshpass._token import Token

_SHORTEST_PART_CHARS = 12
# Slices that a body is decoded in at once; no more than a millisecond or two, and enough for most bodies.
_SLICES_AT_ONCE = 8


@dataclass(slots=True)
class RawResponse:
    """An HTTP response as it came over the wire.

    Args:
        status: The HTTP status.
        headers: Names and values.
        body: The body, not decoded yet; left to be read where the attempt asks for it and the status is below 300.
        elapsed_s: How long the attempt took, in seconds.
    """

    status: int
    headers: Sequence[tuple[bytes, bytes]]
    body: bytes | ResponseBody | AsyncResponseBody
    elapsed_s: float

    @property
    def content(self) -> bytes:
        """The whole body, not decoded; empty where it is left to be read."""
        return self.body if isinstance(self.body, bytes) else b""


class Response(httpx.Response):
    """An `httpx.Response` that is read already, and whose headers and request are built when they are asked for.

    Args:
        received: The response as it came over the wire.
        body: Its body, decoded; httpx would decode it without a limit.
        attempt: The attempt that it belongs to.
        origin: The service's origin.
    """

    _headers: httpx.Headers | None
    _fields: Sequence[tuple[bytes, bytes]] = ()

    def __init__(self, received: RawResponse, body: bytes, attempt: Attempt, origin: str) -> None:
        raw = received.content if attempt.stream else b""
        super().__init__(received.status, stream=httpx.ByteStream(raw))
        self._headers = None
        self._fields = received.headers
        self._content = body
        self.is_closed = self.is_stream_consumed = not attempt.stream
        self._set_request(received, attempt, origin)

    def _set_request(self, received: RawResponse, attempt: Attempt, origin: str) -> None:
        self.elapsed = timedelta(seconds=received.elapsed_s)
        content = attempt.content if isinstance(attempt.content, bytes) else None
        self._sent = (attempt.method, origin + attempt.target, attempt.headers, content)

    @property
    def headers(self) -> httpx.Headers:
        """The headers. Most callers need none of them, and to make them takes a quarter of a response's time."""
        if self._headers is None:
            self._headers = httpx.Headers(list(self._fields))
        return self._headers

    @headers.setter
    def headers(self, value: httpx.Headers) -> None:
        self._headers = value

    @property
    def request(self) -> httpx.Request:
        """The request as it was sent, without the token: a response may be logged or pickled."""
        if self._request is None:
            method, url, headers, content = self._sent
            self._request = httpx.Request(method, url, headers=headers, content=content)
        return super().request

    @request.setter
    def request(self, value: httpx.Request) -> None:
        self._request = value

    def raise_for_status(self) -> httpx.Response:
        """Raise `httpx.HTTPStatusError` unless the status is 2xx."""
        _ = self.request  # httpx reads what is set
        return super().raise_for_status()


def request_shown(service: Service, attempt: Attempt) -> httpx.Request:
    """Return the request of an attempt as event hooks see it: without the token and the cookies."""
    content = attempt.content if isinstance(attempt.content, bytes) else None
    url = service.origin.url + attempt.target
    return httpx.Request(attempt.method, url, headers=dict(attempt.headers), content=content)


class _Decoding:
    """A body that is decoded one slice of bounded work after the other.

    Args:
        service: What was called.
        attempt: The attempt that the body belongs to.
        body: What came over the wire.
        content_encoding: The header's value.
    """

    __slots__ = ("_attempt", "_parts", "_service", "_slices")

    def __init__(self, service: Service, attempt: Attempt, body: bytes, content_encoding: str) -> None:
        self._service = service
        self._attempt = attempt
        self._parts: list[bytes] = []
        self._slices = decode_slices(body, content_encoding, attempt.max_response_bytes)

    @property
    def body(self) -> bytes:
        """The decoded body; whole when `advance` has returned True."""
        return b"".join(self._parts)

    def advance(self) -> bool:
        """Carry out one slice, and return whether the body is decoded.

        Raises:
            BadResponse: the body cannot be decoded, or is too large.
            TimeoutError: the attempt's time was up.
        """
        self._attempt.left_s()
        part, failure = None, None
        try:
            part = next(self._slices, None)
        except TooLargeError:
            failure = too_large(self._service, self._attempt.max_response_bytes)
        except NotDecodableError as exc:
            failure = not_decodable(self._service, str(exc))
        if failure is not None:
            raise failure
        if part:
            self._parts.append(part)
        return part is None


def receive(
    service: Service, template: str, attempt: Attempt, received: RawResponse, token: Token
) -> Generator[Work, object, httpx.Response | MeshError]:
    """Return the service's own response, or the error that it stands for.

    Raises:
        BadResponse: the body cannot be decoded, or is too large.
        TimeoutError: the attempt's time was up while the body was decoded.
    """
    if not isinstance(received.body, bytes):
        from meshpass._call.streamed_response import StreamedResponse

        headers = httpx.Headers(list(received.headers))
        return StreamedResponse(received, headers, received.body, attempt, service)
    body = received.content
    is_coded = b"content-encoding" in [name for name, _ in received.headers]
    if is_coded and body and attempt.method != "HEAD":
        attempt.phase = "body"
        coding = httpx.Headers(list(received.headers))["content-encoding"]
        decoding = _Decoding(service, attempt, body, coding)
        if not any(decoding.advance() for _ in range(_SLICES_AT_ONCE)):
            yield Work(decoding.advance)
        body = decoding.body
    if received.status >= 300:
        headers = httpx.Headers(list(received.headers))
        found = classify(received.status, headers, _without(token, body))
        if found is not None:
            asked_s = retry_after_s(headers, time.time())
            call = f"{attempt.method} {template} on {service.name}"
            return _refused(found, service, call, received.status, asked_s, token)
    return Response(received, body, attempt, service.origin.url)


def _without(token: Token, body: bytes) -> bytes:
    """Return a body's beginning with the token masked, whole or in part, before it is cut to a line.

    After the cut, half a token would not be found.
    """
    # No payload or signature is shorter; what a test puts in its place may be a character of the mesh's own words.
    # So much that the line is cut from whole tokens, and no more: a body may have ten megabytes.
    body = body[: 4 * MAX_DETAIL_CHARS * (len(token.value) + 1)]
    parts = (part for part in token.value.split(".")[1:] if len(part) >= _SHORTEST_PART_CHARS)
    for part in (token.value, *parts):
        if part:
            body = body.replace(part.encode(), b"***")
    return body


def _refused(
    found: Refusal, service: Service, call: str, status: int, asked_s: float | None, token: Token
) -> MeshError:
    who = "gateway" if found.answered_by == "gateway" else "workload's proxy"
    said = f" {found.detail!r}" if found.detail else ", without a word"
    claims = " ".join(f"{name}={value}" for name, value in token.claims.items())
    sent = f" The token sent has {claims}." if claims and status in (401, 403) else ""
    error = found.error(
        f"{call} was answered by the {who} with {status}{said}.{sent}",
        code=found.code,
        service=service.name,
        status=status,
        detail=found.detail,
        answered_by=found.answered_by,
        claims=token.claims,
        hint=google_hint(found, token) or found.hint,
        retryable=found.retryable,
        retry_after_s=asked_s,
    )
    if isinstance(error, TokenRefused):
        error.cause = found.cause
    return error
