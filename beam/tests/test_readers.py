"""Reading of files: each record once, wherever they are cut and wherever a run goes on."""

import base64
import gzip
import json
import re
from collections.abc import Callable
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path

import fastavro
import pytest
from conftest import event
from dateutil.relativedelta import relativedelta  # type: ignore[import-untyped]
from enrichment.documents import strict_json
from enrichment.errors import EnrichmentError
from enrichment.event.message import Message
from enrichment_beam.backfill import records
from enrichment_beam.backfill.inputs import InputsError, files
from enrichment_beam.backfill.readers import BLANK, Form, InputError, Read, reader
from enrichment_beam.backfill.records import EventRecords, message_id, of_json_message
from enrichment_beam.backfill.shard import Kind, Records, Shard

BEGAN = "2026-11-30T00:00:00Z"
EVENTS = Form(Records.EVENTS, EventRecords(BEGAN))
MESSAGES = Form(Records.MESSAGES, EventRecords(BEGAN))
AUTO = Form(Records.AUTO, EventRecords(BEGAN))


def read(path: Path, form: Form = EVENTS, shard_bytes: int = 1 << 30) -> list[Read]:
    _, shards = files([str(path)], shard_bytes)
    return [one for shard in shards for one in reader(shard.kind, form)(shard, shard.begin)]


def data(found: list[Read]) -> list[bytes]:
    return [one.received.body for one in found if one.received is not None and one.received is not BLANK]


def known(found: Read) -> Message:
    assert found.received is not None
    assert isinstance(found.received.message, Message)
    return found.received.message


LINES = [
    event(0),
    event(1, note="é" * 30),
    b"",
    event(2),
    b"{broken",
    event(3, note="x" * 200),
    b"\t",
    event(4),
]


@pytest.mark.parametrize("end", [b"\n", b"\r\n"])
@pytest.mark.parametrize("last", [b"", b"\n"])
def test_every_line_is_read_once_wherever_the_file_is_cut(tmp_path: Path, end: bytes, last: bytes) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes(end.join(LINES) + (end if last else b""))
    expected = [line for line in LINES if line.strip()]
    for cut in range(1, path.stat().st_size + 2):
        assert data(read(path, shard_bytes=cut)) == expected, cut


