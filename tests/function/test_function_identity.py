"""What names a row, and what an event is to become."""

import hashlib
import json
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from enrichment import dead_letter, event
from enrichment.core import plan
from enrichment.errors import BadEventError, Stage
from enrichment.event import identity
from enrichment.event.message import Message, unnamed
from enrichment.event.recent_ids import RecentIds, Waiting
from enrichment.expressions import compile_expression
from enrichment.settings import pipeline_file
from enrichment.settings.environment import PIPELINE_FILE, TABLE_FILE
from enrichment.settings.model import (
    Column,
    EventShape,
    Field,
    FieldType,
    OnConflict,
    PipelineConfig,
    Table,
    Unmatched,
)
from enrichment.telemetry import trace
from hypothesis import given
from hypothesis import strategies as st

ROOTS = ("event", "message", "item", "index", "parents", "row")
NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
USER = (Field(("user",), FieldType.STRING),)
COLUMNS = (Column("c", "STRING", repeated=False, required=False, expression=None, default="x"),)
SHIPPED = pipeline_file.read(PIPELINE_FILE, TABLE_FILE)


def sources(*texts: str) -> tuple[Any, ...]:
    return tuple(compile_expression(text, ROOTS) for text in texts)


def configured(*id_texts: str, **changes: Any) -> PipelineConfig:  # noqa: ANN401 - both classes' own
    more = {name: changes.pop(name) for name in ("columns", "tables", "unmatched") if name in changes}
    shape = EventShape(sources(*id_texts), USER, **changes)
    return replace(SHIPPED, event=shape, **{"columns": COLUMNS, **more})


def decoded(config: PipelineConfig, document: object, **attributes: str) -> event.Event:
    message = Message(json.dumps(document).encode(), attributes, "m-1", NOW, delivery_id="m-1")
    (part,) = event.split(message, config.event)
    return event.decode(part, config.event)


def planned(config: PipelineConfig, **document: object) -> list[plan.PlannedRow]:
    return plan.plan(decoded(config, {"user": "u", **document}), config)


def refused(config: PipelineConfig, **document: object) -> str:
    with pytest.raises(BadEventError) as caught:
        planned(config, **document)
    return f"{caught.value.reason}: {caught.value.detail}"


# --- ids ---


@pytest.mark.parametrize(
    ("texts", "document", "row_id"),
    [
        (["event.id"], {"id": "e"}, "e"),
        (["event.id"], {"id": 7}, "7"),
        (["event.id"], {"id": "x" * 128}, "x" * 128),
        (["event.id"], {"id": "x" * 129}, "sha256:" + hashlib.sha256(b"x" * 129).hexdigest()),
        (["event.a", "event.b"], {"a": "x", "b": "y"}, "x|y"),
        (["event.a", "event.b"], {"a": "x|", "b": "y\\"}, "x\\||y\\\\"),
        (["event.a || event.b"], {"b": "y"}, "y"),
        (["message.id", "event.n"], {"n": 0}, "m-1|0"),
        (["message.publish_time"], {}, "2026-03-01T12:00:00Z"),
    ],
)
def test_an_id_is_a_value_or_several_that_are_joined(
    texts: list[str], document: dict[str, object], row_id: str
) -> None:
    (row,) = planned(configured(*texts), **document)
    assert row.row_id == row_id


def test_an_id_may_be_an_attribute() -> None:
    config = configured("message.attributes.ce-id")
    assert decoded(config, {"user": "u"}, **{"ce-id": "c-1"}).event_id == "c-1"


def test_the_content_may_be_the_id() -> None:
    config = configured()
    data = json.dumps({"user": "u", "n": 1}).encode()
    (row,) = planned(config, n=1)
    assert row.row_id == "sha256:" + hashlib.sha256(data).hexdigest()
    assert planned(config, n=2)[0].row_id != row.row_id


