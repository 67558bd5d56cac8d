"""Rows into BigQuery: what the table says decides each event's end, by our client as by the official one."""

import asyncio
import json
import os
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Event, Lock, Thread
from traceback import TracebackException
from typing import Any

import meshpass
import pytest
from enrichment.errors import POLICY, Disposition
from enrichment.row.conversions import Json
from enrichment.settings import table_file
from enrichment.settings.model import BatchLimits, WriteStreamKind
from enrichment.sink.base import RowWriter
from enrichment.sink.insert_all import ATTEMPT_TIMEOUT_S, InsertAllClient
from enrichment.sink.storage_write.client import StorageWriteClient
from enrichment.sink.table_watch import TableWatch
from google.auth.exceptions import DefaultCredentialsError
from google.cloud import bigquery
from google.oauth2.credentials import Credentials
from meshlab.cloud.bigquery.control import order_faults, stats
from meshlab.cloud.bigquery.errors import REFUSALS
from meshlab.cloud.bigquery.faults import Faults
from meshpass._tokens.google.access_token import AccessToken

from .conftest import FUNCTION, PROJECT, TABLE, Tables
from .writing import WRITTEN, Tokens, Writing, anonymous, official, ours, row

FIELDS = table_file.read(FUNCTION / "enrichment" / "table.json", []) or {}

MakeClient = Callable[[str], RowWriter]


def by_appends(kind: WriteStreamKind, host: str) -> MakeClient:
    return lambda table: StorageWriteClient({table: FIELDS.values()}, kind, host, Tokens())


@pytest.fixture(params=[ours, official], ids=["ours", "official"])
def sinks(request: pytest.FixtureRequest) -> Iterator["MakeSink"]:
    """Makes sinks over our client, and over the official one as the reference."""
    yield from making(lambda _: request.param())


@pytest.fixture(params=["ours", "official", WriteStreamKind.DEFAULT, WriteStreamKind.COMMITTED])
def all_sinks(request: pytest.FixtureRequest, tables: Tables) -> Iterator["MakeSink"]:
    """The same over every writer."""
    known: dict[str, MakeClient] = {"ours": lambda _: ours(), "official": lambda _: official()}
    yield from making(known.get(request.param) or by_appends(request.param, tables.write))


@pytest.fixture
def own() -> str:
    """What no other test has in the ids of its rows."""
    return os.urandom(4).hex()


def making(make_client: MakeClient) -> Iterator["MakeSink"]:
    made: list[Writing] = []

    def make(
        table: str = TABLE,
        limits: BatchLimits | None = None,
        client: RowWriter | None = None,
        watch: TableWatch | None = None,
    ) -> Writing:
        made.append(Writing(client or make_client(table), table, limits or BatchLimits(), watch=watch))
        return made[-1]

    yield make
    for writing in made:
        writing.close()


MakeSink = Callable[..., Writing]


@contextmanager
def own_table(
    tables: Tables,
    name: str,
    without: str = "",
    beside: dict[str, Any] | None = None,
    partitioned_by: str = "",
) -> Iterator[str]:
    """A table of this test's own, like the function's but for a column."""
    columns = json.loads((FUNCTION / "enrichment" / "table.json").read_text())
    fields = [column for column in columns if column["name"] != without]
    fields += [beside] if beside else []
    full_name = f"{PROJECT}.events.{name}"
    project, dataset, table = full_name.split(".")
    reference = {"projectId": project, "datasetId": dataset, "tableId": table}
    layout = {"timePartitioning": {"type": "DAY", "field": partitioned_by}} if partitioned_by else {}
    tables.client.create_table(
        bigquery.Table.from_api_repr({"schema": {"fields": fields}, "tableReference": reference, **layout})
    )
    yield full_name
    tables.client.delete_table(full_name)


def test_a_row_is_in_the_table_once_written(tables: Tables, all_sinks: MakeSink, own: str) -> None:
    assert all_sinks().ends(row(f"e-sink-{own}")) == [WRITTEN]
    assert len(tables.rows(f"e-sink-{own}")) == 1


