"""`GET /lookup/{key}` gives the profile of exactly that key, or says why not in words of our own."""

import asyncio
import http.client
import json
import os
from collections.abc import Awaitable, Callable, Iterator, MutableMapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote, unquote_to_bytes

import meshpass
import pytest
from enrichment.deadline import TimeBudget
from enrichment.drivers import http_lookup
from enrichment.drivers.http_lookup import HttpLookup, RefusedError, key_of, of_answer, of_error
from enrichment.drivers.serve.application import LookupApplication
from enrichment.errors import BadEventError, EnrichmentError, FaultError, Stage, TransientError
from enrichment.lookup.profile import CacheEvent, LookupResult, Profile
from enrichment.lookup.request import LookupKey
from enrichment.telemetry.counters import Counters
from enrichment.telemetry.log import Log
from enrichment.telemetry.trace import Trace
from functions_framework.aio import create_asgi_app_from_module
from hypothesis import example, given
from hypothesis import strategies as st
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode
from starlette.requests import Request
from starlette.responses import Response

from .conftest import TRACE_ID, TRACEPARENT, Gateway, running, serve_command
from .framework import serving
from .lookup_cases import PROFILE

RULES = PROFILE
PROBE = Path(__file__).parent / "functions" / "lookup_probe" / "main.py"

KEYS = st.text(
    st.characters(exclude_categories=("Cc", "Cs")), min_size=1, max_size=http_lookup.MAX_KEY_LENGTH
).filter(lambda key: key not in (".", ".."))

App = Callable[[MutableMapping[str, Any], Any, Any], Awaitable[None]]


async def answered(entry: HttpLookup, request: Request) -> Response:
    """Answer as `main.lookup` does."""
    scope = request.scope
    response = await entry.answer(
        request.method, scope.get("raw_path"), scope["query_string"], scope["headers"]
    )
    return Response(response.body, response.status, response.headers)


class Profiles:
    """A lookup that knows every key, or fails as the test says."""

    def __init__(self, error: Exception | None = None, answer: LookupResult | None = None) -> None:
        self.error = error
        self.answer = answer
        self.asked: list[tuple[str, Trace]] = []
        self.left_s: list[float] = []

    async def fetch(self, key: LookupKey, trace: Trace, deadline: meshpass.Deadline) -> LookupResult:
        assert isinstance(key, str)
        self.asked.append((key, trace))
        self.left_s.append(deadline.left_s())
        if self.error is not None:
            raise self.error
        return self.answer or LookupResult(Profile(json.dumps({"user_id": key}), {}), CacheEvent.FETCHED)


@dataclass
class Reply:
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:  # noqa: ANN401 - as JSON is
        return json.loads(self.body)


def framework_application(entry: HttpLookup) -> App:
    """The entry point under the framework's own application."""

    class Module:
        @staticmethod
        async def lookup(request: Request) -> Response:
            return await answered(entry, request)

    # The framework has no types.
    return create_asgi_app_from_module("lookup", str(PROBE), "http", Module, None)  # type: ignore[no-untyped-call,no-any-return]


APPLICATIONS: dict[str, Callable[[HttpLookup], App]] = {
    "functions-framework": framework_application,
    "serve": LookupApplication,
}


@dataclass
class Service:
    """The entry point under a driver's application, asked as a server asks: by the path as it was sent."""

    driver: str = "functions-framework"
    profiles: Profiles = field(default_factory=Profiles)
    counters: Counters = field(default_factory=Counters)
    lines: list[bytes] = field(default_factory=list)

    def __post_init__(self) -> None:
        entry = HttpLookup(
            self.profiles, RULES, TimeBudget(8.0), Log("p", write=self.lines.append), self.counters
        )
        self.app = APPLICATIONS[self.driver](entry)

    def ask(
        self,
        raw_path: bytes | None,
        method: str = "GET",
        query: bytes = b"",
        headers: dict[str, str] | None = None,
    ) -> Reply:
        scope = {
            "type": "http",
            "asgi": {"version": "3.0"},
            "http_version": "1.1",
            "method": method,
            "scheme": "http",
            "path": unquote((raw_path or b"/lookup/u-1").decode("latin-1")),
            "query_string": query,
            "root_path": "",
            "headers": [(name.encode(), value.encode()) for name, value in (headers or {}).items()],
            "server": ("127.0.0.1", 80),
        } | ({"raw_path": raw_path} if raw_path is not None else {})
        sent: list[dict[str, Any]] = []

        async def receive() -> dict[str, Any]:
            return {"type": "http.request", "body": b"", "more_body": False}

        async def send(message: dict[str, Any]) -> None:
            sent.append(message)

        asyncio.run(self._serve(scope, receive, send))
        (start,) = (message for message in sent if message["type"] == "http.response.start")
        return Reply(
            start["status"],
            {name.decode().lower(): value.decode() for name, value in start["headers"]},
            b"".join(message["body"] for message in sent if message["type"] == "http.response.body"),
        )

    async def _serve(self, scope: dict[str, Any], receive: object, send: object) -> None:
        await self.app(scope, receive, send)

    def log(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.lines]


