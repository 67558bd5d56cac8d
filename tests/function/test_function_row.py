"""The row an event becomes, and the one definition of its table."""

import json
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from functools import partial
from typing import Any

import msgspec
import pytest
from enrichment import row
from enrichment.errors import BadEventError, Stage
from enrichment.event import Document, Event, scope_of
from enrichment.event.message import Message
from enrichment.expressions import compile_expression
from enrichment.lookup.profile import Profile
from enrichment.row import Row
from enrichment.settings import pipeline_file
from enrichment.settings.model import Column, ColumnOptions, TableField
from enrichment.sink.insert_all import request_body
from google.cloud import bigquery
from hypothesis import example, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from .conftest import FUNCTION, PROJECT, Tables

NOW = datetime(2026, 3, 1, 12, 0, 1, tzinfo=UTC)
DOCUMENT = {"event_id": "e-1", "order": {"total": 12.5, "items": [], "none": None}, "n": 7}
EVENT = Event(
    "e-1",
    {"event_id": "e-1", "user_id": "u-1", "type": "t", "occurred_at": datetime(2026, 3, 1, 11, tzinfo=UTC)},
    DOCUMENT,
    '{"event_id" : "e-1"}',
)
PROFILE = Profile('{"user_id" : "u-1"}', {"user_id": "u-1", "plan": "pro", "address": {"city": "Ulm"}})
MESSAGE = Message(b"", {"source": "web", "a.b": "dotted"}, "m-1", datetime(2026, 3, 1, 12, tzinfo=UTC))
TABLE = FUNCTION / "enrichment" / "table.json"


def shipped() -> tuple[Column, ...]:
    return pipeline_file.read(FUNCTION / "pipeline.toml", TABLE).columns


def column(source: str, kind: str = "STRING", **more: Any) -> Column:  # noqa: ANN401 - Column's own
    expression = compile_expression(source, ("event", "profile", "message", "trace", "now"))
    return Column("c", kind, more.pop("repeated", False), more.pop("required", False), expression, **more)


def build(*columns: Column, event: Event = EVENT, profile: Profile | None = PROFILE) -> Row:
    joined = {"profile": profile.document if profile else None, "trace": {"id": "t" * 32}, "now": NOW}
    of_event = scope_of(MESSAGE, Document(dict(event.document), event.text), event.values)
    scope = of_event.extended(joined, {"profile": profile.text} if profile else {})
    return row.build(columns, event.event_id, scope)


def value(source: str, kind: str = "STRING", **more: Any) -> object:  # noqa: ANN401 - Column's own
    """What a column gets; `"left out"` where it gets nothing."""
    return build(column(source, kind, **more)).columns.get("c", "left out")


def refused(act: Callable[[], object]) -> BadEventError:
    with pytest.raises(BadEventError) as caught:
        act()
    assert caught.value.stage is Stage.ROW
    return caught.value


def test_the_shipped_pipeline_fills_the_columns_of_the_table_and_no_others() -> None:
    fields = [field["name"] for field in json.loads(TABLE.read_text())]
    assert build(*shipped()).columns == {
        "event_id": "e-1",
        "user_id": "u-1",
        "type": "t",
        "occurred_at": "2026-03-01T11:00:00Z",
        "event": EVENT.text,
        "profile": PROFILE.text,
        "message_id": "m-1",
        "publish_time": "2026-03-01T12:00:00Z",
        "enriched_at": "2026-03-01T12:00:01Z",
        "trace_id": "t" * 32,
    }
    assert list(build(*shipped()).columns) == fields


def test_a_row_carries_the_event_id_as_its_insert_id() -> None:
    assert build().insert_id == "e-1"


def test_every_column_says_what_it_means_and_the_server_clock_chooses_the_partition() -> None:
    assert all(field["description"] and field["mode"] for field in json.loads(TABLE.read_text()))
    table = json.loads(TABLE.with_name("table_layout.json").read_text())
    assert table["timePartitioning"] == {"type": "DAY", "field": "publish_time"}
    assert table["clustering"] == {"fields": ["user_id"]}