@given(
    st.lists(st.text(max_size=5), min_size=2, max_size=4),
    st.lists(st.text(max_size=5), min_size=2, max_size=4),
)
def test_no_two_lists_give_one_id(one: list[str], other: list[str]) -> None:
    assert (identity.joined(*one) == identity.joined(*other)) == (one == other)


@given(st.text(max_size=200), st.text(max_size=200))
def test_an_id_is_short_enough_for_an_insert_id_and_still_its_own(one: str, other: str) -> None:
    assert len(identity.shortened(one)) <= 128
    assert len(identity.insert_id(one, "d" * 24)) <= 128
    assert (identity.shortened(one) == identity.shortened(other)) == (one == other)


def test_a_text_that_looks_like_a_hashed_id_is_hashed_itself() -> None:
    long = "x" * 129
    assert identity.shortened(identity.shortened(long)) != identity.shortened(long)


@pytest.mark.parametrize("value", [None, "", "a\nb", 1.5, True, [], {}], ids=str)
@pytest.mark.parametrize("texts", [["event.id"], ["event.user", "event.id"]], ids=["single", "composite"])
def test_a_value_that_can_be_no_id_is_the_events_mistake(texts: list[str], value: object) -> None:
    refusal = refused(configured(*texts), id=value)
    assert refusal.startswith("event_invalid")
    assert "event.id" in refusal


def test_a_push_that_names_no_message_says_what_to_set() -> None:
    config = configured("message.id")
    (part,) = event.split(unnamed(b'{"user": "u"}', NOW), config.event)
    with pytest.raises(BadEventError, match="--push-no-wrapper-write-metadata"):
        event.decode(part, config.event)


def test_equal_content_has_one_insert_id_whatever_its_order_and_white_space() -> None:
    config = configured("event.id")
    rows = [
        planned(config, id="e", a=1, b={"x": [1], "y": 2})[0],
        planned(config, b={"y": 2, "x": [1]}, a=1, id="e")[0],
    ]
    assert len({row.insert_id for row in rows}) == 1
    other = planned(config, id="e", a=2, b={"x": [1], "y": 2})[0]
    assert other.row_id == rows[0].row_id
    assert other.insert_id != rows[0].insert_id


# --- recent ids ---


def test_an_id_belongs_to_the_content_that_came_first() -> None:
    recent = RecentIds()
    claim = claimed(recent, "e", "one")
    assert claimed(recent, "e", "one") == claim
    open_ = undecided(recent, "e", "two")
    recent.release(claim, "two")
    recent.release(claim, "one")
    assert not open_.done()
    recent.release(claim, "one")
    assert open_.done()
    assert claimed(recent, "e", "two") == claim


def test_what_waits_for_an_id_goes_on_once_its_row_is_written_or_it_is_forgotten() -> None:
    recent = RecentIds(max_ids=1)
    claim = claimed(recent, "e", "one")
    open_ = undecided(recent, "e", "two")
    recent.keep(claim, "one")
    assert open_.done()
    assert recent.claim("e", "two") is None
    claimed(recent, "f", "one")
    open_ = undecided(recent, "f", "two")
    claimed(recent, "g", "one")
    assert open_.done()
    claimed(recent, "f", "two")


def test_a_delivery_that_fails_does_not_free_an_id_that_another_one_has_or_wrote() -> None:
    recent = RecentIds()
    claim = claimed(recent, "e", "one")
    claimed(recent, "e", "one")  # delivered again, while the first is under way
    recent.release(claim, "one")
    undecided(recent, "e", "two")
    recent.keep(claim, "one")
    claimed(recent, "e", "one")  # and once more, when its row is written
    recent.release(claim, "one")
    assert recent.claim("e", "two") is None


def test_of_those_that_wait_for_an_id_one_has_its_turn_and_who_leaves_passes_it_on() -> None:
    recent = RecentIds()
    claim = claimed(recent, "e", "one")
    left, first, second, third = (undecided(recent, "e", digest) for digest in ("0", "two", "three", "four"))
    recent.leave(left)
    recent.release(claim, "one")
    assert (left.cancelled(), first.done(), second.done(), third.done()) == (True, True, False, False)
    recent.leave(first)
    assert (second.done(), third.done()) == (True, False)
    recent.keep(claimed(recent, "e", "three"), "three")
    assert third.done()


