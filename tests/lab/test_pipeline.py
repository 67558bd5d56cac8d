"""A pipeline and its table, read as data: where rows go, what names an event, what is looked up."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from meshlab.errors import LabError
from meshlab.lab.pipeline import Lookup, Pipeline
from meshlab.lab.project import Project

ROOT = Path(__file__).parents[2]
TABLE = "p.d.orders"


def read(tmp_path: Path, text: str, **definition: object) -> Pipeline:
    columns = [
        {"name": "id", "type": "STRING"},
        {"name": "at", "type": "timestamp"},
        {"name": "raw", "type": "JSON"},
    ]
    (tmp_path / "table.json").write_text(json.dumps({"schema": {"fields": columns}, **definition}))
    (tmp_path / "pipeline.toml").write_text(text)
    return Pipeline.read(tmp_path / "pipeline.toml", tmp_path / "table.json", TABLE)


def test_the_shipped_pipeline_is_read() -> None:
    project = Project.find(root=ROOT)
    shipped = Pipeline.read(project.pipeline_file, project.table_file, TABLE)
    (target,) = shipped.targets
    assert shipped.lookups == (Lookup(),)
    assert (target.column_of("message.id"), target.column_of("event.event_id")) == ("message_id", "event_id")
    assert target.time_column == "publish_time"
    assert target.shown_columns == ["event_id", "user_id", "type", "occurred_at", "profile"]
    assert shipped.identity("m-1", b'{"event_id": "e-1"}') == "e-1"


@pytest.mark.parametrize(
    ("event", "data", "identity"),
    [
        ('id = "event.order.id"', b'{"order": {"id": "o-1"}}', "o-1"),
        ('id = "event.order.id"', b'{"order": {"id": 7}}', "7"),
        ('id = "event.order.id"', b'{"order": {"id": true}}', None),
        ('id = "event.order.id"', b'{"order": []}', None),
        ('id = "event.order.id"', b"no JSON", None),
        ('id = "message.id"', b"no JSON", "m-1"),
        ("", b"{}", "m-1"),
        ('id = ["event.a", "event.b"]', b'{"a": "x", "b": "y"}', "x\x1fy"),
        ('id = ["event.a", "event.b"]', b'{"a": "x"}', None),
        ('id = "event.a || event.b"', b'{"a": "x"}', None),
        ('id = "event.a"\nencoding = ["gzip"]', b'{"a": "x"}', None),
        ('id = "event.a"\nformat = "avro"', b'{"a": "x"}', None),
    ],
)
def test_an_event_has_the_name_that_can_be_read_without_the_function(
    tmp_path: Path, event: str, data: bytes, identity: str | None
) -> None:
    assert read(tmp_path, f"[event]\n{event}").identity("m-1", data) == identity


def test_equal_content_is_one_event_where_the_content_names_it(tmp_path: Path) -> None:
    found = read(tmp_path, '[event]\nid = "content"')
    assert found.identity("1", b"a") == found.identity("2", b"a") != found.identity("3", b"b")


def test_columns_name_an_origin_and_a_time(tmp_path: Path) -> None:
    text = '[columns]\nid = { from = "event.id", default = "-" }\nraw = "event"\nat = "now"'
    (target,) = read(tmp_path, text).targets
    assert (target.table, target.column_of("event.id"), target.column_of("message.id")) == (TABLE, "id", None)
    assert (target.time_column, target.shown_columns) == ("at", ["id"])
    (partitioned,) = read(tmp_path, text, timePartitioning={"type": "DAY", "field": "day"}).targets
    assert partitioned.time_column == "day"


def test_lookups_are_read_with_what_says_that_a_key_is_unknown(tmp_path: Path) -> None:
    text = """
        [lookup]
        path = "/v1/{customer.id}/plan"
        echo = "customer"
        miss = { status = 410, field = "code", equals = "gone" }
        [lookups.shop]
        path = "/shops/{shop}"
        query = { region = "event.region" }
        [lookups.items]
        path = "/items"
        method = "POST"
        batch = { max_keys = 10 }
        """
    profile, shop, items = read(tmp_path, text).lookups
    assert profile == Lookup(
        "profile", "/v1/{customer.id}/plan", "GET", (), False, "customer", 410, "code", "gone"
    )
    assert profile.mesh_path == "/v1/{*}/plan"
    assert (shop.name, shop.query, shop.echo, shop.miss_status, shop.miss_field) == (
        "shop",
        ("region",),
        "",
        404,
        "",
    )
    assert (items.method, items.is_batched) == ("POST", True)


def test_further_tables_have_definitions_beside_the_pipeline(tmp_path: Path) -> None:
    (tmp_path / "refunds.json").write_text('{"schema": {"fields": [{"name": "r", "type": "STRING"}]}}')
    text = '[[tables]]\nname = "refunds"\nschema = "refunds.json"\n[tables.columns]\nr = "event.r"'
    _, refunds = read(tmp_path, text).targets
    assert (refunds.table, refunds.column_of("event.r")) == ("p.d.refunds", "r")


@pytest.mark.parametrize(
    ("file", "content", "said"),
    [
        ("pipeline.toml", None, "the pipeline cannot be read"),
        ("pipeline.toml", b"[", "the pipeline is not TOML"),
        ("table.json", None, "definition cannot be read"),
        ("table.json", b"[]", "neither a list of BigQuery's columns nor a table resource"),
        (
            "table.json",
            b'{"schema": {"fields": [{"name": "a"}]}}',
            "neither a list of BigQuery's columns nor a table resource",
        ),
    ],
)
def test_a_file_that_cannot_be_used_is_named(
    tmp_path: Path, file: str, content: bytes | None, said: str
) -> None:
    read(tmp_path, "")
    (tmp_path / file).unlink() if content is None else (tmp_path / file).write_bytes(content)
    with pytest.raises(LabError, match=said) as caught:
        Pipeline.read(tmp_path / "pipeline.toml", tmp_path / "table.json", TABLE)
    assert str(tmp_path / file) in str(caught.value)


@pytest.mark.parametrize(
    ("lookup", "expected"),
    [
        (  # a constant is no part of the key
            'path = "/c"\nquery = { id = "message.attributes.id", limit = 1, all = true }\necho = { contact = "id" }',
            Lookup(path="/c", query=("id",), echo="contact", miss_field="", miss_value=""),
        ),
        (
            'path = "/shops/{shop}/items"\nquery = { sku = "event.sku" }\necho = { item = "sku", of = "shop" }',
            Lookup(
                path="/shops/{shop}/items",
                query=("sku",),
                echo="",
                echoes=(("item", 1), ("of", 0)),
                miss_field="",
                miss_value="",
            ),
        ),
        (
            'path = "/p/{id}"\nmiss = { status = 200, field = "found", equals = false }',
            Lookup(path="/p/{id}", echo="", miss_status=200, miss_field="found", miss_value=False),
        ),
    ],
    ids=["constants in the query", "parts of a key", "a miss that is no text"],
)
def test_a_lookup_has_the_parts_of_its_key_and_the_words_of_its_service(
    tmp_path: Path, lookup: str, expected: Lookup
) -> None:
    assert read(tmp_path, f"[lookup]\n{lookup}").lookups == (expected,)