@pytest.mark.parametrize(
    ("source", "kind", "expected"),
    [
        ("event", "JSON", EVENT.text),
        ("event", "STRING", EVENT.text),
        ("profile", "JSON", PROFILE.text),
        ("event.order", "JSON", '{"total":12.5,"items":[],"none":null}'),
        ("event.order.items", "JSON", "[]"),
        ("event.order.total", "FLOAT", 12.5),
        ("event.occurred_at", "STRING", "2026-03-01T11:00:00Z"),
        ("event.occurred_at", "JSON", '"2026-03-01T11:00:00Z"'),
        ("profile.plan", "STRING", "pro"),
        ("profile.address.city", "STRING", "Ulm"),
        ("message.attributes.source", "STRING", "web"),
        ("message.attributes.a.b", "STRING", "dotted"),
        ("trace.id", "STRING", "t" * 32),
        ("now", "TIMESTAMP", "2026-03-01T12:00:01Z"),
        ("event.order.none", "STRING", "left out"),
        ("event.nothing.there", "STRING", "left out"),
        ("profile.nothing", "JSON", "left out"),
        ("message.attributes.nothing", "STRING", "left out"),
        ("message.ordering_key", "STRING", "left out"),
    ],
)
def test_a_column_gets_what_its_source_names(source: str, kind: str, expected: object) -> None:
    assert value(source, kind) == expected


def test_a_column_without_a_value_gets_its_default() -> None:
    assert value("profile.nothing", default="free") == "free"
    assert value("event.order.items", "STRING", repeated=True, default=["none"]) == ["none"]


def test_a_row_without_a_profile_leaves_its_columns_out_or_fills_in_their_defaults() -> None:
    whole, plan = column("profile", "JSON"), replace(column("profile.plan", default="free"), name="plan")
    assert build(whole, plan, profile=None).columns == {"plan": "free"}


def test_what_stands_inside_of_a_declared_field_is_found_in_its_default() -> None:
    event = replace(EVENT, values={**EVENT.values, "delivery": {"kind": "none"}})
    assert build(column("event.delivery.kind"), event=event).columns == {"c": "none"}


def test_a_required_column_without_a_value_is_the_events_fault_and_named() -> None:
    error = refused(lambda: value("message.attributes.nothing", required=True))
    assert error.reason == "column_missing"
    assert error.detail == "column c is required, and there is no message.attributes.nothing"


def document_with(found: object) -> Event:
    return replace(EVENT, document={"x": found})


BAD = "4111-1111"
# https://cloud.google.com/bigquery/docs/reference/standard-sql/data-types#decimal_types
BIGNUMERIC_MAX = "578960446186580977117854925043439539266.34992332820282019728792003956564819967"


@pytest.mark.parametrize(
    ("kind", "values"),
    [
        ("STRING", [True, [BAD], {BAD: 1}]),
        ("INTEGER", [BAD, 1.5, True, 2**63, -(2**63) - 1, "9" * 19, [1], "1.0", "\u0661"]),
        ("FLOAT", [BAD, True, [], "1e999", "0x1", "1_0", 10**399, -(10**399)]),
        ("NUMERIC", [BAD, 0.1 + 0.2, "1e29", "-1e29", "1e9999", True, "nan", "0." + "1" * 10, []]),
        (
            "BIGNUMERIC",
            [BAD, "1e39", "1e-39", True, BIGNUMERIC_MAX[:-1] + "8", "-" + BIGNUMERIC_MAX[:-1] + "9"],
        ),
        ("BOOLEAN", [BAD, 1, 0, "yes", []]),
        (
            "TIMESTAMP",
            [
                BAD,
                "2026-02-30",
                "2026-01-01T25:00:00Z",
                "2026-01-01T00:00:00+15:00",
                "2026-01-01T00:00:00+05:60",
                1e12,
                True,
                "20260301",
            ],
        ),
        ("DATE", [BAD, "2026-02-30", "2026-03-01T00:00:00", 20260301]),
        ("DATETIME", [BAD, "2026-03-01T00:00:00Z", "2026-03-01 24:00:00"]),
        ("TIME", [BAD, "24:00", "12", 12]),
        ("BYTES", [BAD, "YQ", "YQ=", "Y Q==", 1]),
        ("GEOGRAPHY", ["", 1, {"kind": "Point"}, ["Point"]]),
        ("RECORD", [BAD, [{}], {"kind": BAD, "other": 1}, {"count": BAD, "kind": "a"}, {"count": 1}]),
    ],
)
def test_a_value_that_does_not_fit_its_column_stops_its_own_event_and_is_not_quoted(
    kind: str, values: list[object]
) -> None:
    fields = (TableField("kind", "STRING", required=True), TableField("count", "INTEGER"))
    for found in values:
        event = document_with(found)
        error = refused(partial(build, column("event.x", kind, fields=fields), event=event))
        assert error.reason == "column_invalid"
        assert error.detail.startswith(f"column c has the type {kind}: event.x ")
        assert BAD not in error.detail


