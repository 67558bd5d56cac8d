"""Private HTTP entry point: `GET /lookup/{key}` gives what an event for that key would be joined with.

It knows no web framework.

=======================================  ======  ==================  ============
when                                     status  `error`             logged as
=======================================  ======  ==================  ============
the profile is there                     200                         found
the path is not `/lookup/{key}`          404     not_found           refused
the method is not GET or HEAD            405     method_not_allowed  refused
the key cannot be one, or comes with     400     key_invalid,        refused
a query                                          query_unexpected
the service does not know the key        404     as it says itself   not-found
a transient error                        503     unavailable         retry
there was no answer in time              504     timeout             retry
configuration or contract is broken      500     fault               fault
=======================================  ======  ==================  ============

A fault is a 500 even where a gateway would say 502: client libraries take a 502 for a transient error and
call again, and a fault stays until it is mended.
"""

import re
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import unquote_to_bytes

import msgspec

from enrichment.deadline import TimeBudget
from enrichment.errors import (
    Disposition,
    EnrichmentError,
    Stage,
    failure,
    of_unexpected_error,
    release_frames,
)
from enrichment.lookup.profile import CacheEvent, LookupResult
from enrichment.settings.lookup_rules import LookupRules
from enrichment.telemetry import spans, trace
from enrichment.telemetry.counters import Count, uncounted
from enrichment.telemetry.log import Ending, Log, Severity
from enrichment.telemetry.trace import Trace

if TYPE_CHECKING:
    from enrichment.lookup import Lookup

PREFIX = b"/lookup/"

MAX_KEY_LENGTH = 256
"""Longest key, in characters."""

RETRY_AFTER_S = 1

_TIMEOUTS = frozenset(
    {
        "lookup_timeout",
        "deadline",
        "timeout",
        "timeout_token",
        "timeout_connect",
        "timeout_send",
        "timeout_read",
        "timeout_body",
    }
)
"""Reasons that say that time ran out: the caller's own, and a call's through the mesh (`meshpass.MeshTimeout`)."""

# RFC 3986, section 3.3: one segment of a path, in bytes as they were sent.
_SEGMENT = re.compile(rb"(?:[A-Za-z0-9._~!$&'()*+,;=:@-]|%[0-9A-Fa-f]{2})*")
# C0, DEL, C1: nothing that names a thing holds them.
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")

_TRACE_HEADERS = (b"traceparent", b"x-cloud-trace-context")

_CACHE_STATUS = {
    CacheEvent.HIT: "meshpass; hit",
    CacheEvent.NEGATIVE_HIT: "meshpass; hit; detail=negative",
    CacheEvent.STALE: "meshpass; hit; detail=stale-if-error",
    CacheEvent.SHARED: "meshpass; fwd=miss; collapsed",
    CacheEvent.FETCHED: "meshpass; fwd=miss",
}
"""RFC 9211, section 2."""


@dataclass(frozen=True, slots=True)
class Reply:
    """A reply to the caller, with its line in the log.

    Args:
        status: The HTTP status.
        body: JSON.
        ending: For the log.
        headers: Beyond those that every reply has.
        answer: What the lookup found, if it came to that.
    """

    status: int
    body: bytes
    ending: Ending
    headers: dict[str, str] = field(default_factory=dict)
    answer: LookupResult | None = None


class Response(msgspec.Struct, frozen=True):
    """A response as it goes to the caller.

    Args:
        status: The HTTP status.
        headers: All of its headers.
        body: JSON; empty where the request is a HEAD.
    """

    status: int
    headers: dict[str, str]
    body: bytes


class RefusedError(Exception):
    """The request is not one for a lookup.

    Args:
        reply: The reply to the caller.
    """

    def __init__(self, reply: Reply) -> None:
        super().__init__(reply.ending.reason)
        self.reply = reply


