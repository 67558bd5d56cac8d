"""Rows into BigQuery: what the official client and the table say decides the event's end."""

import socket
from dataclasses import replace
from typing import Any

import pytest
from enrichment.outcome import BadEventError, EnrichmentError, FaultError, TransientError
from enrichment.row import Row
from enrichment.sink import BigQuerySink, verdict
from google.auth.credentials import AnonymousCredentials
from google.cloud import bigquery

from .conftest import PROJECT, TABLE, Tables

ROW = Row(
    "e-sink",
    {
        "event_id": "e-sink",
        "user_id": "u-1",
        "type": "t",
        "occurred_at": "2026-03-01T11:00:00Z",
        "event": "{}",
        "profile": "{}",
        "message_id": "m-1",
        "publish_time": "2026-03-01T12:00:00Z",
        "enriched_at": "2026-03-01T12:00:01Z",
        "trace_id": "t",
    },
)


def write(row: Row, table: str = TABLE, deadline_s: float = 5.0) -> EnrichmentError | None:
    """How a write fails, or None."""
    import asyncio

    def client() -> bigquery.Client:
        return bigquery.Client(project=PROJECT, credentials=AnonymousCredentials())

    sink = BigQuerySink(table, deadline_s, client)
    try:
        asyncio.run(sink.write(row))
    except EnrichmentError as error:
        return error
    finally:
        sink.close()
    return None


def test_a_row_is_in_the_table_once_written(tables: Tables) -> None:
    assert write(ROW) is None
    assert len(tables.rows("e-sink")) == 1


def test_a_row_that_bigquery_calls_invalid_is_the_events_fault_and_its_value_is_not_repeated(
    tables: Tables,
) -> None:
    error = write(replace(ROW, columns={**ROW.columns, "occurred_at": "yesterday"}))
    assert isinstance(error, BadEventError)
    assert error.reason == "row_invalid"
    assert "occurred_at" in error.detail
    assert "yesterday" not in error.detail


def test_a_missing_table_is_our_fault(tables: Tables) -> None:
    error = write(ROW, table=f"{PROJECT}.events.nowhere")
    assert isinstance(error, FaultError)
    assert error.reason == "bigquery_not_found"


def test_a_bigquery_out_of_reach_is_transient(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as closed:  # bound and not listening: every connection is refused
        closed.bind(("127.0.0.1", 0))
        monkeypatch.setenv("BIGQUERY_EMULATOR_HOST", f"http://127.0.0.1:{closed.getsockname()[1]}")
        error = write(ROW, deadline_s=0.2)
    assert isinstance(error, TransientError)
    assert error.reason == "bigquery_unavailable"


def entry(index: int, *reasons: str) -> dict[str, Any]:
    return {"index": index, "errors": [{"reason": reason, "location": "event"} for reason in reasons]}


@pytest.mark.parametrize(
    ("errors", "kind"),
    [
        ([], type(None)),
        ([entry(0, "invalid")], BadEventError),
        ([entry(0, "stopped"), entry(1, "invalid")], TransientError),
        ([entry(0, "stopped", "invalid")], BadEventError),
        ([entry(1, "invalid")], TransientError),
        ([entry(0, "timeout")], TransientError),
        ([entry(0, "backendError")], TransientError),
        ([entry(0, "accessDenied")], FaultError),
    ],
)
def test_the_verdict_on_a_row_is_its_own_and_an_innocent_row_is_sent_again(
    errors: list[dict[str, Any]], kind: type
) -> None:
    assert type(verdict(errors, 0)) is kind