def test_a_row_that_is_delivered_again_is_one_row(tables: Tables, sinks: MakeSink) -> None:
    writing = sinks()
    assert writing.ends(row("e-again"), row("e-again")) == [WRITTEN, WRITTEN]
    assert writing.ends(row("e-again")) == [WRITTEN]
    assert len(tables.rows("e-again")) == 1


def test_rows_of_concurrent_events_share_a_request(tables: Tables, all_sinks: MakeSink, own: str) -> None:
    writing = all_sinks()
    names = [f"e-group-{own}-{number}" for number in range(64)]
    assert writing.ends(*map(row, names)) == [WRITTEN] * 64
    assert writing.counted == {"insert_requests": 1, "insert_rows": 64}
    assert tables.counts(names) == [1] * 64


def test_a_row_that_bigquery_calls_invalid_is_its_own_events_fault_and_its_neighbours_are_written(
    tables: Tables, all_sinks: MakeSink, own: str
) -> None:
    writing = all_sinks()
    bad = row(f"e-bad-{own}", occurred_at="yesterday")
    written, invalid, also_written = writing.write(row(f"e-left-{own}"), bad, row(f"e-right-{own}"))
    assert written is None
    assert also_written is None
    assert invalid is not None
    assert (invalid.disposition, invalid.reason) == (
        # The Storage Write API does not say that the row is at fault, and not the table.
        (Disposition.FAULT, "bigquery_row_refused")
        if isinstance(writing.client, StorageWriteClient)
        else (Disposition.DEAD_LETTERED, "row_invalid")
    )
    assert "occurred_at" in invalid.detail
    assert "yesterday" not in str(invalid)
    assert tables.counts((f"e-left-{own}", f"e-bad-{own}", f"e-right-{own}")) == [
        1,
        0,
        1,
    ]
    assert writing.counted == {"insert_requests": 2, "insert_rows": 3, "insert_rows_resent": 2}


def test_a_request_too_large_for_bigquery_is_halved_and_all_of_its_rows_written(
    tables: Tables, all_sinks: MakeSink, own: str
) -> None:
    writing = all_sinks(limits=BatchLimits(max_bytes=50_000_000))
    payload = json.dumps("x" * 4_000_000)
    names = [f"e-large-{own}-{number}" for number in range(3)]
    assert writing.ends(*(row(name, event=payload) for name in names)) == [WRITTEN] * 3
    assert tables.counts(names) == [1] * 3


def test_a_row_too_large_for_bigquery_is_its_own_events_fault(tables: Tables, all_sinks: MakeSink) -> None:
    huge = row("e-huge", event=json.dumps("x" * 11_000_000))
    assert all_sinks().ends(row("e-small"), huge) == [WRITTEN, (Disposition.DEAD_LETTERED, "row_too_large")]


def test_a_missing_table_is_our_fault_and_all_is_well_once_it_is_there(
    tables: Tables, all_sinks: MakeSink
) -> None:
    writing = all_sinks(f"{PROJECT}.events.late")
    assert writing.ends(row("a"), row("b")) == [(Disposition.FAULT, "bigquery_not_found")] * 2
    with own_table(tables, "late"):
        assert writing.ends(row("a"), row("b")) == [WRITTEN, WRITTEN]
    assert writing.ends(row("a")) == [(Disposition.FAULT, "bigquery_not_found")]


def test_a_table_that_was_made_anew_takes_no_rows_before_bigquery_knows_it(
    tables: Tables, all_sinks: MakeSink
) -> None:
    """BigQuery would acknowledge them into the old table, and drop them."""
    ahead_s = 0.0
    watch = TableWatch(600.0, lambda: time.time() + ahead_s)
    writing = all_sinks(f"{PROJECT}.events.anew", watch=watch)
    with own_table(tables, "anew"):
        ahead_s = 61
        assert writing.ends(row("a")) == [WRITTEN]
    order_faults(tables.host, Faults(lag_s=600))
    with own_table(tables, "anew"):
        ahead_s = 122  # no insert has met a 404
        (held,) = writing.write(row("b"))
        order_faults(tables.host, Faults())
        assert held is not None
        assert (held.disposition, held.reason) == (Disposition.FAULT, "bigquery_table_recreated")
        assert stats(tables.host).dropped == 0
        ahead_s = 601
        assert writing.ends(row("b")) == [WRITTEN]


