"""Which values each type takes, and that what is taken comes back as the same value."""

from __future__ import annotations

import base64
import datetime
import json
import math
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest
from google.cloud import bigquery as client_library
from hypothesis import given, settings
from hypothesis import strategies as st
from meshlab.cloud import bigquery
from meshlab.cloud.bigquery.cell_values import BadValueError, convert

from tests.lab.cloud.bigquery_client import connect

if TYPE_CHECKING:
    from collections.abc import Iterator

    from google.cloud.bigquery import Client

UTC = datetime.UTC
TYPES = [
    "STRING",
    "BYTES",
    "INTEGER",
    "FLOAT",
    "NUMERIC",
    "BOOLEAN",
    "TIMESTAMP",
    "DATE",
    "TIME",
    "DATETIME",
    "JSON",
]


@pytest.fixture(scope="module")
def client() -> Iterator[Client]:
    with bigquery.running() as host, connect(host) as client:
        client.create_dataset("d")
        yield client


@pytest.fixture(scope="module")
def table(client: Client) -> client_library.Table:
    fields = [client_library.SchemaField(kind, kind) for kind in TYPES]
    nested = client_library.SchemaField("nested", "RECORD", "REPEATED", fields=fields)
    return client.create_table(client_library.Table("p.d.t", schema=[*fields, nested]))


TAKEN: list[tuple[str, Any, Any]] = [
    ("STRING", "zoë 用户 \U0001f600 \x00 \"'\\", "zoë 用户 \U0001f600 \x00 \"'\\"),
    ("STRING", "", ""),
    ("STRING", 12, "12"),
    ("STRING", 1.5, "1.5"),
    ("BYTES", "AAEC/w==", b"\x00\x01\x02\xff"),
    ("BYTES", "_-8=", b"\xff\xef"),
    ("BYTES", base64.b64encode(b"\\x41").decode(), b"\\x41"),
    ("INTEGER", 5, 5),
    ("INTEGER", "-9223372036854775808", -(2**63)),
    ("INTEGER", 9223372036854775807, 2**63 - 1),
    ("INTEGER", 7.0, 7),
    ("FLOAT", 1, 1.0),
    ("FLOAT", "1e3", 1000.0),
    ("FLOAT", 0.1, 0.1),
    ("FLOAT", "-Infinity", -math.inf),
    (
        "NUMERIC",
        "12345678901234567890123456789.123456789",
        Decimal("12345678901234567890123456789.123456789"),
    ),
    *(("NUMERIC", limit, Decimal(limit)) for limit in (f"{'9' * 29}.{'9' * 9}", f"-{'9' * 29}.{'9' * 9}")),
    ("NUMERIC", 1.1, Decimal("1.1")),
    ("NUMERIC", "1e3", Decimal(1000)),
    ("NUMERIC", "1.50000000000", Decimal("1.5")),
    ("BOOLEAN", True, True),
    ("BOOLEAN", "FALSE", False),
    ("TIMESTAMP", "2024-01-02T03:04:05.678901Z", datetime.datetime(2024, 1, 2, 3, 4, 5, 678901, UTC)),
    ("TIMESTAMP", "2024-01-02 03:04:05 UTC", datetime.datetime(2024, 1, 2, 3, 4, 5, tzinfo=UTC)),
    ("TIMESTAMP", "2024-01-02 03:04:05+05:30", datetime.datetime(2024, 1, 1, 21, 34, 5, tzinfo=UTC)),
    ("TIMESTAMP", "2024-01-02", datetime.datetime(2024, 1, 2, tzinfo=UTC)),
    ("TIMESTAMP", 1700000000, datetime.datetime(2023, 11, 14, 22, 13, 20, tzinfo=UTC)),
    ("TIMESTAMP", 1700000000.123456, datetime.datetime(2023, 11, 14, 22, 13, 20, 123456, UTC)),
    ("TIMESTAMP", "0001-01-01T00:00:00Z", datetime.datetime(1, 1, 1, tzinfo=UTC)),
    ("TIMESTAMP", "9999-12-31T23:59:59.999999Z", datetime.datetime(9999, 12, 31, 23, 59, 59, 999999, UTC)),
    ("DATE", "2024-2-29", datetime.date(2024, 2, 29)),
    ("TIME", "23:59:59.5", datetime.time(23, 59, 59, 500000)),
    ("DATETIME", "2024-01-02 03:04:05.6", datetime.datetime(2024, 1, 2, 3, 4, 5, 600000)),  # noqa: DTZ001
    ("JSON", '{"b": [1, null, "é"], "a": 1.5}', {"b": [1, None, "é"], "a": 1.5}),
    ("JSON", '"text"', "text"),
    ("JSON", "null", None),
    ("JSON", 5, 5),
]


