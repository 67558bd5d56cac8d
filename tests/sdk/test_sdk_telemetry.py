"""What an operator sees of a call: spans and metrics of OpenTelemetry, the trace sent on, and log events."""

import logging
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

import meshpass
import pytest
from meshpass._call import telemetry
from meshpass._http.pool import ConnectionPool
from opentelemetry import trace
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode

from .conftest import Connect, Server

_ENVOY = {"server": "istio-envoy", "content-type": "text/plain"}
_GIVEN = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


def only(spans: InMemorySpanExporter) -> ReadableSpan:
    (span,) = spans.get_finished_spans()
    return span


def attributes_of(span: ReadableSpan) -> dict[str, Any]:
    return dict(span.attributes or {})


def test_a_call_is_a_client_span_named_by_its_template(
    connect: Connect, server: Server, spans: InMemorySpanExporter
) -> None:
    connect(address=server.address).get("/profile/{user_id}", user_id="s3cret-user", params={"q": "s3cret"})

    span = only(spans)
    assert (span.name, span.kind, span.status.status_code) == (
        "GET /profile/{user_id}",
        SpanKind.CLIENT,
        StatusCode.UNSET,
    )
    assert attributes_of(span) == {
        "http.request.method": "GET",
        "http.response.status_code": 200,
        "server.address": "user-profile.internal",
        "server.port": 80,
        "network.peer.address": "127.0.0.1",
        "network.peer.port": server.server_port,
        "url.full": "http://user-profile.internal/profile/{user_id}",
        "url.template": "/profile/{user_id}",
    }


def test_the_span_is_sent_on_as_traceparent(
    connect: Connect, server: Server, spans: InMemorySpanExporter
) -> None:
    connect(address=server.address).get("/")

    context = only(spans).get_span_context()
    assert context is not None
    ids = f"00-{trace.format_trace_id(context.trace_id)}-{trace.format_span_id(context.span_id)}-"
    assert server.seen[0].headers["traceparent"].startswith(ids)


def test_what_a_propagator_writes_is_sent_only_if_it_is_a_header(
    connect: Connect, server: Server, spans: InMemorySpanExporter, monkeypatch: pytest.MonkeyPatch
) -> None:
    def inject(carrier: dict[str, Any], context: object = None) -> None:
        carrier.update(
            {"X-Good": "1", "x-bad": "1\r\nx-injected: 1", "x bad": "1", "Host": "elsewhere", "x-no": 1}
        )

    monkeypatch.setattr("opentelemetry.propagate.inject", inject)
    connect(address=server.address).get("/")

    headers = server.seen[-1].headers
    assert headers["x-good"] == "1"
    assert headers["host"] == "user-profile.internal"
    assert not headers.keys() & {"x-bad", "x-injected", "x-no"}


