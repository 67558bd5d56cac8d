"""A row that BigQuery refuses because the table has changed is kept: a value of the declared type is no bad event."""

import json
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

import pytest
from enrichment.errors import Disposition
from enrichment.settings import table_file
from enrichment.settings.model import TableField
from enrichment.sink.base import RowWriter
from enrichment.sink.insert_all import InsertAllClient
from enrichment.sink.table_columns import differences
from google.cloud import bigquery

from .conftest import FUNCTION, PROJECT, TABLE, Tables
from .writing import WRITTEN, Tokens, Writing, official, ours, row

FIELDS = table_file.read(FUNCTION / "enrichment" / "table.json", []) or {}
MISMATCH = (Disposition.FAULT, "bigquery_schema_mismatch")
INVALID = (Disposition.DEAD_LETTERED, "row_invalid")


def field(name: str, type_: str = "STRING", **more: Any) -> TableField:  # noqa: ANN401
    return TableField(name, type_, **more)


@pytest.mark.parametrize(
    ("real", "said"),
    [
        pytest.param(field("plan"), "", id="alike"),
        pytest.param(field("PLAN"), "", id="case"),
        pytest.param(field("plan", required=True), "", id="required"),
        pytest.param(field("plan", "INTEGER"), "plan is INTEGER in the table and STRING in table.json", id="type"),
        pytest.param(field("plan", repeated=True), "plan is ARRAY<STRING> in the table", id="mode"),
        pytest.param(field("plan", max_length=3), "plan is STRING(3) in the table and STRING in", id="length"),
        pytest.param(field("other"), "the table has no column plan", id="gone"),
    ],
)  # fmt: skip
def test_a_column_that_differs_is_named_with_both_of_its_types(real: TableField, said: str) -> None:
    found = differences([field("plan")], [real, field("further", "INTEGER", required=True)])
    assert list(found) == (["plan"] if said else [])
    assert found.get("plan", "").startswith(said)


def test_a_limit_that_only_table_json_has_refuses_no_row() -> None:
    assert differences([field("plan", max_length=3)], [field("plan")]) == {}
    limited = [field("price", "NUMERIC", max_length=5, scale=2)]
    assert differences(limited, [field("price", "NUMERIC", max_length=4, scale=1)]) == {
        "price": "price is NUMERIC(4, 1) in the table and NUMERIC(5, 2) in table.json"
    }


def test_a_field_of_a_record_that_differs_blames_the_column_and_is_named() -> None:
    def order(inner: str) -> TableField:
        lines = field("lines", "RECORD", repeated=True, fields=(field("sku", inner), field("note")))
        return field("order", "RECORD", fields=(lines,))

    assert differences([order("STRING")], [order("STRING")]) == {}
    assert differences([order("STRING")], [order("DATE")]) == {
        "order": "order.lines.sku is DATE in the table and STRING in table.json"
    }


@pytest.fixture(params=[ours, official], ids=["ours", "official"])
def writing(request: pytest.FixtureRequest) -> Iterator[Callable[[str], Writing]]:
    """Makes sinks that know what table.json says, over our client and over the official one."""
    yield from sinks(request.param)


def sinks(make_client: Callable[[], RowWriter]) -> Iterator[Callable[[str], Writing]]:
    made: list[Writing] = []

    def make(table: str) -> Writing:
        made.append(Writing(make_client(), table, columns=tuple(FIELDS.values())))
        return made[-1]

    yield make
    for one in made:
        one.close()


def make_table(tables: Tables, name: str, **changed: str) -> str:
    """Make a table as table.json has it, with other types of some columns."""
    table = f"{PROJECT}.events.{name}"
    tables.client.delete_table(table, not_found_ok=True)
    columns = [
        bigquery.SchemaField.from_api_repr({**column, "type": changed.get(column["name"], column["type"])})
        for column in json.loads((FUNCTION / "enrichment" / "table.json").read_text())
    ]
    tables.client.create_table(bigquery.Table(table, schema=columns))
    return table


@pytest.mark.parametrize(
    ("column", "type_"),
    [(column, type_) for column in ("type", "occurred_at") for type_ in ("INTEGER", "DATE", "BOOLEAN", "BYTES")],
)  # fmt: skip
def test_a_column_of_another_type_is_our_fault_and_all_is_well_once_it_is_corrected(
    tables: Tables, writing: Callable[[str], Writing], column: str, type_: str
) -> None:
    table = make_table(tables, "retyped", **{column: type_})
    sink = writing(table)
    good = row(f"e-{column}-{type_}", type="order.placed")
    (error,) = sink.write(good)
    assert error is not None
    assert (error.disposition, error.reason) == MISMATCH
    assert f"{column} is {type_} in the table and {FIELDS[column].type} in table.json" in error.detail
    assert table in error.detail
    assert "order.placed" not in error.detail
    make_table(tables, "retyped")
    assert sink.ends(good) == [WRITTEN]


def test_a_bad_row_is_dead_lettered_where_the_table_is_as_declared(
    tables: Tables, writing: Callable[[str], Writing]
) -> None:
    sink = writing(make_table(tables, "as-declared"))
    assert sink.ends(row("good"), row("bad", occurred_at="never")) == [WRITTEN, INVALID]


def test_a_column_that_differs_elsewhere_does_not_excuse_a_bad_row(
    tables: Tables, writing: Callable[[str], Writing]
) -> None:
    sink = writing(make_table(tables, "elsewhere", user_id="JSON", trace_id="STRING"))
    assert sink.ends(row("bad", user_id="1", occurred_at="never")) == [INVALID]


class _Service(BaseHTTPRequestHandler):
    """Refuse each row as BigQuery does, and answer the question for the columns as the test says."""

    protocol_version = "HTTP/1.1"
    status = 200
    body = b""

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["content-length"]))
        said = {"reason": "invalid", "location": "type", "message": "Cannot convert value to integer"}
        self.respond(200, json.dumps({"insertErrors": [{"index": 0, "errors": [said]}]}).encode())

    def do_GET(self) -> None:
        self.respond(self.status, self.body)

    def respond(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


def refusal(reason: str) -> bytes:
    errors = [{"reason": reason, "message": "no"}]
    return json.dumps({"error": {"code": 0, "message": "no", "errors": errors}}).encode()


@pytest.mark.parametrize(
    ("status", "body", "ends"),
    [
        pytest.param(403, refusal("accessDenied"), INVALID, id="not-allowed-to-read"),
        pytest.param(403, refusal("rateLimitExceeded"), (Disposition.RETRY, "bigquery_unavailable"), id="quota"),
        pytest.param(503, refusal("backendError"), (Disposition.RETRY, "bigquery_unavailable"), id="unavailable"),
        pytest.param(200, b"<html>", (Disposition.RETRY, "bigquery_unavailable"), id="no-json"),
        pytest.param(200, b"{}", (Disposition.RETRY, "bigquery_unavailable"), id="no-schema"),
    ],
)  # fmt: skip
def test_no_event_is_dead_lettered_while_the_columns_cannot_be_read_for_now(
    monkeypatch: pytest.MonkeyPatch, status: int, body: bytes, ends: tuple[Disposition, str]
) -> None:
    handler = type("Service", (_Service,), {"status": status, "body": body})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    monkeypatch.setenv("BIGQUERY_EMULATOR_HOST", f"http://127.0.0.1:{server.server_port}")
    try:
        sink = Writing(InsertAllClient(tokens=Tokens()), TABLE, columns=tuple(FIELDS.values()))
        assert sink.ends(row("a")) == [ends]
        sink.close()
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