@pytest.mark.parametrize("found", ["a", {"a": 1}, [None], [["a"]]])
def test_a_repeated_column_takes_lists_without_gaps_alone(found: object) -> None:
    error = refused(lambda: build(column("event.x", repeated=True), event=document_with(found)))
    assert error.reason == "column_invalid"


def test_a_path_that_leads_through_what_is_no_object_finds_nothing() -> None:
    assert build(column("event.x.y"), event=document_with(BAD)).columns == {}
    assert (
        refused(lambda: build(column("event.x.y", required=True), event=document_with(BAD))).reason
        == "column_missing"
    )


SCHEMA: list[dict[str, Any]] = [
    {"name": "n", "type": "INTEGER", "mode": "REQUIRED"},
    {"name": "STRING", "type": "STRING"},
    {"name": "INTEGER", "type": "INTEGER"},
    {"name": "FLOAT", "type": "FLOAT"},
    {"name": "NUMERIC", "type": "NUMERIC"},
    {"name": "BOOLEAN", "type": "BOOLEAN"},
    {"name": "TIMESTAMP", "type": "TIMESTAMP"},
    {"name": "DATE", "type": "DATE"},
    {"name": "DATETIME", "type": "DATETIME"},
    {"name": "TIME", "type": "TIME"},
    {"name": "BYTES", "type": "BYTES"},
    {"name": "JSON", "type": "JSON"},
]
_ANYTHING = st.recursive(
    st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(codec="utf-8"), max_size=8)
    | st.from_regex(r"\A-?\d{1,20}(\.\d{1,12})?([eE][+-]?\d{1,3})?\Z")
    | st.from_regex(
        r"\A\d{4}-\d\d?-\d\d?([ T]\d\d?:\d\d?(:\d\d?(\.\d{1,6})?)?( ?(Z|UTC|[+-]\d\d?(:\d\d)?))?)?\Z"
    )
    | st.sampled_from(["NaN", "-inf", "TRUE", "1.", ".5", "YQ==", "12:30", "2026-3-1", "2026-03-01 12:30"])
    | st.datetimes().map(str)
    | st.times().map(str),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=2), inner, max_size=2),
    max_leaves=4,
)


def test_whatever_passes_is_taken_by_the_table(tables: Tables) -> None:
    """One request for all, since one bad value would stop it whole."""
    reference = {"projectId": PROJECT, "datasetId": "events", "tableId": "every_type"}
    table = tables.client.create_table(
        bigquery.Table.from_api_repr({"schema": {"fields": SCHEMA}, "tableReference": reference})
    )
    rows: list[dict[str, Any]] = []

    @example("2026-3-1")
    @example("2026-03-01 1:2:3.4")
    @example("2026-03-01T12:30:00.123456789+14:00")
    @example("0001-01-01T00:00:00Z")
    @example("9999-12-31T23:59:59.999999Z")
    @example("12:30")
    @example("YQ==")
    @example("-12345678901234567890123456789.123456789")
    @example(1e15)
    @example(True)
    @given(_ANYTHING)
    @settings(deadline=None)
    def collect(found: object) -> None:
        for field in SCHEMA[1:]:
            kind = field["type"]
            with suppress(BadEventError):
                built = build(replace(column("event.x", kind), name=kind), event=document_with(found))
                rows.append({"n": len(rows), **built.columns})

    collect()
    assert {kind for row in rows for kind in row} == {field["name"] for field in SCHEMA}
    errors = tables.client.insert_rows_json(table, rows, row_ids=[str(row["n"]) for row in rows])
    assert [(rows[e["index"]], e["errors"]) for e in errors if e["errors"][0]["reason"] != "stopped"] == []
    assert errors == []
    tables.client.delete_table(table)