def test_a_table_without_one_of_our_columns_is_our_fault_and_no_event_is_dead_lettered_for_it(
    tables: Tables, all_sinks: MakeSink
) -> None:
    with own_table(tables, "narrow", without="trace_id") as table:
        errors = all_sinks(table).write(row("a"), row("b"))
    assert [(error.disposition, error.reason) for error in errors if error] == [
        (Disposition.FAULT, "bigquery_schema_mismatch")
    ] * 2
    assert errors[0] is not None
    assert "trace_id" in errors[0].detail


RECORD = {"name": "order", "type": "RECORD"}
PLAN = {"name": "plan", "type": "STRING"}


@pytest.mark.parametrize(
    ("order", "value"),
    [
        ({**RECORD, "fields": [PLAN]}, {"plan": "pro", "total": "1"}),
        (
            {**RECORD, "fields": [PLAN, {"name": "total", "type": "STRING", "mode": "REQUIRED"}]},
            {"plan": "p"},
        ),
        ({**RECORD, "mode": "REPEATED", "fields": [PLAN]}, [{"plan": "pro", "total": "1"}]),
        ({**RECORD, "fields": [PLAN]}, "pro"),
        ({**RECORD, "fields": [PLAN]}, [{"plan": "pro"}]),
        ({"name": "order", "type": "STRING"}, {"plan": "pro"}),
        ({**RECORD, "mode": "REPEATED", "fields": [PLAN]}, {"plan": "pro"}),
        ({"name": "order", "type": "STRING", "mode": "REPEATED"}, "pro"),
        ({"name": "order", "type": "STRING"}, ["pro"]),
        ({"name": "order", "type": "STRING", "mode": "REQUIRED"}, None),
    ],
    ids=[
        *("no-such-field", "missing-field", "no-such-field-of-many", "a-record", "not-repeated", "no-record"),
        *("record-made-repeated", "column-made-repeated", "repeated-made-nullable", "new-required-column"),
    ],
)
def test_a_table_whose_records_are_not_ours_is_our_fault_and_no_event_is_dead_lettered_for_it(
    tables: Tables, sinks: MakeSink, order: dict[str, Any], value: Json
) -> None:
    """The rows fit table.json, or they would not be here."""
    with own_table(tables, "records", beside=order) as table:
        ends = sinks(table).ends(row("a", order=value), row("b"))
    assert ends[0] == (Disposition.FAULT, "bigquery_schema_mismatch")


def test_a_partition_that_takes_no_streamed_rows_is_our_fault_and_keeps_no_other_event(
    tables: Tables, sinks: MakeSink
) -> None:
    with own_table(tables, "by_occurrence", partitioned_by="occurred_at") as table:
        old, new = sinks(table).write(row("old", occurred_at="1999-01-01T00:00:00Z"), row("new"))
        assert new is None
    assert old is not None
    assert (old.disposition, old.reason) == (Disposition.FAULT, "bigquery_partition_range")
    assert "occurred_at" in old.detail
    assert "9151488" not in old.detail


REFUSAL_REASONS = [
    ("access_denied", "bigquery_forbidden"),
    ("billing_disabled", "bigquery_billing_disabled"),
    ("free_tier", "bigquery_free_tier"),
    ("vpc_service_controls", "bigquery_vpc_service_controls"),
    ("api_disabled", "bigquery_api_disabled"),
    ("quota_exceeded", "bigquery_quota"),
    ("rate_limit_exceeded", "bigquery_quota"),
]