def claimed(recent: RecentIds, row_id: str, digest: str) -> bytes:
    claim = recent.claim(row_id, digest)
    assert isinstance(claim, bytes)
    return claim


def undecided(recent: RecentIds, row_id: str, digest: str) -> Waiting:
    found = recent.claim(row_id, digest)
    assert isinstance(found, Waiting)
    return found


def test_the_memory_is_bounded_and_the_oldest_go_first() -> None:
    recent = RecentIds(max_ids=2)
    for name in ("a", "b", "c"):
        recent.keep(claimed(recent, name, "one"), "one")
    claimed(recent, "a", "two")
    assert recent.claim("c", "two") is None


# --- drop, each, tables ---


@pytest.mark.parametrize(
    ("document", "rows"),
    [
        ({"type": "ping"}, 0),
        ({"type": "order", "test": True}, 0),
        ({"type": "order", "test": False}, 1),
        ({}, 1),
    ],
)
def test_an_event_that_one_of_the_conditions_names_is_dropped(document: dict[str, object], rows: int) -> None:
    config = configured("event.user", drop=sources("event.type == 'ping'", "event.test"))
    assert len(planned(config, **document)) == rows


def test_an_event_that_is_dropped_need_have_neither_the_declared_fields_nor_an_id() -> None:
    config = configured("event.order", drop=sources("event.type == 'ping'"))
    order = (Field(("order",), FieldType.INTEGER),)
    config = replace(config, event=replace(config.event, fields=order))
    assert planned(config, type="ping") == []
    assert planned(config, type="ping", order="no number") == []
    assert refused(config, type="order").startswith("event_invalid")


def test_a_condition_that_cannot_be_evaluated_is_the_events_mistake() -> None:
    refusal = refused(configured("event.user", drop=sources("contains(event.tags, 'x')")), tags=7)
    assert refusal.startswith("event_invalid")
    assert "[event] drop" in refusal


def test_each_item_is_a_row_named_by_its_number() -> None:
    config = configured("event.id", each=sources("event.items")[0])
    rows = planned(config, id="e", items=[{"n": 1}, {"n": 2}])
    assert [row.row_id for row in rows] == ["e|0", "e|1"]
    assert [(row.scope.roots["item"], row.scope.roots["index"]) for row in rows] == [
        ({"n": 1}, 0),
        ({"n": 2}, 1),
    ]
    assert [row.scope.roots["row"] for row in rows] == [{"id": "e|0"}, {"id": "e|1"}]


def test_an_item_may_name_its_row() -> None:
    config = configured("event.id", "item.sku", each=sources("event.items")[0])
    rows = planned(config, id="e", items=[{"sku": "a"}, {"sku": "b"}])
    assert [row.row_id for row in rows] == ["e|a", "e|b"]
    same, other = planned(config, id="e", items=[{"sku": "a", "n": 1}, {"sku": "a", "n": 2}])
    assert (same.row_id, same.digest != other.digest) == (other.row_id, True)


@pytest.mark.parametrize("items", [None, []])
def test_an_event_without_items_makes_no_row(items: object) -> None:
    assert planned(configured("event.user", each=sources("event.items")[0]), items=items) == []


@pytest.mark.parametrize("items", ["text", {"a": 1}, 7, False], ids=str)
def test_each_must_find_an_array(items: object) -> None:
    refusal = refused(configured("event.user", each=sources("event.items")[0]), items=items)
    assert refusal.startswith("event_invalid: [event] each must find an array")