@pytest.mark.parametrize(
    ("kind", "found", "written"),
    [
        ("STRING", 1.0, "1.0"),
        ("STRING", 2**64 - 1, str(2**64 - 1)),
        ("INTEGER", 2**63 - 1, str(2**63 - 1)),
        ("INTEGER", 5.0, "5"),
        ("FLOAT", "-Infinity", "-Infinity"),
        ("NUMERIC", 0.1, "0.1"),
        ("NUMERIC", "12345678901234567890123456789.123456789", "12345678901234567890123456789.123456789"),
        ("NUMERIC", "1e-9", "0.000000001"),
        ("NUMERIC", "1.000000000000", "1"),
        ("BIGNUMERIC", "1e-38", "0." + "0" * 37 + "1"),
        ("BIGNUMERIC", BIGNUMERIC_MAX, BIGNUMERIC_MAX),
        ("BIGNUMERIC", "-" + BIGNUMERIC_MAX[:-1] + "8", "-" + BIGNUMERIC_MAX[:-1] + "8"),
        ("BIGNUMERIC", "123456789012345678901234567890123456789", "123456789012345678901234567890123456789"),
        ("BOOLEAN", "TRUE", True),
        ("TIMESTAMP", 1_700_000_000.5, "2023-11-14T22:13:20.500000Z"),
        ("TIMESTAMP", "2026-3-1 1:02:03.5 +02", "2026-02-28T23:02:03.500000Z"),
        ("TIMESTAMP", "2026/03/01", "2026-03-01T00:00:00Z"),
        ("DATE", "2026-3-1", "2026-03-01"),
        ("DATETIME", "2026-03-01 1:02:03", "2026-03-01T01:02:03"),
        ("TIME", "1:2", "01:02:00"),
        ("GEOGRAPHY", "POINT(1 2)", "POINT(1 2)"),
        ("GEOGRAPHY", {"type": "Point", "coordinates": [1, 2]}, '{"type":"Point","coordinates":[1,2]}'),
        ("JSON", "a", '"a"'),
        ("JSON", False, "false"),
    ],
)
def test_a_value_is_written_so_that_nothing_of_it_is_lost(kind: str, found: object, written: object) -> None:
    assert build(column("event.x", kind), event=document_with(found)).columns == {"c": written}


def test_a_record_is_written_field_by_field_and_what_it_lacks_is_left_out() -> None:
    fields = (
        TableField("kind", "STRING", required=True),
        TableField("count", "INTEGER"),
        TableField("tags", "STRING", repeated=True),
        TableField("extra", "JSON"),
    )
    found: dict[str, object] = {"kind": "a", "count": None, "tags": [], "extra": {"b": 1}}
    assert build(column("event.x", "RECORD", fields=fields), event=document_with(found)).columns == {
        "c": {"kind": "a", "extra": '{"b":1}'}
    }


@given(
    st.text(st.characters(codec="utf-8")),
    st.lists(st.text(st.characters(codec="utf-8"), max_size=5), max_size=5),
)
def test_a_row_takes_in_a_request_what_it_says(text: str, tags: list[str]) -> None:
    many = replace(column("event.x.tags", "JSON", repeated=True), name="tags")
    built = build(column("event.x.text"), many, event=document_with({"text": text, "tags": tags}))
    assert len(request_body([built, built])) - len(request_body([built])) == built.size_bytes


@pytest.mark.parametrize("character", ["a", '"', "é", ",", "😀"])
def test_a_row_is_refused_by_its_bytes_in_utf_8(character: str) -> None:
    def of_length(length: int) -> Row:
        return build(*shipped(), event=replace(EVENT, text=character * length))

    on_the_wire = len(msgspec.json.encode(character)) - 2
    fits = (row.MAX_ROW_BYTES - 2_000) // on_the_wire
    assert len(request_body([of_length(fits)])) < row.MAX_ROW_BYTES
    assert refused(lambda: of_length(fits + 2_000)).reason == "row_too_large"