@pytest.mark.parametrize(("refusal", "reason"), REFUSAL_REASONS)
def test_each_403_of_bigquery_has_its_own_reason_and_advice(
    tables: Tables, sinks: MakeSink, refusal: str, reason: str
) -> None:
    order_faults(tables.host, Faults(refusal=refusal))
    try:
        (error,) = sinks().write(row("a"), within_s=2.0)
    finally:
        order_faults(tables.host, Faults())
    assert error is not None
    assert error.reason == reason
    assert f"403 {REFUSALS[refusal][0]}" in error.detail
    assert POLICY[reason].action in error.detail


def test_each_403_of_the_storage_write_api_has_the_same_reason(tables: Tables) -> None:
    client = by_appends(WriteStreamKind.DEFAULT, tables.write)(TABLE)
    with closing(Writing(client)) as writing:
        for refusal, reason in REFUSAL_REASONS:
            order_faults(tables.host, Faults(refusal=refusal))
            try:
                (error,) = writing.write(row("a"), within_s=2.0)
            finally:
                order_faults(tables.host, Faults())
            assert error is not None
            assert error.reason == reason
            assert POLICY[reason].action in error.detail


def test_a_bigquery_out_of_reach_is_transient(monkeypatch: pytest.MonkeyPatch, sinks: MakeSink) -> None:
    with socket.socket() as closed:  # bound and not listening: every connection is refused
        closed.bind(("127.0.0.1", 0))
        monkeypatch.setenv("BIGQUERY_EMULATOR_HOST", f"http://127.0.0.1:{closed.getsockname()[1]}")
        (end,) = sinks().ends(row("a"), within_s=0.2)
    assert end[0] is Disposition.RETRY


@pytest.mark.parametrize("whose", ["ours", "official"])
def test_missing_credentials_are_our_fault_and_all_is_well_once_they_are_there(
    whose: str, tables: Tables
) -> None:
    tokens, there = Tokens(), Event()
    tokens.failure = meshpass.IdentityError("No Google identity was found.")

    def make_client() -> bigquery.Client:
        if not there.is_set():
            raise DefaultCredentialsError("none")
        return anonymous()

    writing = Writing(InsertAllClient(tokens=tokens) if whose == "ours" else official(make_client))
    with closing(writing):
        writing.warm_up()
        assert writing.ends(row(f"e-credentials-{whose}")) == [(Disposition.FAULT, "bigquery_no_credentials")]
        there.set()
        tokens.failure = None
        assert writing.ends(row(f"e-credentials-{whose}")) == [WRITTEN]


@dataclass
class Service:
    """BigQuery as a script: what each request is answered, and what was in it."""

    address: str
    script: list["LookupResult"] = field(default_factory=list)
    otherwise: "LookupResult | None" = None
    requests: list[list[str]] = field(default_factory=list)
    heads: list[tuple[str, dict[str, str]]] = field(default_factory=list)
    bodies: list[bytes] = field(default_factory=list)
    timeouts_s: list[float] = field(default_factory=list)
    connections: list[object] = field(default_factory=list)
    lock: Lock = field(default_factory=Lock)