@pytest.fixture(params=APPLICATIONS)
def service(request: pytest.FixtureRequest) -> Service:
    return Service(request.param)


def test_the_profile_comes_as_the_service_gave_it(service: Service) -> None:
    text = '{"user_id":"u-1",  "plan":"pro", "name":"Zoë"}'
    service.profiles.answer = LookupResult(Profile(text, {}), CacheEvent.HIT)
    reply = service.ask(b"/lookup/u-1")
    assert (reply.status, reply.body.decode()) == (200, text)
    assert reply.headers == {
        "content-type": "application/json",
        "content-length": str(len(text.encode())),
        "cache-control": "no-store",
        "x-content-type-options": "nosniff",
        "cache-status": "meshpass; hit",
    }


@pytest.mark.parametrize(
    ("event", "reported"),
    [
        (CacheEvent.HIT, "meshpass; hit"),
        (CacheEvent.NEGATIVE_HIT, "meshpass; hit; detail=negative"),
        (CacheEvent.STALE, "meshpass; hit; detail=stale-if-error"),
        (CacheEvent.SHARED, "meshpass; fwd=miss; collapsed"),
        (CacheEvent.FETCHED, "meshpass; fwd=miss"),
    ],
    ids=str,
)
def test_how_the_cache_answered_is_in_its_standard_header(event: CacheEvent, reported: str) -> None:
    assert of_answer(LookupResult(None, event), "k", RULES).headers["cache-status"] == reported


@pytest.mark.parametrize(
    ("raw", "key"),
    [
        (b"/lookup/u-1", "u-1"),
        (b"/lookup/a%2Fb", "a/b"),
        (b"/lookup/a%252Fb", "a%2Fb"),
        (b"/lookup/a+b%20c", "a+b c"),
        (b"/lookup/%C3%A9;v=1,@:", "é;v=1,@:"),
        (b"/lookup/%3F%23", "?#"),
        (b"/lookup/...", "..."),
        (b"/lookup/lookup", "lookup"),
        (b"/lookup/" + b"%F0%9F%98%80" * 256, "😀" * 256),
    ],
    ids=lambda value: repr(value)[:40],
)
def test_the_key_is_one_segment_decoded_once(raw: bytes, key: str) -> None:
    assert key_of("GET", raw, b"") == key


@pytest.mark.parametrize(
    ("raw", "status", "code"),
    [
        (b"/", 404, "not_found"),
        (b"/lookup", 404, "not_found"),
        (b"/Lookup/u-1", 404, "not_found"),
        (b"//lookup/u-1", 404, "not_found"),
        (b"/lookup//u-1", 404, "not_found"),
        (b"/lookup/a/b", 404, "not_found"),
        (b"/lookup/a/", 404, "not_found"),
        (b"/lookup/../profile/a", 404, "not_found"),
        (b"/%6Cookup/a", 404, "not_found"),
        (b"http://host/lookup/a", 404, "not_found"),
        (b"/lookup/", 400, "key_invalid"),
        (b"/lookup/.", 400, "key_invalid"),
        (b"/lookup/..", 400, "key_invalid"),
        (b"/lookup/%2E%2e", 400, "key_invalid"),
        (b"/lookup/a%00", 400, "key_invalid"),
        (b"/lookup/a%0D%0Ab", 400, "key_invalid"),
        (b"/lookup/%7F", 400, "key_invalid"),
        (b"/lookup/%C2%85", 400, "key_invalid"),
        (b"/lookup/%FF", 400, "key_invalid"),
        (b"/lookup/%C0%AF", 400, "key_invalid"),
        (b"/lookup/%ED%A0%80", 400, "key_invalid"),
        (b"/lookup/%", 400, "key_invalid"),
        (b"/lookup/%2", 400, "key_invalid"),
        (b"/lookup/%zz", 400, "key_invalid"),
        (b"/lookup/a b", 400, "key_invalid"),
        (b"/lookup/a\nb", 400, "key_invalid"),
        (b"/lookup/a\\b", 400, "key_invalid"),
        (b"/lookup/a#b", 400, "key_invalid"),
        (b"/lookup/{a}", 400, "key_invalid"),
        (b"/lookup/\xc3\xa9", 400, "key_invalid"),
        (b"/lookup/" + b"a" * 257, 400, "key_invalid"),
    ],
    ids=lambda value: repr(value)[:40],
)
def test_what_is_no_key_is_refused(raw: bytes, status: int, code: str) -> None:
    with pytest.raises(RefusedError) as caught:
        key_of("GET", raw, b"")
    reply = caught.value.reply
    assert (reply.status, json.loads(reply.body)["error"], reply.ending.reason) == (status, code, code)


