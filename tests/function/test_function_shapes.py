"""Events of another shape, in the running function: compressed lines, a composite id, several tables, several rows."""

import gzip
import json
import os
from collections.abc import Iterator
from typing import Any

import pytest
from google.cloud import bigquery

from .conftest import PROJECT, TABLE, Function, Tables, Topic, running

PIPELINE = """
unmatched = "drop"

[event]
encoding = ["gzip"]
format = "ndjson"
id = ["event.source", "event.id"]
drop = "event.type == 'ping'"
each = "event.items"

[event.fields]
user = "string"

[lookup]
path = "/profile/{user}"
echo = "user_id"
miss_error = "profile_not_found"

[[tables]]
name = "orders"
when = "event.type == 'order'"
table = "orders"
schema = "orders.json"

[tables.columns]
id = "row.id"
source = "event.source"
sku = "item.sku"
number = "index"
plan = "profile.plan"

[[tables]]
name = "refunds"
when = "event.type == 'refund'"
table = "PROJECT.events.refunds"
schema = "refunds.json"

[tables.columns]
id = "row.id"
amount = "item.amount"
""".replace("PROJECT", PROJECT)

FIELDS = {
    "orders": {"id": "STRING", "source": "STRING", "sku": "STRING", "number": "INTEGER", "plan": "STRING"},
    "refunds": {"id": "STRING", "amount": "NUMERIC"},
}


@pytest.fixture(scope="module")
def shaped(
    environment: dict[str, str], tables: Tables, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Function]:
    """The function with the pipeline above, and its tables."""
    folder = tmp_path_factory.mktemp("shapes")
    (folder / "pipeline.toml").write_text(PIPELINE)
    dataset = TABLE.split(".")[1]
    for name, fields in FIELDS.items():
        listed = [{"name": column, "type": kind} for column, kind in fields.items()]
        (folder / f"{name}.json").write_text(json.dumps({"schema": {"fields": listed}}))
        reference = {"projectId": PROJECT, "datasetId": dataset, "tableId": name}
        resource = {"tableReference": reference, "schema": {"fields": listed}}
        tables.client.create_table(bigquery.Table.from_api_repr(resource))
    env = environment | {"PIPELINE_FILE": str(folder / "pipeline.toml")}
    with running(env, folder / "output") as function:
        yield function


def rows(tables: Tables, name: str, source: str) -> list[dict[str, Any]]:
    """The rows of one test, by their ids."""
    found = [dict(row) for row in tables.client.list_rows(f"{PROJECT}.events.{name}")]
    return sorted(
        (row for row in found if row["id"].startswith(f"{source}|")), key=lambda row: str(row["id"])
    )


def lines(*events: dict[str, object] | bytes) -> bytes:
    texts = [one if isinstance(one, bytes) else json.dumps(one).encode() for one in events]
    return gzip.compress(b"\n".join(texts))


@pytest.fixture
def source() -> str:
    """What the events of one test come from."""
    return f"s-{os.urandom(6).hex()}"


def test_one_message_makes_rows_in_several_tables_and_each_bad_event_a_dead_letter(
    shaped: Function, tables: Tables, topic: Topic, source: str
) -> None:
    common = {"source": source, "user": "u-1"}
    order = {**common, "id": 1, "type": "order", "items": [{"sku": "a"}, {"sku": "b"}]}
    refund = {**common, "id": 2, "type": "refund", "items": [{"amount": "1.5"}]}
    ping = {**common, "id": 3, "type": "ping", "items": [{}]}
    other = {**common, "id": 4, "type": "other", "items": [{}]}
    assert shaped.deliver(lines(order, b"no json", refund, ping, other)) == 200
    assert rows(tables, "orders", source) == [
        {"id": f"{source}|1|0", "source": source, "sku": "a", "number": 0, "plan": "pro"},
        {"id": f"{source}|1|1", "source": source, "sku": "b", "number": 1, "plan": "pro"},
    ]
    assert [float(row["amount"]) for row in rows(tables, "refunds", source)] == [1.5]
    (dead_letter,) = topic.dead_letters()
    assert dead_letter.attributes["dead_letter_reason"] == "json_invalid"
    assert gzip.decompress(dead_letter.data) == b"no json"
    assert dead_letter.attributes["dead_letter_message_id"] == "m-1:1"


def test_a_message_that_comes_again_doubles_nothing(
    shaped: Function, tables: Tables, topic: Topic, source: str
) -> None:
    order = {"source": source, "user": "u-1", "id": 1, "type": "order", "items": [{"sku": "a"}]}
    later = {**order, "id": 2, "user": "no-upstream"}
    assert shaped.deliver(lines(order, b"no json", later)) == 503
    assert shaped.deliver(lines(order, b"no json", {**later, "user": "u-2"})) == 200
    assert len(rows(tables, "orders", source)) == 2
    assert len(topic.dead_letters()) == 1


def test_two_events_of_one_id_are_a_row_and_a_dead_letter_and_none_is_lost(
    shaped: Function, tables: Tables, topic: Topic, source: str
) -> None:
    one = {"source": source, "user": "u-1", "id": 1, "type": "order", "items": [{"sku": "a"}]}
    assert shaped.deliver(lines(one)) == 200
    assert shaped.deliver(lines({**one, "items": [{"sku": "b"}]})) == 200
    assert [row["sku"] for row in rows(tables, "orders", source)] == ["a"]
    (dead_letter,) = topic.dead_letters()
    assert dead_letter.attributes["dead_letter_reason"] == "identity_conflict"


def test_data_in_no_such_encoding_is_dead_lettered_with_what_the_setting_says(
    shaped: Function, topic: Topic
) -> None:
    assert shaped.deliver(b'{"a": 1}') == 200
    (dead_letter,) = topic.dead_letters()
    assert dead_letter.attributes["dead_letter_reason"] == "data_undecodable"
    assert "is not gzip" in dead_letter.attributes["dead_letter_detail"]