def test_a_propagator_that_fails_fails_no_call(
    connect: Connect, server: Server, spans: InMemorySpanExporter, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise KeyError

    for name in ("inject", "extract"):
        monkeypatch.setattr(f"opentelemetry.propagate.{name}", fail)

    assert connect(address=server.address).get("/", headers={"traceparent": _GIVEN}).status_code == 200


def test_a_given_traceparent_is_the_spans_parent(
    connect: Connect, server: Server, spans: InMemorySpanExporter
) -> None:
    connect(address=server.address).get("/", headers={"traceparent": _GIVEN})

    span = only(spans)
    assert span.parent is not None
    assert trace.format_span_id(span.parent.span_id) == "00f067aa0ba902b7"
    sent = server.seen[0].headers["traceparent"]
    assert sent.startswith("00-4bf92f3577b34da6a3ce929d0e0e4736-")
    assert sent != _GIVEN


def test_without_a_provider_a_traceparent_goes_on_as_it_is(connect: Connect, server: Server) -> None:
    client = connect(address=server.address)
    remote = trace.NonRecordingSpan(trace.SpanContext(1, 2, is_remote=True, trace_flags=trace.TraceFlags(1)))

    client.get("/", headers={"traceparent": _GIVEN})
    with trace.use_span(remote):
        client.get("/")
    client.get("/")

    given, current, none = (seen.headers.get("traceparent") for seen in server.seen)
    assert (given, none) == (_GIVEN, None)
    assert current in (f"00-{1:032x}-{2:016x}-01", None)  # None: the runner's loop has another context


def test_each_attempt_is_a_span_and_failures_say_what_they_were(
    connect: Connect, server: Server, spans: InMemorySpanExporter
) -> None:
    server.answer = lambda _: (503, _ENVOY, b"no healthy upstream")

    with pytest.raises(meshpass.UpstreamUnavailable):
        connect(address=server.address, retry=meshpass.RetryPolicy(attempts=2, backoff_s=0)).get("/")

    first, second = (attributes_of(span) for span in spans.get_finished_spans())
    assert (first["error.type"], first["http.response.status_code"]) == ("upstream_unavailable", 503)
    assert (first.get("http.request.resend_count"), second["http.request.resend_count"]) == (None, 1)
    assert all(span.status.status_code is StatusCode.ERROR for span in spans.get_finished_spans())


def test_a_call_that_is_broken_off_ends_its_span(spans: InMemorySpanExporter, server: Server) -> None:
    class Broken(Exception):  # noqa: N818
        pass

    def interrupted(*_: object) -> meshpass.Token:
        raise Broken

    with (
        pytest.MonkeyPatch.context() as patch,
        meshpass.Client("http://h.internal", auth=_Fixed(), address=server.address) as client,
    ):
        patch.setattr(ConnectionPool, "send", interrupted)
        with pytest.raises(Broken):
            client.get("/")

    assert attributes_of(only(spans))["error.type"] == "cancelled"


class _Fixed:
    def token(self) -> meshpass.Token:
        return meshpass.Token("t", 9e9, "test")

    async def atoken(self) -> meshpass.Token:
        return self.token()

    def invalidate(self, token: meshpass.Token) -> None: ...


def test_the_duration_of_each_attempt_is_measured(
    connect: Connect, server: Server, reader: InMemoryMetricReader
) -> None:
    client = connect(address=server.address)
    for _ in range(3):
        client.get("/profile/{user_id}", user_id="u1")

    data = reader.get_metrics_data()
    assert data is not None
    (metric,) = data.resource_metrics[0].scope_metrics[0].metrics
    (point,) = metric.data.data_points
    assert (metric.name, metric.unit) == ("http.client.request.duration", "s")
    assert point.count == 3  # type: ignore[union-attr]
    assert dict(point.attributes or {}) == {
        "http.request.method": "GET",
        "http.response.status_code": 200,
        "server.address": "user-profile.internal",
        "server.port": 80,
        "url.template": "/profile/{user_id}",
    }


def test_a_program_that_does_not_use_opentelemetry_does_not_load_it(server: Server) -> None:
    probe = (
        "import meshpass, sys\n"
        "class Auth:\n"
        "  def token(self): return meshpass.Token('t', 9e9, 'test')\n"
        "  atoken = invalidate = token\n"
        f"meshpass.Client('http://h.internal', auth=Auth(), address='{server.address}').get('/')\n"
        "print(any(name.startswith('opentelemetry') for name in sys.modules))"
    )

    ran = subprocess.run([sys.executable, "-c", probe], check=True, capture_output=True, text=True)

    assert (ran.stdout, len(server.seen)) == ("False\n", 1)


@pytest.mark.parametrize("name", ["opentelemetry.trace", "opentelemetry.metrics"])
def test_a_module_that_another_thread_is_importing_is_not_used_yet(
    connect: Connect, server: Server, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    half = ModuleType(name)
    half.__spec__ = ModuleSpec(name, None)
    half.__spec__._initializing = True  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, name, half)
    assert connect(address=server.address).get("/").status_code == 200


def test_without_a_provider_nothing_is_recorded(connect: Connect, server: Server) -> None:
    connect(address=server.address).get("/")

    assert not {"tracer", "histogram"} & {
        name for name, (provider, _) in telemetry._made.items() if provider is trace.get_tracer_provider()
    }


@contextmanager
def events(caplog: pytest.LogCaptureFixture) -> Iterator[list[tuple[str, str, dict[str, Any]]]]:
    found: list[tuple[str, str, dict[str, Any]]] = []
    caplog.clear()
    with caplog.at_level(logging.DEBUG, "meshpass"):
        yield found
    found += [
        (record.levelname, record.__dict__["event"], record.__dict__["meshpass"])
        for record in caplog.records
        if record.name == "meshpass" and "event" in record.__dict__
    ]


def test_a_retry_and_what_came_of_it_are_log_events_with_fields(
    connect: Connect, server: Server, caplog: pytest.LogCaptureFixture
) -> None:
    left = [(503, _ENVOY, b"no healthy upstream")]
    server.answer = lambda _: left.pop() if left else (200, {}, b"{}")

    with events(caplog) as found:
        connect(address=server.address, retry=meshpass.RetryPolicy(backoff_s=0)).get("/{x}", x="s3cret")

    (level, event, fields), answered = found
    assert (level, event, fields["code"], fields["status"]) == (
        "INFO",
        "meshpass.retry",
        "upstream_unavailable",
        503,
    )
    assert (fields["service"], fields["template"], fields["attempts"]) == ("user-profile.internal", "/{x}", 1)
    assert answered[:2] == ("DEBUG", "meshpass.answered")
    assert "s3cret" not in caplog.text + repr([vars(record) for record in caplog.records])


def test_a_refusal_is_a_log_event_with_the_meshs_words_and_our_claims(
    connect: Connect, server: Server, caplog: pytest.LogCaptureFixture
) -> None:
    server.answer = lambda _: (403, _ENVOY, b"RBAC: access denied")

    with events(caplog) as found, pytest.raises(meshpass.NotAllowed):
        connect(address=server.address).get("/")

    ((level, event, fields),) = found
    assert (level, event, fields["detail"]) == ("INFO", "meshpass.failed", "RBAC: access denied")
    assert {"iss", "aud", "kid", "exp"} <= fields["claims"].keys()