def test_4_mb_of_accented_characters_are_8_mb_and_fit() -> None:
    build(*shipped(), event=replace(EVENT, text="é" * 4_000_000))


MS, ROUND, IGNORE = (
    ColumnOptions(unit="ms"),
    ColumnOptions(rounds=True),
    ColumnOptions(ignores_unknown_fields=True),
)


@pytest.mark.parametrize(
    ("kind", "found", "options", "written"),
    [
        ("TIMESTAMP", 250000000000, MS, "1977-12-03T12:26:40Z"),
        ("TIMESTAMP", "250000000000", MS, "1977-12-03T12:26:40Z"),
        ("TIMESTAMP", "2026-03-01T12:00:00Z", MS, "2026-03-01T12:00:00Z"),
        ("TIMESTAMP", 250000000000, ColumnOptions(unit="s"), "9892-03-08T12:26:40Z"),
        ("TIMESTAMP", 10_000_000_000, ColumnOptions(), "2286-11-20T17:46:40Z"),
        ("TIMESTAMP", "2026-12-31T23:59:59.999999999Z", ColumnOptions(), "2026-12-31T23:59:59.999999Z"),
        ("TIMESTAMP", "1355517523.000005", ColumnOptions(unit="s"), "2012-12-14T20:38:43.000005Z"),
        ("TIMESTAMP", "1700000000123456789", ColumnOptions(unit="ns"), "2023-11-14T22:13:20.123456Z"),
        ("DATE", 19_000, ColumnOptions(unit="d"), "2022-01-08"),
        ("TIME", 43_200_500_000, ColumnOptions(unit="us"), "12:00:00.500000"),
        ("TIME", "43200000", MS, "12:00:00"),
        ("TIME", "12:00:00", MS, "12:00:00"),
        ("DATE", 250000000000, MS, "1977-12-03"),
        ("DATE", "2026-03-01T23:30:00-01:00", MS, "2026-03-02"),
        ("DATETIME", 250000000000, MS, "1977-12-03T12:26:40"),
        ("NUMERIC", "1.1234567891", ROUND, "1.123456789"),
        ("NUMERIC", 0.0000000005, ROUND, "0.000000001"),
        ("NUMERIC", "-0.0000000005", ROUND, "-0.000000001"),
        ("BIGNUMERIC", "1e-39", ROUND, "0"),
        ("NUMERIC", "-1e-10", ROUND, "0"),
        ("RECORD", {"kind": "a", "more": 1}, IGNORE, {"kind": "a"}),
    ],
)
def test_the_file_can_say_how_a_value_is_read(
    kind: str, found: object, options: ColumnOptions, written: object
) -> None:
    fields = (TableField("kind", "STRING"),)
    made = build(column("event.x", kind, options=options, fields=fields), event=document_with(found))
    assert made.columns == {"c": written}


@pytest.mark.parametrize(
    ("kind", "found", "advice"),
    [
        ("TIMESTAMP", 250000000000, 'looks like milliseconds since 1970: set unit = "ms"'),
        ("TIMESTAMP", -250000000000, 'set unit = "ms"'),
        ("TIMESTAMP", 1_700_000_000_000_000, 'looks like microseconds since 1970: set unit = "us"'),
        ("TIMESTAMP", 1_700_000_000_000_000_000, 'looks like nanoseconds since 1970: set unit = "ns"'),
        (
            "TIMESTAMP",
            "1355517523.000005",
            'number in a text, and looks like seconds since 1970: set unit = "s"',
        ),
        ("TIMESTAMP", "1700000000123456789", 'looks like nanoseconds since 1970: set unit = "ns"'),
        ("TIMESTAMP", "1e9999", "looks like nanoseconds"),
        ("TIMESTAMP", "Sun, 01 Mar 2026 12:00:00 GMT", "parse_time() reads other forms"),
        ("NUMERIC", "1.1234567891", "set round = true to round it"),
        (
            "STRING",
            {"a": 1},
            "is an object: to write it as JSON text, put to_string()",
        ),
        ("STRING", [1], "and is a list"),
        (
            "RECORD",
            {"kind": 1, "more": 1},
            'has the field "more", which the record in the table does not have',
        ),
        ("RECORD", {"b\n": 1, "a": 1}, 'has the field "a" and 1 more fields'),
        ("RECORD", {"x" * 300: 1}, f'has the field "{"x" * 80}", which'),
        ("DATE", "2026-03-01T00:00:00Z", "date() makes it of a time"),
        ("DATE", 1_700_000_000, "unit of a number"),
        ("DATE", "20260301", "date(parse_time()) of other forms"),
        ("TIME", 43_200, "with unit a number since midnight"),
        ("DATETIME", "2026-03-01T00:00:00Z", "with unit, other times are taken in UTC"),
    ],
)
def test_a_refusal_says_what_to_set(kind: str, found: object, advice: str) -> None:
    made = column("event.x", kind, fields=(TableField("kind", "STRING"),))
    assert advice in refused(lambda: build(made, event=document_with(found))).detail