LookupResult = Callable[["Handler"], None]


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    service: Service
    ids: list[str]

    def setup(self) -> None:
        super().setup()
        with self.service.lock:
            self.service.connections.append(self.client_address)

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        self.ids = [entry["insertId"] for entry in json.loads(body)["rows"]]
        headers = {name.lower(): value for name, value in self.headers.items()}
        with self.service.lock:
            self.service.heads.append((f"{self.command} {self.path}", headers))
            self.service.bodies.append(body)
            self.service.requests.append(self.ids)
            self.service.timeouts_s.append(float(self.headers["x-server-timeout"]))
            answer = self.service.script.pop(0) if self.service.script else self.service.otherwise or ok
        answer(self)

    def reply(self, status: int, document: object) -> None:
        self.reply_with(status, json.dumps(document).encode())

    def reply_with(self, status: int, body: bytes) -> None:
        self.send_response_only(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


def ok(handler: Handler) -> None:
    handler.reply(200, {"kind": "bigquery#tableDataInsertAllResponse"})


def refusal(status: int, reason: str) -> LookupResult:
    error = {"reason": reason, "message": "it says so", "domain": "global"}

    def answer(handler: Handler) -> None:
        handler.reply(status, {"error": {"code": status, "message": "no", "errors": [error]}})

    return answer


def ok_then_hang_up(handler: Handler) -> None:
    """Answers as if to keep the connection, and ends it: as any server does with an idle one."""
    ok(handler)
    handler.close_connection = True


def hang_up(handler: Handler) -> None:
    """Ends the connection without an answer."""
    handler.close_connection = True


def row_errors(*reasons: str) -> LookupResult:
    """Fails rows for these reasons, one each."""
    errors = [
        {"index": index, "errors": [{"reason": reason, "location": ""}]}
        for index, reason in enumerate(reasons)
    ]
    return lambda handler: handler.reply(200, {"insertErrors": errors})


@pytest.fixture
def service(monkeypatch: pytest.MonkeyPatch) -> Iterator[Service]:
    handler = type("ScriptedHandler", (Handler,), {})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    service = Service(f"http://127.0.0.1:{server.server_port}")
    handler.service = service  # type: ignore[attr-defined]
    thread = Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    monkeypatch.setenv("BIGQUERY_EMULATOR_HOST", service.address)
    yield service
    server.shutdown()
    server.server_close()
    thread.join()


def test_a_brief_outage_costs_time_and_no_event(service: Service, sinks: MakeSink) -> None:
    service.script = [refusal(503, "backendError"), refusal(500, "internalError")]
    assert sinks().ends(row("a"), row("b")) == [WRITTEN, WRITTEN]
    assert service.requests == [["a", "b"]] * 3


def test_a_row_that_bigquery_could_not_write_just_now_is_sent_again(
    service: Service, sinks: MakeSink
) -> None:
    service.script = [row_errors("backendError", "stopped")]
    assert sinks().ends(row("a"), row("b")) == [WRITTEN, WRITTEN]
    assert service.requests[0] == ["a", "b"]
    assert sorted(service.requests[1:]) == [["a"], ["b"]]


def test_a_connection_that_was_idle_too_long_is_no_concern_of_an_event(
    service: Service, sinks: MakeSink
) -> None:
    service.script = [ok_then_hang_up]
    writing = sinks()
    assert writing.ends(row("a")) == [WRITTEN]
    assert writing.ends(row("b")) == [WRITTEN]
    assert service.requests == [["a"], ["b"]]
    assert len(service.connections) == 2


def test_a_connection_that_breaks_under_a_request_is_no_concern_of_an_event(
    service: Service, sinks: MakeSink
) -> None:
    service.script = [ok, hang_up, hang_up]
    writing = sinks()
    assert writing.ends(row("a")) == [WRITTEN]
    assert writing.ends(row("b")) == [WRITTEN]
    assert service.requests == [["a"], ["b"], ["b"], ["b"]]


def test_a_connection_is_kept_for_the_next_write(service: Service, sinks: MakeSink) -> None:
    writing = sinks()
    for name in "abc":
        assert writing.ends(row(name)) == [WRITTEN]
    assert len(service.connections) == 1


def test_a_missing_permission_is_our_fault_and_all_is_well_once_it_is_granted(
    service: Service, sinks: MakeSink
) -> None:
    service.script = [refusal(403, "accessDenied")]
    writing = sinks()
    assert writing.ends(row("a"), row("b")) == [(Disposition.FAULT, "bigquery_forbidden")] * 2
    assert writing.ends(row("a"), row("b")) == [WRITTEN, WRITTEN]


def test_a_spent_quota_is_transient(service: Service, sinks: MakeSink) -> None:
    service.script = [refusal(403, "quotaExceeded")]
    assert sinks().ends(row("a")) == [(Disposition.RETRY, "bigquery_quota")]


def test_a_row_that_spoils_its_request_fails_alone_and_is_kept(service: Service, sinks: MakeSink) -> None:
    def spoilt(handler: Handler) -> None:
        (refusal(400, "invalid") if "spoils" in handler.ids else ok)(handler)

    service.otherwise = spoilt
    names = ["a", "b", "spoils", "c"]
    assert sinks().ends(*map(row, names)) == [
        WRITTEN,
        WRITTEN,
        (Disposition.FAULT, "bigquery_refused"),
        WRITTEN,
    ]


def hang_until(may_go_on: Event) -> LookupResult:
    def hang(handler: Handler) -> None:
        may_go_on.wait()
        hang_up(handler)

    return hang


def test_an_answer_that_does_not_come_is_not_waited_for_beyond_the_deadline(
    service: Service, sinks: MakeSink
) -> None:
    may_go_on = Event()
    service.script = [hang_until(may_go_on)]
    writing = sinks()
    ((disposition, _),) = writing.ends(row("a"), within_s=0.2)
    may_go_on.set()
    assert disposition is Disposition.RETRY
    assert service.timeouts_s[0] <= 0.2
    assert writing.ends(row("a")) == [WRITTEN]


@pytest.mark.parametrize("then", ["refused", "hung"])
def test_a_row_whose_time_runs_out_while_refusals_are_retried_says_what_was_refused(
    service: Service, sinks: MakeSink, then: str
) -> None:
    """`write_timeout` would not say that a quota is spent."""
    may_go_on = Event()
    quota = refusal(403, "rateLimitExceeded")
    service.script = [quota]
    service.otherwise = quota if then == "refused" else hang_until(may_go_on)
    writing = sinks()
    ((disposition, reason),) = writing.ends(row("a"), within_s=4.0)
    may_go_on.set()
    assert (disposition, reason) == (Disposition.RETRY, "bigquery_quota")


def test_a_refusal_from_before_a_row_came_says_nothing_about_its_timeout(
    service: Service, sinks: MakeSink
) -> None:
    may_go_on = Event()
    service.otherwise = refusal(403, "rateLimitExceeded")
    writing = sinks()
    assert writing.ends(row("a"), within_s=4.0) == [(Disposition.RETRY, "bigquery_quota")]
    service.otherwise = hang_until(may_go_on)
    ((_, reason),) = writing.ends(row("b"), within_s=0.5)
    may_go_on.set()
    assert reason in ("write_timeout", "bigquery_unavailable")


def test_one_attempt_does_not_take_all_of_a_long_deadline(service: Service, sinks: MakeSink) -> None:
    assert sinks().ends(row("a"), within_s=500.0) == [WRITTEN]
    assert service.timeouts_s == [ATTEMPT_TIMEOUT_S]


def test_an_outage_that_outlasts_the_deadline_is_transient_and_nothing_is_sent_after_it(
    service: Service, sinks: MakeSink
) -> None:
    service.otherwise = refusal(503, "backendError")
    writing = sinks()
    assert writing.ends(row("a"), within_s=0.3)[0][0] is Disposition.RETRY
    writing.go_on(0.1)  # what was sent just before the deadline may arrive a moment later
    sent = len(service.requests)
    writing.go_on(0.5)
    assert len(service.requests) == sent


@pytest.mark.parametrize("whose", ["ours", "official"])
def test_a_row_whose_deadline_passes_while_credentials_are_sought_is_not_sent(
    whose: str, service: Service
) -> None:
    may_go_on = Event()

    class SlowTokens(Tokens):
        async def atoken(self) -> AccessToken:
            await asyncio.to_thread(may_go_on.wait)
            return await super().atoken()

    def make_client() -> bigquery.Client:
        may_go_on.wait()
        return anonymous()

    writing = Writing(InsertAllClient(tokens=SlowTokens()) if whose == "ours" else official(make_client))
    with closing(writing):
        assert writing.ends(row("a"), within_s=0.05) == [(Disposition.RETRY, "write_timeout")]
        may_go_on.set()
        writing.go_on(0.05)
    assert service.requests == []


def test_a_write_whose_time_is_over_before_it_starts_is_transient(
    service: Service, sinks: MakeSink, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("enrichment.sink.group_commit.MAX_WRITE_S", 0.0)
    assert sinks().ends(row("a")) == [(Disposition.RETRY, "bigquery_unavailable")]
    assert service.requests == []


def saying(status: int, body: bytes) -> LookupResult:
    return lambda handler: handler.reply_with(status, body)


def errors_of(*reasons: str) -> bytes:
    return json.dumps(
        {"error": {"message": "no", "errors": [{"reason": reason} for reason in reasons]}}
    ).encode()


ANSWERS = {
    "a-bad-request": (400, errors_of("invalid")),
    "a-bad-request-of-the-back-end": (400, errors_of("backendError")),
    "a-bad-request-for-a-table-that-is-unavailable": (400, errors_of("tableUnavailable")),
    "a-bad-request-for-a-partition": (
        400,
        b'{"error": {"message": "The partition is outside the allowed bounds", "errors": [{"reason": "invalid"}]}}',
    ),
    "no-permission": (403, errors_of("accessDenied")),
    "a-spent-quota": (403, errors_of("quotaExceeded")),
    "a-rate": (403, errors_of("rateLimitExceeded")),
    "a-rate-among-others": (403, errors_of("accessDenied", "rateLimitExceeded")),
    "no-table": (404, errors_of("notFound")),
    "no-page": (404, b"<html>Not Found</html>"),
    "a-timeout": (408, b""),
    "a-conflict": (409, errors_of("duplicate")),
    "too-large": (413, b"<html>Request Entity Too Large</html>"),
    "too-many": (429, b""),
    "too-many-by-name": (429, errors_of("rateLimitExceeded")),
    "an-error-without-a-body": (500, b""),
    "an-internal-error": (500, errors_of("internalError")),
    "an-unknown-reason": (500, errors_of("somethingElse")),
    "not-implemented": (501, b""),
    "a-bad-gateway": (502, b"<html>502</html>"),
    "a-back-end-error": (503, errors_of("backendError")),
    "an-error-of-another-shape": (503, b'{"error": {"message": "no", "errors": []}}'),
    "a-gateway-timeout": (504, b""),
    "no-json": (200, b"<html>hello</html>"),
    "nothing-said": (200, b"{}"),
    "an-index-as-text": (200, b'{"insertErrors": [{"index": "0", "errors": [{"reason": "invalid"}]}]}'),
}


@pytest.mark.parametrize(("status", "body"), ANSWERS.values(), ids=ANSWERS)
def test_both_clients_conclude_the_same_from_an_answer(service: Service, status: int, body: bytes) -> None:
    found = []
    for client in (ours(), official()):
        service.script, service.requests = [saying(status, body)], []
        with closing(Writing(client)) as writing:
            found.append((writing.ends(row("a")), len(service.requests)))
    assert found[0] == found[1]


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (200, b"<html>hello</html>"),
        (200, b""),
        (200, b"[]"),
        (200, errors_of("accessDenied")),
        (200, b'{"insertErrors": "bad"}'),
        (200, b'{"insertErrors": {"index": 0}}'),
        (200, b'{"insertErrors": [{"errors": [{"reason": "invalid"}]}]}'),
        (200, b'{"insertErrors": [{"index": null, "errors": [{"reason": "invalid"}]}]}'),
        (200, b'{"insertErrors": [{"index": -1, "errors": [{"reason": "invalid"}]}]}'),
        (200, b'{"insertErrors": [{"index": 0}]}'),
        (200, b'{"insertErrors": [{"index": 0, "errors": ["invalid"]}]}'),
        (204, b""),
        (302, b""),
    ],
)
def test_an_answer_that_bigquery_does_not_give_acknowledges_no_row_and_is_named(
    service: Service, status: int, body: bytes
) -> None:
    service.script = [saying(status, body)] * 9
    with closing(Writing(ours())) as writing:
        (error,) = writing.write(row("a"))
    assert error is not None
    assert (error.disposition, error.reason) == (Disposition.RETRY, "bigquery_unavailable")
    assert "is none that BigQuery gives" in error.detail
    assert len(service.requests) == 1