def test_a_question_mark_that_was_not_encoded_does_not_find_another_key(service: Service) -> None:
    reply = service.ask(b"/lookup/a", query=b"b")
    assert (reply.status, reply.json["error"]) == (400, "query_unexpected")
    assert service.profiles.asked == []


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS"])
def test_only_get_and_head_are_answered(service: Service, method: str) -> None:
    reply = service.ask(b"/lookup/u-1", method)
    assert (reply.status, reply.json["error"], reply.headers["allow"]) == (
        405,
        "method_not_allowed",
        "GET, HEAD",
    )
    assert service.profiles.asked == []


def test_head_is_get_without_the_body(service: Service) -> None:
    get, head = service.ask(b"/lookup/u-1"), service.ask(b"/lookup/u-1", "HEAD")
    assert (head.status, head.headers, head.body) == (get.status, get.headers, b"")


def test_a_server_that_hides_the_path_as_sent_is_a_fault_and_no_guess(service: Service) -> None:
    reply = service.ask(None)
    assert (reply.status, reply.json) == (500, {"error": "fault", "reason": "raw_path_missing"})
    assert service.profiles.asked == []


@pytest.mark.parametrize(
    ("error", "status", "body", "headers"),
    [
        (
            TransientError(Stage.LOOKUP, "service_unavailable", "s3cret"),
            503,
            {"error": "unavailable", "reason": "service_unavailable"},
            {"retry-after": "1"},
        ),
        (
            TransientError(Stage.LOOKUP, "gateway_unreachable", "s3cret"),
            503,
            {"error": "unavailable", "reason": "gateway_unreachable"},
            {"retry-after": "1"},
        ),
        (
            TransientError(Stage.LOOKUP, "lookup_timeout", "s3cret"),
            504,
            {"error": "timeout", "reason": "lookup_timeout"},
            {},
        ),
        (
            TransientError(Stage.LOOKUP, meshpass.MeshTimeout.code, "s3cret"),
            504,
            {"error": "timeout", "reason": "timeout"},
            {},
        ),
        (
            FaultError(Stage.LOOKUP, "not_allowed", "s3cret"),
            500,
            {"error": "fault", "reason": "not_allowed"},
            {},
        ),
        (
            FaultError(Stage.LOOKUP, "profile_mismatch", "s3cret"),
            500,
            {"error": "fault", "reason": "profile_mismatch"},
            {},
        ),
        (
            BadEventError(Stage.LOOKUP, "key_invalid", "no path carries it"),
            400,
            {"error": "key_invalid", "detail": "no path carries it"},
            {},
        ),
    ],
    ids=lambda value: value.reason if isinstance(value, EnrichmentError) else "",
)
def test_each_failure_has_its_status_and_our_own_words(
    error: EnrichmentError, status: int, body: dict[str, str], headers: dict[str, str]
) -> None:
    reply = of_error(error)
    assert (reply.status, json.loads(reply.body), reply.headers) == (status, body, headers)


def test_an_unknown_key_is_a_404_that_names_it(service: Service) -> None:
    service.profiles.answer = LookupResult(None, CacheEvent.NEGATIVE_HIT)
    reply = service.ask(b"/lookup/a%2Fb")
    assert (reply.status, reply.json) == (404, {"error": "profile_not_found", "key": "a/b"})