@pytest.mark.parametrize(("kind", "sent", "read"), TAKEN)
def test_a_value_that_is_taken_comes_back_from_the_table_and_from_a_query(
    client: Client, table: client_library.Table, kind: str, sent: object, read: object
) -> None:
    client.delete_table(table)
    client.create_table(table)
    assert client.insert_rows_json(table, [{kind: sent, "nested": [{kind: sent}]}]) == []

    for (row,) in (client.list_rows(table), client.query_and_wait("SELECT * FROM d.t")):
        assert (row[kind], row["nested"][0][kind]) == (read, read)
        assert type(row[kind]) is type(read)


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        ("STRING", True),
        ("STRING", "\ud800"),
        ("BYTES", "not base64"),
        ("BYTES", 5),
        ("INTEGER", "abc"),
        ("INTEGER", ""),
        ("INTEGER", "9223372036854775808"),
        ("INTEGER", 1.5),
        ("INTEGER", True),
        ("INTEGER", math.inf),
        ("INTEGER", "٣"),
        ("FLOAT", "abc"),
        ("FLOAT", "1_000"),
        ("FLOAT", True),
        ("FLOAT", 10**400),
        ("NUMERIC", "abc"),
        ("NUMERIC", "NaN"),
        ("NUMERIC", "0.1234567891"),
        ("NUMERIC", 1e29),
        ("NUMERIC", f"-1{'0' * 29}"),
        ("BOOLEAN", "maybe"),
        ("BOOLEAN", 2),
        ("TIMESTAMP", "yesterday"),
        ("TIMESTAMP", "2024-02-30T00:00:00Z"),
        ("TIMESTAMP", "2024-01-01T00:00:00.1234567Z"),
        ("TIMESTAMP", "0000-01-01T00:00:00Z"),
        ("TIMESTAMP", "0001-01-01T00:00:00+01:00"),
        ("TIMESTAMP", "2024-01-01T24:00:00Z"),
        ("TIMESTAMP", 1e300),
        ("TIMESTAMP", "nan"),
        ("TIMESTAMP", True),
        ("DATE", "2024-01-01T00:00:00"),
        ("DATE", "2023-02-29"),
        ("DATE", 5),
        ("TIME", "24:00:00"),
        ("TIME", "noon"),
        ("DATETIME", "2024-01-01T00:00:00Z"),
        ("JSON", "{"),
        ("JSON", "NaN"),
        ("JSON", '"\\ud800"'),
        ("JSON", "[" * 100_000),
    ],
)
def test_a_value_that_does_not_fit_is_refused(kind: str, value: str | float | bool) -> None:
    with pytest.raises(BadValueError):
        convert(kind, value)


@settings(max_examples=150, deadline=None)
@given(kind=st.sampled_from(TYPES), value=st.booleans() | st.integers() | st.floats() | st.text())
def test_any_value_is_either_taken_or_refused_and_the_store_never_chokes_on_it(
    client: Client, table: client_library.Table, kind: str, value: object
) -> None:
    text = json.dumps(value) if kind == "JSON" else value
    try:
        convert(kind, text)  # type: ignore[arg-type]
    except BadValueError:
        return
    if not isinstance(text, float) or math.isfinite(text):
        assert client.insert_rows_json(table, [{kind: text}]) == []
    assert client.get_table(table).num_rows >= 0