class HttpLookup:
    """Answers lookups over HTTP, with the cache and the care that events get.

    Args:
        lookup: Where profiles come from.
        rules: How they are looked up.
        budget: How long one request may take.
        log: Where each end is logged.
        count: Counts the ends.
        clock: A monotonic clock, in seconds: the log's.
    """

    def __init__(
        self,
        lookup: "Lookup",
        rules: LookupRules,
        budget: TimeBudget,
        log: Log,
        count: Count = uncounted,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._lookup = lookup
        self._rules = rules
        self._budget = budget
        self.log = log
        self._count = count
        self._clock = clock

    async def answer(
        self, method: str, raw_path: bytes | None, query: bytes, headers: Iterable[tuple[bytes, bytes]]
    ) -> Response:
        """Answer one request. Who may send one is for Cloud Run's IAM to say, before it comes here.

        Args:
            method: The request's method.
            raw_path: The path as it was sent, without the query; None where the server does not say.
            query: The query as it was sent.
            headers: The request's headers, names in lower case, as ASGI gives them.

        Returns:
            The profile as the service gave it, or a JSON object whose `error` says why not.
        """
        started_at = self._clock()
        with spans.span(
            "GET /lookup/{key}",
            trace.of_request(_trace_headers(headers)),
            "SERVER",
            {"http.request.method": method, "http.route": "/lookup/{key}"},
        ) as span:
            reply = await self._reply(method, raw_path, query, span.trace)
            span.set("http.response.status_code", reply.status)
            if reply.status >= 500:
                span.fail(reply.ending.reason)
        self._count("lookup_requests", outcome=reply.ending.name, reason=reply.ending.reason)
        self.log.request(reply.ending, span.trace, started_at, reply.status, reply.answer)
        sent = {
            "content-type": "application/json",
            "content-length": str(len(reply.body)),
            "cache-control": "no-store",  # the cache is here, where its rules are
            "x-content-type-options": "nosniff",
            **reply.headers,
        }
        return Response(reply.status, sent, b"" if method == "HEAD" else reply.body)

    async def _reply(self, method: str, raw_path: bytes | None, query: bytes, trace: Trace) -> Reply:
        try:
            key = key_of(method, raw_path, query)
            found = await self._lookup.fetch(key, trace, self._budget.start().end)
        except RefusedError as error:
            return error.reply
        except EnrichmentError as error:
            return of_error(release_frames(error))
        except Exception as error:  # noqa: BLE001 - the last line of defence: nothing of a defect gets out
            return of_error(of_unexpected_error(error))
        return of_answer(found, key, self._rules)


def _trace_headers(headers: Iterable[tuple[bytes, bytes]]) -> dict[str, str]:
    """Return the headers that name a trace; the first of each."""
    found: dict[str, str] = {}
    for name, value in headers:
        if name in _TRACE_HEADERS:
            found.setdefault(name.decode(), value.decode("latin-1"))
    return found


def key_of(method: str, raw_path: bytes | None, query: bytes) -> str:
    """Read the key out of a request.

    It is what one segment of the path says as it was sent, decoded once: `a%2Fb` is the key `a/b`, and `a/b` none. A
    path that the server has decoded already could mean either, so that one is not read. What follows a bare `#` is no
    part of a request (RFC 3986, section 3.5), and is gone before it gets here.

    Args:
        method: The request's method.
        raw_path: The path as it was sent, without the query; None where the server does not say.
        query: The query as it was sent.

    Returns:
        The key.

    Raises:
        RefusedError: the request is not one for a lookup.
        FaultError: `raw_path_missing`, the server leaves out what ASGI makes optional.
    """
    if raw_path is None:
        raise failure("raw_path_missing", "the server does not say the path as it was sent: use uvicorn")
    segment = raw_path.removeprefix(PREFIX)
    if segment == raw_path or b"/" in segment:
        raise RefusedError(_refused(404, "not_found", "the path is not /lookup/{key}"))
    if method not in ("GET", "HEAD"):
        raise RefusedError(
            _refused(405, "method_not_allowed", "a lookup is a GET", headers={"allow": "GET, HEAD"})
        )
    if query:
        # A caller who does not encode the `?` of a key would be given the profile of another key.
        raise RefusedError(
            _refused(400, "query_unexpected", "a lookup takes no query; a ? in a key is written %3F")
        )
    if not _SEGMENT.fullmatch(segment):
        raise RefusedError(_key_invalid("the key is not percent-encoded"))
    try:
        key = unquote_to_bytes(segment).decode()
    except UnicodeDecodeError:
        raise RefusedError(_key_invalid("the key is not UTF-8")) from None
    if not key or key in (".", "..") or _CONTROL.search(key) or len(key) > MAX_KEY_LENGTH:
        raise RefusedError(
            _key_invalid(
                f"a key has 1 to {MAX_KEY_LENGTH} characters, no control characters among them, and is not . or .."
            )
        )
    return key


def of_answer(answer: LookupResult, key: str, rules: LookupRules) -> Reply:
    """Return the reply for what a lookup found.

    Args:
        answer: What it found.
        key: What was asked for.
        rules: How the service says that it does not know a key.
    """
    headers = {"cache-status": _CACHE_STATUS[answer.event]}
    if answer.profile is None:
        code = _miss_code(rules)
        body = _json(error=code, key=key)
        ending = Ending("not-found", Severity.INFO, Stage.LOOKUP, code)
        return Reply(404, body, ending, headers, answer)
    return Reply(200, answer.profile.text.encode(), Ending("found", Severity.INFO), headers, answer)


def _miss_code(rules: LookupRules) -> str:
    """How the service says that it does not know a key, where it says so in words."""
    said = rules.miss.equals if rules.miss is not None else None
    return said if isinstance(said, str) and said else "profile_not_found"


def of_error(error: EnrichmentError) -> Reply:
    """Return the reply for a lookup that failed: by our own code, never in the words of the service or the mesh.

    Args:
        error: What it raised.
    """
    if error.disposition is Disposition.DEAD_LETTERED:  # only a key that no path can carry
        return _refused(400, error.reason, error.detail)
    if error.disposition is Disposition.FAULT:
        ending = Ending(
            Disposition.FAULT.value, Severity.ERROR, str(error.stage or ""), error.reason, error.detail
        )
        return Reply(500, _json(error="fault", reason=error.reason), ending)
    ending = Ending(
        Disposition.RETRY.value, Severity.WARNING, str(error.stage or ""), error.reason, error.detail
    )
    if error.reason in _TIMEOUTS:
        return Reply(504, _json(error="timeout", reason=error.reason), ending)
    return Reply(
        503, _json(error="unavailable", reason=error.reason), ending, {"retry-after": str(RETRY_AFTER_S)}
    )


def _refused(status: int, code: str, detail: str, headers: dict[str, str] | None = None) -> Reply:
    ending = Ending("refused", Severity.WARNING, reason=code, detail=detail)
    return Reply(status, _json(error=code, detail=detail), ending, headers or {})


def _key_invalid(detail: str) -> Reply:
    return _refused(400, "key_invalid", detail)


def _json(**members: str) -> bytes:
    return msgspec.json.encode(members)