def test_nothing_of_a_defect_gets_out(service: Service) -> None:
    service.profiles.error = ValueError("s3cret")
    reply = service.ask(b"/lookup/u-1")
    assert (reply.status, reply.json) == (500, {"error": "fault", "reason": "unexpected_error"})
    assert b"s3cret" not in b"".join(service.lines)


def test_the_lookup_may_take_the_whole_time_of_the_request(service: Service) -> None:
    service.ask(b"/lookup/u-1")
    (left_s,) = service.profiles.left_s
    assert 4.0 < left_s <= 8.0  # an event's lookup would have half


@pytest.mark.parametrize(
    ("failure", "raw", "severity", "labels"),
    [
        (None, b"/lookup/s3cret", "INFO", {"outcome": "found"}),
        (None, b"/s3cret", "WARNING", {"outcome": "refused", "reason": "not_found"}),
        (
            TransientError(Stage.LOOKUP, "timeout_read", "d"), b"/lookup/s3cret", "WARNING",
            {"outcome": "retry", "stage": "lookup", "reason": "timeout_read"},
        ),
        (
            FaultError(Stage.LOOKUP, "not_allowed", "d"), b"/lookup/s3cret", "CRITICAL",
            {"outcome": "fault", "stage": "lookup", "reason": "not_allowed"},
        ),
    ],
    ids=["found", "refused", "retry", "fault"],
)  # fmt: skip
def test_each_request_is_one_line_that_does_not_name_the_key(
    service: Service, failure: Exception | None, raw: bytes, severity: str, labels: dict[str, str]
) -> None:
    service.profiles.error = failure
    reply = service.ask(raw, headers={"traceparent": TRACEPARENT, "function-execution-id": "x-1"})
    (line,) = service.log()
    assert (line["severity"], line["status"]) == (severity, reply.status)
    named = {"execution_id": "x-1"} if service.driver == "functions-framework" else {}
    assert line["logging.googleapis.com/labels"] == {**labels, **named}
    assert line["logging.googleapis.com/trace"] == f"projects/p/traces/{TRACE_ID}"
    assert "s3cret" not in json.dumps(line)


def test_each_request_is_counted(service: Service) -> None:
    service.ask(b"/lookup/u-1")
    service.ask(b"/lookup/")
    assert service.counters.snapshot() == {
        "lookup_requests/found": 1,
        "lookup_requests/refused/key_invalid": 1,
    }


def test_the_callers_trace_goes_on_to_the_lookup(service: Service) -> None:
    service.ask(b"/lookup/u-1", headers={"x-cloud-trace-context": f"{TRACE_ID}/1;o=1"})
    ((_, trace),) = service.profiles.asked
    assert trace.traceparent == f"00-{TRACE_ID}-0000000000000001-01"


def test_a_request_is_a_server_span_that_does_not_name_the_key(
    service: Service, spans: InMemorySpanExporter
) -> None:
    service.profiles.error = TransientError(Stage.LOOKUP, "timeout_read", "d")
    service.ask(b"/lookup/s3cret", headers={"traceparent": TRACEPARENT})
    (span,) = spans.get_finished_spans()
    assert (span.name, span.kind, span.status.status_code) == (
        "GET /lookup/{key}", SpanKind.SERVER, StatusCode.ERROR
    )  # fmt: skip
    assert dict(span.attributes or {}) == {
        "http.request.method": "GET",
        "http.route": "/lookup/{key}",
        "http.response.status_code": 504,
        "error.type": "timeout_read",
    }
    assert "s3cret" not in span.to_json()
    ((_, trace),) = service.profiles.asked
    assert trace.span_id == f"{span.context.span_id:016x}"


@given(KEYS)
@example("a/b")
@example("%2F")
def test_every_key_can_be_asked_for(key: str) -> None:
    assert key_of("GET", b"/lookup/" + quote(key, safe="").encode(), b"") == key


# Paths that are nearly right, and any bytes at all.
PARTS = st.sampled_from(
    [
        b"/",
        b"lookup",
        b"/lookup/",
        b"..",
        b".",
        b"%2F",
        b"%2e",
        b"%00",
        b"%C3",
        b"%A9",
        b"%",
        b"a",
        b"?",
        b"#",
        b"\\",
        b"\xff",
    ]
)
PATHS = st.lists(PARTS, max_size=8).map(b"".join) | st.binary(max_size=40)