def test_a_shard_goes_on_where_it_came_to(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes(b"\n".join(LINES))
    for shard_bytes in (100, 1 << 20):
        _, shards = files([str(path)], shard_bytes)
        for shard in shards:
            whole = list(reader(shard.kind, EVENTS)(shard, shard.begin))
            for done, one in enumerate(whole, 1):
                rest = list(reader(shard.kind, EVENTS)(shard, one.position))
                assert [r.position for r in rest] == [r.position for r in whole[done:]]
                assert data(rest) == data(whole[done:])


def test_compressed_lines_of_several_members_are_read_and_gone_on_with(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl.gz"
    path.write_bytes(gzip.compress(b"\n".join(LINES[:4]) + b"\n") + gzip.compress(b"\n".join(LINES[4:])))
    whole = read(path)
    assert data(whole) == [line for line in LINES if line.strip()]
    shard = Shard(0, str(path), Kind.GZIP_LINES)
    assert data(list(reader(shard.kind, EVENTS)(shard, 5))) == data(whole[5:])


def test_a_compressed_file_is_known_by_its_bytes(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes(gzip.compress(event(0)))
    assert data(read(path)) == [event(0)]


def test_a_file_that_is_cut_off_gives_what_it_holds_and_then_says_where_it_ends(tmp_path: Path) -> None:
    import os

    path = tmp_path / "a.jsonl.gz"
    lines = [event(n, noise=os.urandom(60).hex()) for n in range(2000)]
    path.write_bytes(gzip.compress(b"\n".join(lines))[:-5000])
    found: list[Read] = []
    _, (shard,) = files([str(path)], 1 << 20)
    with pytest.raises(InputError, match=r"a\.jsonl\.gz cannot be read on from line \d+"):
        found.extend(reader(shard.kind, EVENTS)(shard, 0))
    assert len(found) > 500
    assert data(found) == lines[: len(found)]


@pytest.mark.parametrize("name", ["a.jsonl", "a.jsonl.gz", "a.avro"])
def test_a_file_that_became_shorter_is_not_called_done(tmp_path: Path, name: str) -> None:
    """A file that is replaced while it is read ends between two records, and nothing else would say so."""

    def write(count: int) -> None:
        lines = b"".join(event(number) + b"\n" for number in range(count))
        if name.endswith(".avro"):
            schema = {"type": "record", "name": "E", "fields": [{"name": "event_id", "type": "string"}]}
            with (tmp_path / name).open("wb") as file:
                fastavro.writer(file, schema, [{"event_id": f"e-{number}"} for number in range(count)])
        else:
            (tmp_path / name).write_bytes(gzip.compress(lines) if name.endswith(".gz") else lines)

    write(200)
    _, (shard,) = files([str(tmp_path / name)], 1 << 20)
    assert len(list(reader(shard.kind, EVENTS)(shard, 0))) == 200
    write(100)
    found: list[Read] = []
    with pytest.raises(InputError, match="has changed since the backfill was begun"):
        found.extend(reader(shard.kind, EVENTS)(shard, 0))
    assert len(found) == 100


def test_a_record_longer_than_any_message_is_not_taken_into_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("enrichment_beam.backfill.readers.MAX_RECORD_BYTES", 1000)
    path = tmp_path / "a.jsonl"
    path.write_bytes(b"\n".join([event(0), b"x" * 5000, event(1)]))
    found = read(path)
    assert [one.received is None for one in found] == [False, True, False]
    assert data(found) == [event(0), event(1)]


AVRO_MESSAGES = {
    "type": "record",
    "name": "PubsubMessage",
    "fields": [
        {"name": "subscription_name", "type": "string"},
        {"name": "message_id", "type": "string"},
        {"name": "publish_time", "type": {"type": "long", "logicalType": "timestamp-micros"}},
        {"name": "ordering_key", "type": "string", "default": ""},
        {"name": "attributes", "type": {"type": "map", "values": "string"}},
        {"name": "data", "type": "bytes"},
    ],
}


def test_avro_of_an_export_to_cloud_storage_is_messages(tmp_path: Path) -> None:
    path = tmp_path / "a.avro"
    moment = datetime(2026, 11, 30, 1, 2, 3, 456789, tzinfo=UTC)
    rows = [
        {"subscription_name": "s", "message_id": f"m{n}", "publish_time": moment, "ordering_key": "k",
         "attributes": {"n": str(n)}, "data": event(n)}
        for n in range(50)
    ]  # fmt: skip
    with path.open("wb") as file:
        fastavro.writer(file, AVRO_MESSAGES, rows, sync_interval=500)
    found = read(path, AUTO)
    assert [known(one).message_id for one in found] == [f"m{n}" for n in range(50)]
    one = known(found[7])
    assert (one.data, one.attributes, one.publish_time, one.ordering_key) == (
        event(7),
        {"n": "7"},
        moment,
        "k",
    )
    shard = Shard(0, str(path), Kind.AVRO)
    for position in (1, 13, 49):
        assert data(list(reader(Kind.AVRO, AUTO)(shard, position))) == data(found[position:])
    packed = tmp_path / "b.avro.gz"
    packed.write_bytes(gzip.compress(path.read_bytes()))
    assert data(read(packed, AUTO)) == data(found)


def test_avro_of_events_becomes_their_json(tmp_path: Path) -> None:
    schema = {"type": "record", "name": "E", "fields": [
        {"name": "event_id", "type": "string"},
        {"name": "at", "type": {"type": "long", "logicalType": "timestamp-millis"}},
        {"name": "note", "type": ["null", "string"], "default": None},
    ]}  # fmt: skip
    path = tmp_path / "a.avro"
    with path.open("wb") as file:
        fastavro.writer(
            file, schema, [{"event_id": "e", "at": datetime(2026, 1, 2, tzinfo=UTC), "note": None}]
        )
    (found,) = read(path, AUTO)
    assert json.loads(known(found).data) == {"event_id": "e", "at": "2026-01-02T00:00:00Z", "note": None}


def test_a_broken_avro_file_says_where(tmp_path: Path) -> None:
    path = tmp_path / "a.avro"
    path.write_bytes(b"Obj\x01 and nothing else")
    with pytest.raises(InputError, match="from record 0"):
        read(path, AUTO)


def wire(**fields: object) -> dict[str, object]:
    return {"data": base64.b64encode(event(1)).decode(), "messageId": "m", "publishTime": BEGAN, **fields}


def test_a_line_may_be_a_message_as_google_writes_it() -> None:
    plain = of_json_message(json.dumps(wire(attributes={"a": "b"}, orderingKey="k")).encode())
    around = of_json_message(
        json.dumps({"ackId": "x", "message": wire(attributes={"a": "b"}, orderingKey="k")}).encode()
    )
    assert plain.message == around.message
    assert isinstance(plain.message, Message)
    assert (plain.message.data, plain.message.attributes, plain.message.ordering_key) == (
        event(1),
        {"a": "b"},
        "k",
    )


def test_a_redriven_message_has_its_first_identity() -> None:
    attributes = {
        "redrive_message_id": "first",
        "redrive_publish_time": "2026-11-29T00:00:00Z",
        "redrive_count": "1",
    }
    found = of_json_message(json.dumps(wire(attributes=attributes)).encode())
    assert isinstance(found.message, Message)
    assert (found.message.message_id, found.message.redriven, found.message.attributes) == ("first", 1, {})


@pytest.mark.parametrize(
    "line", [b"{", b"[]", b'{"data": "%%%"}', b'{"data": ""}', b"\xff", b'{"messageId": 3}']
)
def test_a_line_that_is_no_message_is_a_bad_event_with_its_bytes(line: bytes) -> None:
    found = of_json_message(line)
    assert isinstance(found.message, EnrichmentError)
    assert found.message.reason == "envelope_invalid"


def test_events_without_a_message_have_the_same_id_in_every_run(tmp_path: Path) -> None:
    path = tmp_path / "a b.jsonl"
    path.write_bytes(event(0) + b"\n" + event(1))
    assert [known(one).message_id for one in read(path)] == [
        message_id(str(path), 0),
        message_id(str(path), len(event(0)) + 1),
    ]
    assert message_id("/dt=1/part-0.jsonl", 0) != message_id("/dt=2/part-0.jsonl", 0), (
        "one name in two folders"
    )
    assert message_id("a b.jsonl", 7).startswith("a_b.jsonl-")
    assert len(message_id("x" * 500, 10**15)) == 128


def test_a_field_may_stand_for_the_publish_time() -> None:
    made = EventRecords(BEGAN, "event.meta.at")
    found = [made.read(line, "a", 0).message for line in (
        b'{"meta": {"at": "2026-02-03T04:05:06+01:00"}}', b'{"meta": {"at": "never"}}', b'{"meta": 1}', b"{"
    )]  # fmt: skip
    began = datetime(2026, 11, 30, tzinfo=UTC)
    assert [one.publish_time for one in found if isinstance(one, Message)] == [
        datetime(2026, 2, 3, 3, 5, 6, tzinfo=UTC), began, began, began,
    ]  # fmt: skip


def test_rows_of_an_export_to_bigquery_are_messages() -> None:
    fields = {"subscription_name": "s", "message_id": "m", "publish_time": datetime(2026, 1, 1, tzinfo=UTC),
              "data": event(3), "attributes": '{"a": "b"}'}  # fmt: skip
    found = records.of_fields(fields).message
    assert isinstance(found, Message)
    assert (found.message_id, found.data, found.attributes) == ("m", event(3), {"a": "b"})
    pairs = records.of_fields({**fields, "attributes": [{"key": "a", "value": "b"}]}).message
    assert isinstance(pairs, Message)
    assert pairs.attributes == {"a": "b"}


@pytest.mark.parametrize(
    ("attributes", "says"),
    [
        ('{"a": "\\ud800"}', "half of a surrogate pair"),
        ('{"a": "\ud800"}', "half of a surrogate pair"),
        ('{"a": "1", "a": "2"}', "names the same key twice"),
        ("[" * 100_000, "nested deeper"),
        ("a=b", "not JSON|no JSON object"),
        ("5", "neither an object nor pairs"),
        (["a"], "neither an object nor pairs"),
        (b"{}", "neither an object nor pairs"),
    ],
    ids=["escaped", "surrogate", "twice", "deep", "text", "number", "list", "bytes"],
)
def test_attributes_that_cannot_be_read_make_a_bad_event_and_are_not_left_out(
    attributes: object, says: str
) -> None:
    """Without them the event would have another identity or be dropped; one of these ended the bundle for ever."""
    fields = {"message_id": "m", "publish_time": BEGAN, "data": event(1), "attributes": attributes}
    found = records.of_fields(fields)
    assert isinstance(found.message, EnrichmentError)
    assert found.message.reason == "envelope_invalid"
    assert re.search(says, found.message.detail)
    assert json.loads(found.body)["message_id"] == "m"


@pytest.mark.parametrize("none", [None, ""])
def test_a_record_without_attributes_is_a_message(none: object) -> None:
    fields = {"message_id": "m", "publish_time": BEGAN, "data": event(1), "attributes": none}
    found = records.of_fields(fields).message
    assert isinstance(found, Message)
    assert found.attributes == {}


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf"), "a\ud800"])
@pytest.mark.parametrize("inside", [lambda v: v, lambda v: [None, {"b": v}]], ids=["plain", "nested"])
def test_what_json_cannot_hold_is_named_and_is_not_null(
    value: object, inside: Callable[[object], object]
) -> None:
    made = records.of_event_fields(
        {"a": inside(value), "at": datetime(2026, 1, 1, tzinfo=UTC), "n": Decimal(1)}
    )
    assert re.search(rb"NaN|Infinity|\\ud800", made)
    with pytest.raises(strict_json.NotJsonError):
        strict_json.parse(made)


@pytest.mark.parametrize(
    ("parts", "text"),
    [
        ({}, "0-0 0 0:0:0"),
        ({"years": 1, "months": 2, "days": 3, "hours": 4, "minutes": 5, "seconds": 6, "microseconds": 700000},
         "1-2 3 4:5:6.7"),
        ({"years": -1, "months": -2, "days": -3, "hours": -30, "seconds": -1}, "-1-2 -4 -6:0:1"),
    ],
)  # fmt: skip
def test_an_interval_is_written_as_bigquery_writes_it(parts: dict[str, int], text: str) -> None:
    value = relativedelta(**parts)  # what BigQuery's client makes of one
    assert json.loads(records.of_event_fields({"a": value, "b": [{"c": value}]})) == {
        "a": text,
        "b": [{"c": text}],
    }


def test_data_that_is_a_record_keeps_its_dates_and_numbers() -> None:
    row = {"at": date(2026, 1, 2), "n": Decimal("1.10"), "none": None}
    fields = {"message_id": "m", "publish_time": BEGAN, "data": row, "attributes": None}
    assert records.of_fields(fields).body == b'{"at":"2026-01-02","n":1.10,"none":null}'


def test_inputs_that_cannot_be_used_are_named_together(tmp_path: Path) -> None:
    (tmp_path / "a.parquet").write_bytes(b"PAR1")
    with pytest.raises(InputsError) as raised:
        files([f"{tmp_path}/*.parquet", f"{tmp_path}/*.jsonl"], 1000)
    assert len(raised.value.problems) == 2


@pytest.mark.parametrize("compressed", [False, True])
def test_a_mark_of_the_encoding_is_no_part_of_the_first_line(tmp_path: Path, compressed: bool) -> None:
    content = b"\xef\xbb\xbf" + event(0) + b"\r\n" + event(1) + b"\r\n"
    path = tmp_path / "a.jsonl.gz"
    path.write_bytes(gzip.compress(content) if compressed else content)
    assert data(read(path)) == [event(0), event(1)]


@pytest.mark.parametrize(
    "line",
    [
        {"data": base64.b64encode(event(1)).decode(), "publishTime": BEGAN, "attributes": {"a": "b"}},
        {"message": {"data": base64.b64encode(event(1)).decode(), "messageId": "1", "attributes": {"n": 1}}},
        {"message": 7},
    ],
)
def test_the_dead_letter_of_a_line_that_holds_no_message_has_the_whole_line(line: object) -> None:
    found = of_json_message(json.dumps(line).encode())
    assert isinstance(found.message, EnrichmentError)
    assert json.loads(found.body) == line


def test_records_of_avro_without_fields_are_no_messages(tmp_path: Path) -> None:
    path = tmp_path / "a.avro"
    with path.open("wb") as file:
        fastavro.writer(file, "string", ["x"])
    with pytest.raises(InputError, match="no message"):
        read(path, MESSAGES)


def test_a_name_that_cannot_be_shown_is_reported(tmp_path: Path) -> None:
    (tmp_path / "a\x1b[31m.jsonl").write_bytes(event(0))
    (tmp_path / "\udcff.jsonl").write_bytes(event(0))
    with pytest.raises(InputsError) as raised:
        files([str(tmp_path / "*")], 1 << 20)
    assert len(raised.value.problems) == 2
    assert all("Rename the file" in one and one.isprintable() for one in raised.value.problems)


def test_an_event_without_its_time_is_known(tmp_path: Path) -> None:
    events = EventRecords("2026-11-30T00:00:00.123456Z", "event.occurred_at")
    path = tmp_path / "a.jsonl"
    path.write_bytes(event(0) + b"\n" + event(1, occurred_at="soon"))
    found = read(path, Form(Records.EVENTS, events))
    assert [events.is_undated(one.received) for one in found if one.received] == [False, True]
