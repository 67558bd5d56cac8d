"""The row an event becomes, and the one definition of its table."""

import json
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from enrichment import row
from enrichment.event import Event
from enrichment.message import Message
from enrichment.outcome import BadEventError, Stage

from .conftest import FUNCTION

NOW = datetime(2026, 3, 1, 12, 0, 1, tzinfo=UTC)
EVENT = Event("e-1", "u-1", "order.placed", datetime(2026, 3, 1, 11, tzinfo=UTC), '{"event_id": "e-1"}')
MESSAGE = Message(b"", {}, "m-1", datetime(2026, 3, 1, 12, tzinfo=UTC))


def definition() -> dict[str, Any]:
    found: dict[str, Any] = json.loads((FUNCTION / "enrichment" / "table.json").read_text())
    return found


def test_a_row_has_the_columns_of_the_table_and_no_others() -> None:
    columns = row.build(EVENT, "{}", MESSAGE, "t", NOW).columns
    assert list(columns) == [field["name"] for field in definition()["schema"]["fields"]]


def test_a_row_carries_the_event_id_as_its_insert_id() -> None:
    assert row.build(EVENT, "{}", MESSAGE, "t", NOW).insert_id == "e-1"


def test_json_columns_hold_the_texts_as_they_came() -> None:
    columns = row.build(EVENT, '{"a" : 1}', MESSAGE, "t", NOW).columns
    assert (columns["event"], columns["profile"]) == (EVENT.text, '{"a" : 1}')


def test_every_column_says_what_it_means_and_the_server_clock_chooses_the_partition() -> None:
    table = definition()
    assert all(field["description"] and field["mode"] for field in table["schema"]["fields"])
    assert table["timePartitioning"] == {"type": "DAY", "field": "publish_time"}
    assert table["clustering"] == {"fields": ["user_id"]}


@pytest.mark.parametrize("character", ["a", '"', "é"])
def test_a_row_is_refused_by_its_size_on_the_wire(character: str) -> None:
    def build(length: int) -> row.Row:
        return row.build(replace(EVENT, text=character * length), "{}", MESSAGE, "t", NOW)

    on_the_wire = len(json.dumps(character)) - 2
    fits = (row.MAX_ROW_BYTES - 2_000) // on_the_wire
    assert len(json.dumps(build(fits).columns)) < row.MAX_ROW_BYTES
    with pytest.raises(BadEventError) as caught:
        build(fits + 2_000)
    assert (caught.value.stage, caught.value.reason) == (Stage.ROW, "row_too_large")