def test_a_row_that_cannot_be_encoded_keeps_nothing_else_out(service: Service) -> None:
    with closing(Writing(ours())) as writing:
        ends = writing.ends(row("a"), row("b", type="\ud800"), row("c"))
    assert ends == [WRITTEN, (Disposition.FAULT, "unexpected_error"), WRITTEN]


def test_both_clients_send_the_same(service: Service) -> None:
    credentials = Credentials(token="token-0", quota_project_id="payer")

    def with_a_token() -> bigquery.Client:
        return bigquery.Client(project=PROJECT, credentials=credentials)

    rows = [
        row("plain"),
        row("Ünïcode \u2028 \x7f", event='{"é": "😀"}', type='"quoted"\\'),
        row("nested", order=[{"total": 1.5, "paid": True, "count": 2**53}]),
    ]
    for client in (ours(), official(with_a_token)):
        with closing(Writing(client)) as writing:
            assert writing.ends(*rows, within_s=500.0) == [WRITTEN] * 3
    (line, headers), (official_line, official_headers) = service.heads
    assert line == official_line
    for name in ("host", "content-type", "authorization", "x-goog-user-project", "x-server-timeout"):
        assert headers[name] == official_headers[name], name
    body, official_body = service.bodies
    assert json.loads(body) == json.loads(official_body)
    assert len(body) < len(official_body)


