"""Events that have no folder in examples/event-shapes: what docs/event-shapes.md says that they need, tried.

Each row of the page's second table has a case here, with an event as its publisher documents it, cut down to what
matters.
"""

import json
import re
from dataclasses import dataclass
from pathlib import Path

import pytest
from enrichment.commands.inspection import check

PAGE = Path(__file__).parents[2] / "docs" / "event-shapes.md"


@dataclass(frozen=True)
class Case:
    """One publisher.

    Args:
        name: As the page names it.
        message: The data of one message, JSON.
        event: Settings of `[event]`.
        columns: For each column its type, its source as the file has it, and what it holds in the first row.
    """

    name: str
    message: object
    event: str
    columns: dict[str, tuple[str, str, object]]


CASES = [
    Case(
        "SendGrid, HubSpot, Azure Event Grid",
        [
            {"sg_event_id": "a", "timestamp": 1513299569, "category": "x"},
            {"sg_event_id": "b", "timestamp": 1513299570, "category": ["x"]},
        ],
        'format = "json-array"\nid = "event.sg_event_id"',
        {
            "at": ("TIMESTAMP", '{ from = "event.timestamp", unit = "s" }', "2017-12-15T00:59:29Z"),
            "category": ("STRING REPEATED", '"[event.category][]"', ["x"]),
        },
    ),
    Case(
        "OpenTelemetry (OTLP/JSON)",
        {
            "resourceLogs": [
                {
                    "resource": {"attributes": [{"key": "service.name", "value": {"stringValue": "shop"}}]},
                    "scopeLogs": [{"logRecords": [{"timeUnixNano": "1700000000123456789"}]}],
                }
            ]
        },
        'id = "message.id"\neach = ["event.resourceLogs", "item.scopeLogs", "item.logRecords"]',
        {
            "at": ("TIMESTAMP", '{ from = "item.timeUnixNano", unit = "ns" }', "2023-11-14T22:13:20.123456Z"),
            "service": (
                "STRING",
                "\"parents[0].resource.attributes[?key == 'service.name'] | [0].value.stringValue\"",
                "shop",
            ),
        },
    ),
    Case(
        "Amazon S3",
        {
            "Records": [
                {"s3": {"bucket": {"name": "b"}, "object": {"key": "k", "size": 7, "sequencer": "0055"}}}
            ]
        },
        'id = ["item.s3.bucket.name", "item.s3.object.key", "item.s3.object.sequencer"]\neach = "event.Records"',
        {"size": ("INTEGER", '"item.s3.object.size"', "7")},
    ),
    Case(
        "Meta (WhatsApp, Instagram)",
        {"entry": [{"id": "w-1", "changes": [{"field": "messages"}]}, {"id": "w-2"}]},
        'id = "message.id"\neach = ["event.entry", "item.changes"]',
        {"account": ("STRING", '"parents[0].id"', "w-1"), "field": ("STRING", '"item.field"', "messages")},
    ),
    Case(
        "Slack's Events API",
        {"event_id": "Ev1", "event": {"ts": "1355517523.000005"}},
        'id = "event.event_id"',
        {"at": ("TIMESTAMP", '{ from = "event.event.ts", unit = "s" }', "2012-12-14T20:38:43.000005Z")},
    ),
    Case(
        "Google Analytics 4",
        {"event_date": "20260301", "event_timestamp": "1700000000123456", "user_pseudo_id": "1.2"},
        'id = ["event.user_pseudo_id", "event.event_timestamp"]',
        {"day": ("DATE", "\"date(parse_time(event.event_date, '%Y%m%d'))\"", "2026-03-01")},
    ),
    Case(
        "Debezium, Kafka Connect",
        {"payload": {"id": 1, "born_on": 19000}},
        'id = "event.payload.id"',
        {"born_on": ("DATE", '{ from = "event.payload.born_on", unit = "d" }', "2022-01-08")},
    ),
    Case(
        "DynamoDB streams",
        {"eventID": "e", "dynamodb": {"NewImage": {"price": {"N": "12.50"}, "tags": {"SS": ["a"]}}}},
        'id = "event.eventID"',
        {
            "price": ("NUMERIC", '"event.dynamodb.NewImage.price.N"', "12.5"),
            "tags": ("STRING REPEATED", '"event.dynamodb.NewImage.tags.SS"', ["a"]),
        },
    ),
    Case(
        "MongoDB (extended JSON)",
        {"_id": {"_data": "826"}, "fullDocument": {"at": {"$date": {"$numberLong": "1700000000123"}}}},
        'id = "event._id._data"',
        {
            "at": (
                "TIMESTAMP",
                '{ from = "event.fullDocument.at.$date.$numberLong", unit = "ms" }',
                "2023-11-14T22:13:20.123000Z",
            )
        },
    ),
    Case(
        "Kubernetes' audit log",
        {
            "items": [
                {"auditID": "a", "stage": "s", "annotations": {"authorization.k8s.io/decision": "allow"}}
            ]
        },
        'id = ["item.auditID", "item.stage"]\neach = "event.items"',
        {"decision": ("STRING", "'item.annotations.\"authorization.k8s.io/decision\"'", "allow")},
    ),
    Case(
        "Snowplow",
        {"data": [{"eid": "e", "dtm": "1700000000123", "cx": "eyJhIjoxfQ"}]},
        'id = "item.eid"\neach = "event.data"',
        {
            "at": ("TIMESTAMP", '{ from = "item.dtm", unit = "ms" }', "2023-11-14T22:13:20.123000Z"),
            "context": ("JSON", '"from_json(base64_decode(item.cx))"', '{"a":1}'),
        },
    ),
    Case(
        "Mail, Twilio (RFC 2822)",
        {"sid": "s", "date_sent": "Sun, 01 Mar 2026 12:00:00 +0000"},
        'id = "event.sid"',
        {
            "sent_at": (
                "TIMESTAMP",
                "\"parse_time(event.date_sent, '%a, %d %b %Y %H:%M:%S %z')\"",
                "2026-03-01T12:00:00Z",
            )
        },
    ),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_an_event_becomes_the_row_that_its_publisher_means(case: Case, tmp_path: Path) -> None:
    lines = "\n".join(f"{name} = {source}" for name, (_, source, _) in case.columns.items())
    (tmp_path / "pipeline.toml").write_text(f'[event]\n{case.event}\n[columns]\nrow_id = "row.id"\n{lines}\n')
    fields = [{"name": "row_id", "type": "STRING"}]
    for name, (kind, _, _) in case.columns.items():
        kind, _, mode = kind.partition(" ")
        fields.append({"name": name, "type": kind, "mode": mode or "NULLABLE"})
    (tmp_path / "table.json").write_text(json.dumps(fields))
    sample = json.dumps(case.message).encode()
    report = check(tmp_path / "pipeline.toml", tmp_path / "table.json", sample)
    assert (report.problems, report.warnings) == ((), ())
    values = {line.column: line.value for line in report.lines}
    del values["row_id"]
    assert values == {name: value for name, (_, _, value) in case.columns.items()}


def test_the_page_names_these_publishers_and_what_they_need() -> None:
    text = PAGE.read_text().partition("## Other events")[2]
    rows = {cells[0]: cells[1] for cells in re.findall(r"^\| ([^|]+) \| (.+) \|$", text, re.MULTILINE)}
    assert {name for name in rows if name not in ("events", "---")} == {case.name for case in CASES}
    for case in CASES:
        for setting in re.findall(r"`([^`]+)`", rows[case.name].replace("\\|", "|")):
            written = "\n".join([case.event, *(source for _, source, _ in case.columns.values())])
            assert setting in written, f"{case.name}: {setting} is not tried"