def attributed(*columns: str, **attributes: str) -> str:
    """Return the insertId of an event whose pipeline reads some attributes."""
    written = [
        Column(f"c{number}", "JSON", repeated=False, required=False, expression=source)
        for number, source in enumerate(sources(*columns))
    ]
    config = configured("event.id", columns=tuple(written))
    config = replace(config, content_paths=config.read_attributes())
    (row,) = plan.plan(decoded(config, {"id": "e", "user": "u"}, **attributes), config)
    return row.insert_id


def test_an_attribute_that_the_pipeline_reads_is_a_part_of_the_content() -> None:
    kind = "message.attributes.kind || event.kind"
    assert attributed(kind, kind="a") != attributed(kind, kind="b")
    assert attributed(kind, kind="a", other="x") == attributed(kind, kind="a", other="y")
    assert attributed(kind) == attributed("event.kind") == attributed("event.kind", kind="a")


def test_the_case_of_attributes_names_which_an_unwrapped_push_lowers_names_no_other_row() -> None:
    whole = "message.attributes"
    assert attributed(whole, Kind="a", Shop="s") == attributed(whole, kind="a", shop="s")
    assert attributed(whole, Kind="a") != attributed(whole, Kind="A")
    assert attributed(whole, Kind="a", kind="b") != attributed(whole, Kind="b", kind="a")


def test_all_attributes_are_a_part_of_the_content_but_for_those_of_a_trace() -> None:
    whole = "message.attributes"
    assert attributed(whole, a="1") != attributed(whole, a="2")
    one = "message.attributes.googclient_traceparent"
    assert attributed(one, googclient_traceparent="x") == attributed(one, googclient_traceparent="y")
    assert attributed(whole, a="1", googclient_traceparent="x", traceparent="x") == attributed(
        whole, a="1", googclient_traceparent="y", tracestate="y"
    )


FAILED = Message(b"{}", {"kind": "a"}, "m-1", datetime(2026, 3, 1, tzinfo=UTC))
NO_JSON = BadEventError(Stage.DECODE, "json_invalid", "it is no JSON")
MARKS = {
    "CloudPubSubDeadLetterSourceDeliveryCount": "5",
    "CloudPubSubDeadLetterSourceSubscription": "s",
    "CloudPubSubDeadLetterSourceSubscriptionProject": "p",
    "CloudPubSubDeadLetterSourceTopicPublishTime": "2026-03-01T12:00:00Z",
}


@pytest.mark.parametrize(
    "further",
    [
        dead_letter.compose(
            FAILED, BadEventError(Stage.DECODE, "json_invalid", "-"), trace.find({}, {}), "1"
        ).attributes,
        MARKS,
        {name.lower(): value for name, value in MARKS.items()},
        {"redrive_message_id": "m-1", "redrive_publish_time": "soon", "redrive_count": "1"},
    ],
    ids=["dead-letter", "undelivered", "undelivered-unwrapped", "redriven-and-not-believed"],
)
def test_what_is_written_on_a_message_that_failed_is_no_other_content(further: dict[str, str]) -> None:
    whole = "message.attributes"
    assert attributed(whole, **{"kind": "a"} | further) == attributed(whole, kind="a")
    assert attributed(whole, **further | {"kind": "b"}) != attributed(whole, kind="a")


def test_the_file_says_which_attributes_belong_to_the_content(tmp_path: Path) -> None:
    (tmp_path / "p.toml").write_text(
        """
        [event]
        id = "event.id"
        drop = "message.attributes.kind == 'ping'"
        [columns]
        id = "event.id"
        all = "message.attributes"
        """
    )
    fields = [{"name": "id", "type": "STRING"}, {"name": "all", "type": "JSON"}]
    (tmp_path / "t.json").write_text(json.dumps(fields))
    config = pipeline_file.read(tmp_path / "p.toml", tmp_path / "t.json")
    assert config.content_paths == (("message", "attributes"), ("message", "attributes", "kind"))