def test_a_token_that_is_refused_is_replaced_once_and_at_once(service: Service) -> None:
    tokens = Tokens()
    service.script = [refusal(401, "authError")]
    with closing(Writing(InsertAllClient(tokens=tokens))) as writing:
        assert writing.ends(row("a")) == [WRITTEN]
        service.otherwise = refusal(401, "authError")
        assert writing.ends(row("b")) == [(Disposition.FAULT, "bigquery_no_credentials")]
    sent = [headers["authorization"] for _, headers in service.heads]
    assert sent == ["Bearer token-0", "Bearer token-1", "Bearer token-1", "Bearer token-2"]


def test_warming_up_opens_the_connection_that_the_first_write_takes(service: Service) -> None:
    tokens = Tokens()
    with closing(Writing(InsertAllClient(tokens=tokens))) as writing:
        writing.warm_up()
        writing.warm_up()
        writing.go_on(0.05)
        assert tokens.asked == 1
        assert len(service.connections) == 1
        assert writing.ends(row("a")) == [WRITTEN]
    assert len(service.connections) == 1


def test_no_token_is_sent_in_plaintext_beyond_this_machines_network() -> None:
    """An emulator in a container has a name, which may lead anywhere: it gets requests, and no token."""
    tokens = Tokens()
    with closing(Writing(InsertAllClient("http://bigquery.invalid:9050", tokens))) as writing:
        ((disposition, reason),) = writing.ends(row("a"), within_s=0.2)
    assert (disposition, reason) in (
        (Disposition.RETRY, "bigquery_unavailable"),
        (Disposition.RETRY, "write_timeout"),
    )
    assert tokens.asked == 0


def test_neither_an_error_nor_its_frames_hold_the_token(service: Service) -> None:
    service.script, service.otherwise = [refusal(403, "accessDenied")], hang_up
    with closing(Writing(InsertAllClient(tokens=Tokens()))) as writing:
        errors = [*writing.write(row("a")), *writing.write(row("b"), within_s=0.05)]
        assert "token-0" not in repr(vars(writing.client))
    for error in errors:
        assert error is not None
        seen: BaseException | None = error
        while seen is not None:
            assert "token-0" not in "".join(
                TracebackException.from_exception(seen, capture_locals=True).format()
            )
            seen = seen.__cause__ or seen.__context__