def test_a_number_beyond_its_units_years_says_which_unit_that_was() -> None:
    made = column("event.x", "TIMESTAMP", options=ColumnOptions(unit="us"))
    said = refused(lambda: build(made, event=document_with(1_700_000_000_000_000_000))).detail
    assert "is none as microseconds since 1970" in said
    made = column("event.x", "TIME", options=ColumnOptions(unit="s"))
    assert "since midnight" in refused(lambda: build(made, event=document_with(86_400))).detail
    made = column("event.x", "DATE", options=ColumnOptions(unit="d"))
    said = refused(lambda: build(made, event=document_with(1_700_000_000))).detail
    assert "is none as days since 1970" in said


@pytest.mark.parametrize(
    ("found", "options", "written"),
    [
        ("999.99", ColumnOptions(), "999.99"),
        (-999.99, ColumnOptions(), "-999.99"),
        ("1.255", ROUND, "1.26"),
        ("1.255", ColumnOptions(), "more than the 2 digits after the point"),
        ("999.995", ROUND, "at most 3 digits before the point, as the column has"),
        (1000, ColumnOptions(), "at most 3 digits before the point"),
    ],
)
def test_a_number_has_the_digits_of_its_column(found: object, options: ColumnOptions, written: str) -> None:
    made = Column("c", "NUMERIC", False, False, column("event.x").expression, None, (), options, 5, 2)
    event = document_with(found)
    if written[-1].isdigit():
        assert build(made, event=event).columns == {"c": written}
    else:
        assert written in refused(lambda: build(made, event=event)).detail


def test_a_list_with_null_says_how_to_drop_it() -> None:
    error = refused(lambda: build(column("event.x", repeated=True), event=document_with(["a", None])))
    assert "has null in its list, which BigQuery takes in none: add [] to drop nulls" in error.detail
    assert build(column("event.x[]", repeated=True), event=document_with(["a", None])).columns == {"c": ["a"]}


def test_a_column_takes_an_expression_and_one_that_fails_is_the_events_fault() -> None:
    found = {"lines": [{"sku": "a", "n": 1}, {"sku": None}], "at": "2026-03-01T23:00:00-02:00"}
    event = document_with(found)
    lines = (TableField("code", "STRING"), TableField("count", "INTEGER"))
    assert build(
        column("event.x.lines[].{code: sku, count: n}", "RECORD", repeated=True, fields=lines), event=event
    ).columns == {"c": [{"code": "a", "count": "1"}, {}]}
    assert build(column("date(event.x.at)", "DATE"), event=event).columns == {"c": "2026-03-02"}
    assert build(column("message.attributes", "JSON"), event=event).columns == {
        "c": '{"source":"web","a.b":"dotted"}'
    }
    error = refused(lambda: build(column("date(event.x.lines)", "DATE"), event=event))
    assert error.reason == "column_invalid"
    assert error.detail == (
        "column c has the type DATE: date(event.x.lines) calls date() with array as text, which must be string"
    )


def test_a_constant_is_written_as_it_is() -> None:
    constant = Column("c", "STRING", False, False, None, "web")
    assert build(constant).columns == {"c": "web"}