NESTED = {"each": sources("event.shops")[0], "each_inside": sources("item.shelves", "item.goods")}
SHOPS = [
    {"name": "a", "shelves": [{"n": 1, "goods": ["x", "y"]}, {"n": 2}, {"n": 3, "goods": []}]},
    {"name": "b"},
    {"name": "c", "shelves": [{"n": 4, "goods": ["z"]}]},
]


def test_items_inside_of_items_are_rows_that_know_what_is_around_them() -> None:
    rows = planned(configured("event.id", **NESTED), id="e", shops=SHOPS)
    assert [(row.row_id, row.scope.roots["item"]) for row in rows] == [
        ("e|0", "x"),
        ("e|1", "y"),
        ("e|2", "z"),
    ]
    names, shelves = sources("parents[0].name", "parents[1].n")
    assert [(names.evaluate(row.scope), shelves.evaluate(row.scope)) for row in rows] == [
        ("a", 1), ("a", 1), ("c", 4),
    ]  # fmt: skip


def test_what_is_around_an_item_may_name_its_row() -> None:
    config = configured("parents[0].name", "item", **NESTED)
    assert [row.row_id for row in planned(config, shops=SHOPS)] == ["a|x", "a|y", "c|z"]


@pytest.mark.parametrize(
    ("shops", "says"),
    [
        ([{"shelves": "text"}], "[event] each must find an array, and item.shelves is none"),
        ([{"shelves": [{"goods": 7}]}], "[event] each must find an array, and item.goods is none"),
        ([{"shelves": [{"goods": [0] * 6_000}] * 2}], "more than 10000 items"),
    ],
)
def test_every_array_on_the_way_is_checked_and_the_rows_are_counted(shops: object, says: str) -> None:
    assert says in refused(configured("event.user", **NESTED), shops=shops)


def test_an_event_is_read_once_to_tell_its_items_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[object] = []

    class Encoder:
        def encode(self, document: object) -> bytes:
            read.append(document)
            return json.dumps(document, sort_keys=True).encode()

    monkeypatch.setattr(identity, "_CANONICAL", Encoder())
    config = configured("event.user", "item.k", each=sources("event.items")[0])
    rows = planned(config, items=[{"k": number} for number in range(5)])
    assert len({row.digest for row in rows}) == 5
    assert [len(str(document)) > 20 for document in read].count(True) == 1


def test_more_rows_than_can_be_written_in_time_are_refused() -> None:
    refusal = refused(configured("event.user", each=sources("event.items")[0]), items=[0] * 10_001)
    assert "more than 10000 items" in refusal


TABLES = (
    Table("orders", sources("event.type == 'order'")[0], "orders", COLUMNS),
    Table("all", sources("event.type")[0], "others", COLUMNS),
)


@pytest.mark.parametrize(
    ("kind", "table"),
    [("order", "orders"), ("refund", "all"), (None, "")],
    ids=["first", "second", "columns"],
)
def test_the_first_table_that_fits_takes_the_row(kind: str | None, table: str) -> None:
    (row,) = planned(configured("event.user", tables=TABLES), type=kind)
    assert row.table == table


def test_what_no_table_takes_is_dead_lettered_or_dropped() -> None:
    strict = configured("event.user", tables=TABLES, columns=())
    assert refused(strict).startswith("event_unmatched")
    assert planned(replace(strict, unmatched=Unmatched.DROP)) == []


def test_each_item_finds_its_own_table() -> None:
    tables = (Table("paid", sources("item.paid")[0], "paid", COLUMNS),)
    config = configured("event.user", each=sources("event.items")[0], tables=tables)
    rows = planned(config, items=[{"paid": True}, {"paid": False}])
    assert [row.table for row in rows] == ["paid", ""]


def test_where_every_content_is_a_row_of_its_own_the_content_is_a_part_of_its_id() -> None:
    config = configured("event.id", on_conflict=OnConflict.WRITE)
    one, other = planned(config, id="e", n=1)[0], planned(config, id="e", n=2)[0]
    assert one.row_id != other.row_id
    assert planned(config, id="e", n=1)[0].row_id == one.row_id
