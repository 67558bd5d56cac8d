"""`python -m enrichment init`: what it proposes for events is what `check` accepts for them."""

import argparse
import gzip
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from enrichment.commands import init, inspection
from enrichment.commands.proposal import MAX_COLUMNS, NoProposalError, Proposal, propose
from hypothesis import given, settings
from hypothesis import strategies as st

LOOKUP = "/profile/{user_id}"


def command(*arguments: str) -> int:
    parser = argparse.ArgumentParser()
    init.add_arguments(parser)
    return init.run(parser.parse_args(arguments))


def proposed(*events: dict[str, Any]) -> Proposal:
    return propose([json.dumps({"user_id": "u", **event}).encode() for event in events], LOOKUP)


def columns(*events: dict[str, Any]) -> dict[str, tuple[str, str]]:
    """Type and source of the columns that are made of the events' own fields."""
    fixed = {"event", "profile", "message_id", "publish_time", "enriched_at", "trace_id", "user_id"}
    return {
        column.name: (f"{column.type} {column.mode}".removesuffix(" NULLABLE"), column.source + column.unit)
        for column in proposed(*events).columns
        if column.name not in fixed
    }


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([1, 2], ("INTEGER", "event.x")),
        ([1, 2.5], ("FLOAT", "event.x")),
        ([2**63], ("NUMERIC", "event.x")),
        ([True], ("BOOLEAN", "event.x")),
        (["a", None], ("STRING", "event.x")),
        (["2026-03-01T12:00:00.5Z"], ("TIMESTAMP", "event.x")),
        (["2026-02-30T12:00:00Z"], ("STRING", "event.x")),
        (["2026-03-01"], ("DATE", "event.x")),
        (["2026-03-01", "soon"], ("STRING", "event.x")),
        (["a", 1], ("JSON", "event.x")),
        ([["a", "b"], []], ("STRING REPEATED", "event.x")),
        ([[]], ("JSON", "event.x")),
        ([["a", 1]], ("JSON", "event.x")),
        ([[{"a": 1}]], ("JSON", "event.x")),
        ([None], ("JSON", "event.x")),
        ([{}], ("JSON", "event.x")),
        (['{"a": 1}', "[]"], ("JSON", "from_json(event.x)")),
        (['{"a": 1}', "{"], ("STRING", "event.x")),
        (["2026-03-01T12:00:00.000+0000"], ("TIMESTAMP", "event.x")),
        ([1_700_000_000], ("INTEGER", "event.x")),
    ],
    ids=str,
)
def test_a_field_becomes_a_column_that_takes_all_of_its_values(
    values: Sequence[object], expected: tuple[str, str]
) -> None:
    assert columns(*({"x": value} for value in values)) == {"x": expected}


@pytest.mark.parametrize(
    ("event", "expected"),
    [
        ({"created_at": 1_700_000_000}, {"created_at": ("TIMESTAMP", "event.created_ats")}),
        ({"time": 1_700_000_000_123}, {"time": ("TIMESTAMP", "event.timems")}),
        ({"timeUnixNano": "1700000000123456789"}, {"time_unix_nano": ("TIMESTAMP", "event.timeUnixNanons")}),
        ({"date": "1700000000123"}, {"date": ("TIMESTAMP", "event.datems")}),
        ({"date": "20260301"}, {"date": ("STRING", "event.date")}),
        ({"event_timestamp": 1_700_000_000_123_456}, {"event_timestamp": ("TIMESTAMP", "event.event_timestampus")}),
        ({"orderTotal": 1}, {"order_total": ("INTEGER", "event.orderTotal")}),
        ({"order": {"total": 1, "items": {"n": 1}}},
         {"order_total": ("INTEGER", "event.order.total"), "order_items": ("JSON", "event.order.items")}),
        ({"a b": 1}, {"a_b": ("INTEGER", 'event."a b"')}),
        ({"a.b": {"c-d": 1}}, {"a_b_c_d": ("INTEGER", 'event."a.b"."c-d"')}),
        ({"Ä": 1, "2x": 1}, {"field": ("INTEGER", 'event."\\u00c4"'), "field_2x": ("INTEGER", 'event."2x"')}),
        ({"X": 1, "x": "a"}, {"x": ("INTEGER", "event.X"), "x_2": ("STRING", "event.x")}),
        ({"ApiVersion": "2010-04-01"}, {"api_version": ("STRING", "event.ApiVersion")}),
        ({"event": 1}, {"event_2": ("INTEGER", "event.event")}),
        ({"_PARTITIONTIME": 1}, {"partitiontime": ("INTEGER", "event._PARTITIONTIME")}),
    ],
    ids=str,
)  # fmt: skip
def test_names_and_paths_are_what_bigquery_and_expressions_take(
    event: dict[str, Any], expected: dict[str, tuple[str, str]]
) -> None:
    assert columns(event) == expected