@pytest.mark.parametrize("driver", APPLICATIONS)
@given(
    raw_path=PATHS.map(lambda path: b"/" + path) | PATHS.map(lambda path: b"/lookup/" + path),
    query=st.just(b"") | st.binary(max_size=5),
    method=st.sampled_from(["GET", "HEAD", "POST", "OPTIONS"]),
)
def test_no_request_crashes_it_or_finds_what_was_not_asked_for(
    driver: str, raw_path: bytes, query: bytes, method: str
) -> None:
    service = Service(driver)
    reply = service.ask(raw_path, method, query)
    assert reply.status in (200, 400, 404, 405)
    if reply.status == 200:
        ((key, _),) = service.profiles.asked
        segment = raw_path.removeprefix(b"/lookup/")
        assert b"/" not in segment
        assert key.encode() == unquote_to_bytes(segment)
        assert method == "HEAD" or reply.json == {"user_id": key}
    else:
        assert service.profiles.asked == []


@pytest.fixture(scope="module", params=APPLICATIONS)
def deployed(
    request: pytest.FixtureRequest,
    gateway: Gateway,
    settings: dict[str, str],
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[str]:
    output = tmp_path_factory.mktemp("lookup") / "output"
    if request.param == "serve":
        env = {"PATH": os.environ["PATH"]} | settings
        with running(env, output, lambda port: serve_command(port, "--lookup")) as function:
            yield function.url.removeprefix("http://").rstrip("/")
    else:
        with serving(PROBE, "lookup", output, **settings) as address:
            yield address


def get(address: str, target: str, method: str = "GET") -> tuple[int, dict[str, str], bytes]:
    connection = http.client.HTTPConnection(address, timeout=30)
    connection.request(method, target)
    answer = connection.getresponse()
    body = answer.read()
    connection.close()
    return answer.status, {name.lower(): value for name, value in answer.getheaders()}, body


@pytest.mark.parametrize("key", ["u-2", "a/b", "../denied", "é ;?#%2F", "%", "{user_id}"])
def test_under_the_real_server_the_service_sees_exactly_the_key_asked_for(
    deployed: str, gateway: Gateway, key: str
) -> None:
    gateway.seen.clear()
    status, _, body = get(deployed, f"/lookup/{quote(key, safe='')}")
    assert (status, json.loads(body)) == (200, {"user_id": key, "plan": "pro"})
    assert [path for path, _ in gateway.seen] == [f"/profile/{quote(key, safe='')}"]


def test_under_the_real_server_a_second_request_comes_from_the_cache(deployed: str, gateway: Gateway) -> None:
    gateway.seen.clear()
    reported = [get(deployed, "/lookup/u-3")[1]["cache-status"] for _ in range(2)]
    assert reported == ["meshpass; fwd=miss", "meshpass; hit"]
    assert len(gateway.seen) == 1


@pytest.mark.parametrize(
    ("key", "status", "body"),
    [
        ("nobody", 404, {"error": "profile_not_found", "key": "nobody"}),
        ("denied", 500, {"error": "fault", "reason": "not_allowed"}),
        ("no-route", 500, {"error": "fault", "reason": "no_route"}),
        ("swapped", 500, {"error": "fault", "reason": "profile_mismatch"}),
        ("garbage", 500, {"error": "fault", "reason": "profile_malformed"}),
        ("odd", 500, {"error": "fault", "reason": "service_answer_unexpected"}),
    ],
)
def test_under_the_real_server_each_failure_of_the_mesh_has_its_answer(
    deployed: str, key: str, status: int, body: dict[str, str]
) -> None:
    found, _, text = get(deployed, f"/lookup/{key}")
    assert (found, json.loads(text)) == (status, body)


@pytest.mark.parametrize(
    "target", ["/lookup/a?b", "/lookup/%00", "/lookup/a%0Ab", "/lookup/..", "/lookup/%2E%2E", "//lookup/a"]
)
def test_under_the_real_server_a_hostile_path_asks_for_nothing(
    deployed: str, gateway: Gateway, target: str
) -> None:
    gateway.seen.clear()
    status, _, _ = get(deployed, target)
    assert status in (400, 404)
    assert gateway.seen == []


def test_under_the_real_server_head_has_the_length_and_no_body(deployed: str) -> None:
    expected = get(deployed, "/lookup/u-4")[1]["content-length"]
    status, headers, body = get(deployed, "/lookup/u-4", "HEAD")
    assert (status, headers["content-length"], body) == (200, expected, b"")