def test_the_id_is_a_string_that_every_sample_has_and_none_shares() -> None:
    assert proposed({"id": "a"}, {"id": "b"}).event_id == "event.id"
    assert proposed({"id": "a"}, {"id": "a"}).event_id == "message.id"
    assert proposed({"id": 1}).event_id == "message.id"
    assert proposed({"id": "x" * 129}).event_id == "message.id"
    assert proposed({"id": "a", "event_id": "b"}).event_id == "event.event_id"


@pytest.mark.parametrize("text", ["2026-03-01", "2026-03-01T12:00:00Z", '{"a": 1}'])
def test_the_ids_column_is_text_whatever_the_ids_look_like(text: str) -> None:
    assert columns({"id": text}) == {"id": ("STRING REQUIRED", "event.id")}


def test_no_more_columns_than_a_table_is_read_with() -> None:
    assert (
        len(columns({f"f{number}": 1 for number in range(MAX_COLUMNS + 50)})) == MAX_COLUMNS - 1
    )  # and user_id


def test_an_integer_may_be_the_key_of_the_lookup() -> None:
    found = propose([b'{"customer": {"id": 7}}', b'{"customer": {"id": 8}}'], "/customers/{customer.id}")
    assert '"customer.id" = "integer"' in found.pipeline


def test_the_file_says_truly_what_names_an_event() -> None:
    assert "its row: Pub/Sub's message id." in proposed({"x": 1}).pipeline
    assert "its row: a field of the event." in proposed({"id": "a"}).pipeline


def test_a_field_further_inside_or_a_number_that_may_be_the_id_is_pointed_out() -> None:
    events = [{"event": {"id": name}, "id": number, "no": {"id": "same"}} for number, name in enumerate("ab")]
    found = proposed(*events)
    assert found.event_id == "message.id"
    assert [line for line in found.pipeline.splitlines() if "may be" in line] == [
        "# It may be this one: event.event.id",
        "# It may be this one: event.id",
    ]
    assert "may be" not in proposed({"id": "a", "event": {"id": "b"}}).pipeline
    assert 'event.properties."$insert_id"' in proposed({"properties": {"$insert_id": "a"}}).pipeline


def test_the_schema_that_the_file_names_lies_beside_it(tmp_path: Path) -> None:
    (tmp_path / "events").write_text('{"a": 1}')
    assert command("--from-event", str(tmp_path / "events"), "--to", str(tmp_path / "mine")) == 0
    assert json.loads((tmp_path / "mine/pipeline.schema.json").read_text())["title"]


@pytest.mark.parametrize(
    ("events", "path", "said"),
    [
        ([], "", "the file has no event in it"),
        ([b"{}", b"["], "", "event 2 is no JSON object"),
        ([b"{}"], "/profile", "one placeholder"),
        (
            [b"{}"],
            LOOKUP,
            r"not every event has user_id as an integer or .* such as \{customer\.id\}\. .* params",
        ),
        (
            [gzip.compress(b"{}")],
            "",
            r"event 1 .*: it is compressed with gzip: set encoding .*\. Give .* without it",
        ),
    ],
)
def test_what_nothing_can_be_proposed_for_is_said(events: list[bytes], path: str, said: str) -> None:
    with pytest.raises(NoProposalError, match=said):
        propose(events, path)


_JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(codec="utf-8"), max_size=8)
    | st.sampled_from(["2026-03-01T12:00:00+02:00", "2026-03-01", '{"a": 1}', "0001-01-01T00:00:00+14:00"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=8,
)
_KEYS = st.text(st.characters(codec="utf-8"), min_size=1, max_size=6) | st.sampled_from(
    ["id", "event", "created_at", "ts", "a.b", "$x"]
)


@settings(deadline=None)
@given(st.lists(st.dictionaries(_KEYS, _JSON, max_size=5), min_size=1, max_size=3))
def test_whatever_the_events_check_accepts_the_proposal_for_them(
    tmp_path_factory: pytest.TempPathFactory, events: list[dict[str, Any]]
) -> None:
    encoded = [json.dumps({**event, "user_id": "u"}).encode() for event in events]
    proposal = propose(encoded, LOOKUP)
    folder = tmp_path_factory.getbasetemp()
    (folder / "proposed.toml").write_text(proposal.pipeline)
    (folder / "proposed.json").write_text(proposal.table)
    # Without a profile: the lookup is another test's.
    report = inspection.check(
        folder / "proposed.toml",
        folder / "proposed.json",
        b"\n".join(encoded),
        b'{"user_id": "u"}',
    )
    assert report.problems == ()
    assert report.warnings == ()


def test_without_a_service_to_look_up_the_proposal_has_no_lookup(tmp_path: Path) -> None:
    event = b'{"id": "a", "n": 1}'
    proposal = propose([event])
    (tmp_path / "pipeline.toml").write_text(proposal.pipeline)
    (tmp_path / "table.json").write_text(proposal.table)
    report = inspection.check(tmp_path / "pipeline.toml", tmp_path / "table.json", event)
    assert (report.problems, report.warnings) == ((), ())
    assert "profile" not in {line.column for line in report.lines}


def test_the_command_writes_two_files_that_check_accepts_and_overwrites_none(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    sample = tmp_path / "events.ndjson"
    sample.write_text(
        '{"id": "a", "user_id": "u", "at": "2026-03-01T12:00:00Z"}\n{"id": "b", "user_id": "v"}\n'
    )
    arguments = ("--from-event", str(sample), "--lookup", LOOKUP, "--to", str(tmp_path / "new"))
    assert command(*arguments) == 0
    assert "9 columns, named by event.id." in capsys.readouterr().out
    report = inspection.check(
        tmp_path / "new" / "pipeline.toml", tmp_path / "new" / "table.json", sample.read_bytes()
    )
    assert (report.problems, report.warnings, report.events) == ((), (), 2)
    assert command(*arguments) == 1
    assert "is there already" in capsys.readouterr().err
    assert command("--from-event", str(tmp_path / "none"), "--to", str(tmp_path / "other")) == 1
    assert "No such file" in capsys.readouterr().err


def test_samples_that_came_as_one_array_may_be_one_message(tmp_path: Path) -> None:
    array = b'[{"id": "a"}, {"id": "b"}]'
    advice = '# format = "json-array"\n'
    proposed = propose([b'{"id": "a"}', b'{"id": "b"}'], from_array=True).pipeline
    assert advice in proposed
    assert advice not in propose([b'{"id": "a"}']).pipeline
    (tmp_path / "pipeline.toml").write_text(proposed.replace(advice, advice.removeprefix("# ")))
    (tmp_path / "table.json").write_text(propose([b'{"id": "a"}']).table)
    report = inspection.check(tmp_path / "pipeline.toml", tmp_path / "table.json", array)
    assert (report.problems, report.events) == ((), 2)


def test_arrays_of_objects_that_may_be_rows_are_pointed_out(tmp_path: Path) -> None:
    event = {"Records": [{"n": 1}, {"n": 2}], "tags": ["a"], "none": [], "detail": {"x-lines": [{"n": 1}]}}
    proposal = propose([json.dumps(event).encode()])
    lines = [line for line in proposal.pipeline.splitlines() if line.startswith("# each")]
    assert lines == ['# each = "event.Records"', '# each = "event.detail.x-lines"']
    taken = proposal.pipeline.replace(lines[0], lines[0].removeprefix("# ")) + 'id = "row.id"\n'
    (tmp_path / "pipeline.toml").write_text(taken)
    table = [*json.loads(proposal.table), {"name": "id", "type": "STRING"}]
    (tmp_path / "table.json").write_text(json.dumps(table))
    report = inspection.check(tmp_path / "pipeline.toml", tmp_path / "table.json", json.dumps(event).encode())
    assert report.problems == ()
    assert report.insert_id.startswith("1234567890|0|")
    assert "# each" not in propose([b'{"tags": ["a"], "mixed": [{}, 1], "none": []}']).pipeline
