"""`python -m enrichment check`: the pipeline and a sample event, checked before anything is deployed."""

import argparse
import gzip
import io
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from enrichment.commands import check, inspection, samples
from enrichment.settings.environment import PIPELINE_FILE, TABLE_FILE

from .conftest import FUNCTION

EVENT = {"event_id": "e-1", "user_id": "u-1", "type": "order", "occurred_at": "2026-03-01T13:00:00+02:00"}


def command(*arguments: str) -> int:
    parser = argparse.ArgumentParser()
    check.add_arguments(parser)
    return check.run(parser.parse_args(arguments))


def written(report: check.Report) -> dict[str, object]:
    return {line.column: line.value for line in report.lines}


def test_the_shipped_pipeline_is_right_and_shows_the_row_of_an_event_made_up() -> None:
    report = check.check(PIPELINE_FILE, TABLE_FILE)
    assert report.problems == ()
    names = [field["name"] for field in json.loads(TABLE_FILE.read_text())]
    assert [line.column for line in report.lines] == names
    assert all(value for value in written(report).values())


def test_a_sample_event_makes_the_row_that_the_function_would_write() -> None:
    profile = b'{"user_id": "u-1", "plan": "pro"}'
    report = check.check(PIPELINE_FILE, TABLE_FILE, json.dumps(EVENT).encode(), profile)
    assert report.insert_id.startswith("e-1|")
    row = written(report)
    assert (row["user_id"], row["occurred_at"], row["profile"]) == (
        "u-1",
        "2026-03-01T11:00:00Z",
        profile.decode(),
    )


def test_a_column_that_is_not_written_is_listed_all_the_same(tmp_path: Path) -> None:
    table = json.loads(TABLE_FILE.read_text())
    table.append({"name": "plan", "type": "STRING"})
    (tmp_path / "table.json").write_text(json.dumps(table))
    last = check.check(PIPELINE_FILE, tmp_path / "table.json").lines[-1]
    assert last == check.Line("plan", "STRING", "", None)


def test_attributes_and_every_type_of_field_are_tried(tmp_path: Path) -> None:
    fields = {
        "s": "string",
        "i": "integer",
        "n": "number",
        "b": "boolean",
        "t": "timestamp",
        "j": "json",
        "j.x": "json",
    }
    table = json.loads(TABLE_FILE.read_text())
    table += [{"name": name[-1], "type": "JSON"} for name in fields]
    table.append({"name": "source", "type": "STRING"})
    declared = "\n".join(f'"{name}" = "{kind}"' for name, kind in fields.items())
    columns = "\n".join(f'{name[-1]} = "event.{name}"' for name in fields)
    text = PIPELINE_FILE.read_text()
    text = text.replace("[event.fields]\n", f"[event.fields]\n{declared}\n")
    text = text.replace("[columns]\n", f'[columns]\n{columns}\nsource = "message.attributes.source"\n')
    (tmp_path / "pipeline.toml").write_text(text)
    (tmp_path / "table.json").write_text(json.dumps(table))
    report = check.check(tmp_path / "pipeline.toml", tmp_path / "table.json", attributes={"source": "web"})
    assert report.problems == ()
    assert written(report)["source"] == "web"
    assert all(written(report)[name[-1]] for name in fields)


@pytest.mark.parametrize(
    ("event", "profile", "said"),
    [
        (b"{", None, "the event would be dead-lettered: json_invalid"),
        (json.dumps(EVENT).encode(), b"[]", "the profile would be refused: profile_malformed"),
        (json.dumps(EVENT).encode(), b'{"user_id": "u-2"}', "the profile would be refused: profile_mismatch"),
    ],
)
def test_a_sample_that_would_not_be_written_is_reported_with_the_reason(
    event: bytes, profile: bytes | None, said: str
) -> None:
    (problem,) = check.check(PIPELINE_FILE, TABLE_FILE, event, profile).problems
    assert said in problem


def test_a_document_over_several_lines_is_named_once_where_each_line_is_an_event(tmp_path: Path) -> None:
    pipeline = tmp_path / "pipeline.toml"
    pipeline.write_text(PIPELINE_FILE.read_text().replace("[event]", '[event]\nformat = "ndjson"'))
    (problem,) = check.check(pipeline, TABLE_FILE, json.dumps(EVENT, indent=2).encode()).problems
    assert 'if several lines are one document, set format = "json" in [event]' in problem


def test_all_mistakes_of_the_files_are_printed_and_the_exit_code_says_so(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pipeline = tmp_path / "pipeline.toml"
    pipeline.write_text(PIPELINE_FILE.read_text().replace("timeout_s = 10", "timeout_s = 0\n[bold]"))
    assert command("--pipeline", str(pipeline)) == 1
    printed = capsys.readouterr().out
    assert "pipeline.toml: lookup.timeout_s is 0; it must be" in printed
    assert "pipeline.toml: bold is not known here." in printed


def test_an_event_from_a_file_is_shown_as_text_and_never_as_a_terminals_commands(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    event = tmp_path / "event.json"
    event.write_text(json.dumps({**EVENT, "type": "[red]\u009b2J\u202e"}))
    assert command("--event", str(event), "--attribute", "a=b=c") == 0
    printed = capsys.readouterr().out
    assert "[red]\\x9b2J\\u202e" in printed
    assert printed.isascii() or all(character.isprintable() or character == "\n" for character in printed)


def test_a_file_that_is_not_there_is_named(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    missing = str(tmp_path / "none.json")
    assert command("--event", missing, "--profile", str(tmp_path), "--table", missing) == 1
    printed = capsys.readouterr().out
    assert "3 to correct:" in printed
    assert f"{missing} cannot be read: No such file" in printed
    assert f"{tmp_path} cannot be read: Is a directory" in printed
    assert "none.json: cannot be read" in printed


@pytest.mark.parametrize("attribute", ["a", "=b", ""])
def test_an_attribute_is_a_name_and_a_value(attribute: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        command("--attribute", attribute)
    assert caught.value.code == 2
    assert "NAME=VALUE" in capsys.readouterr().err


def test_without_rich_the_command_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "rich", None)
    assert command() == 1
    assert "pip install" in capsys.readouterr().err


def test_the_function_itself_loads_neither_rich_nor_what_only_mistakes_need() -> None:
    modules = "enrichment.settings.pipeline_file, enrichment.row, enrichment.commands.check"
    code = f"import sys, {modules}; print(*sys.modules)"
    run = subprocess.run(
        [sys.executable, "-c", code],
        cwd=FUNCTION,
        capture_output=True,
        text=True,
        check=True,
    )
    assert not {"rich", "difflib", "httpx", "aiohttp", "google.cloud.bigquery"} & set(run.stdout.split())


def test_an_event_may_come_from_standard_input(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(json.dumps(EVENT).encode())))
    assert command("--event", "-") == 0
    printed = capsys.readouterr().out
    assert "insertId: e-1" in printed
    assert "\x1b" not in printed  # no terminal, no colours


NAMED = """
[event]
id = "event.id"
[event.fields]
id = { type = "string", max_length = 128 }
payload = { type = "json", required = false }
kind = { type = "string", default = "none" }
[lookup]
path = "/users/{id}"
echo = "id"
miss_error = "unknown"
[columns]
id = "event.id"
"""


@pytest.fixture
def pipeline(tmp_path: Path) -> Callable[..., check.Report]:
    """Check a pipeline with more columns against sample events."""

    def made(
        columns: dict[str, tuple[str, str]],
        *events: object,
        edit: tuple[str, str] = ("", ""),
        profile: bytes | None = None,
    ) -> check.Report:
        lines = [f"{name} = {source}" for name, (source, _) in columns.items()]
        (tmp_path / "pipeline.toml").write_text((NAMED + "\n".join(lines)).replace(*edit))
        fields = [{"name": "id", "type": "STRING", "mode": "REQUIRED"}]
        for name, (_, kind) in columns.items():
            kind, _, mode = kind.partition(" ")
            fields.append({"name": name, "type": kind, "mode": mode or "NULLABLE"})
        (tmp_path / "table.json").write_text(json.dumps({"schema": {"fields": fields}}))
        sample = b"\n".join(
            event if isinstance(event, bytes) else json.dumps(event).encode() for event in events
        )
        return check.check(tmp_path / "pipeline.toml", tmp_path / "table.json", sample or None, profile)

    return made


Checked = Callable[..., check.Report]


def test_every_event_of_a_file_is_tried_and_a_mistake_names_the_events_that_have_it(
    pipeline: Checked,
) -> None:
    columns = {"n": ("event.n", "INTEGER")}
    columns = {name: (f'"{source}"', kind) for name, (source, kind) in columns.items()}
    good, bad = {"id": "a", "n": 1}, {"id": "b", "n": "x"}
    report = pipeline(columns, good, bad, {"n": "y"}, bad, bad, b"{")
    assert report.events == 6
    assert sorted(problem.partition(":")[0] for problem in report.problems) == [
        "event 3", "event 6", "events 2, 3, 4 and 1 more"
    ]  # fmt: skip
    assert report.lines[1].value == "1"


@pytest.mark.parametrize(
    "text", ['[{"id": "a"}, {"id": "b"}]', '{"id": "a"}\n\n{"id": "b"}\r\n', ' [\n{"id":\n"a"}, {"id": "b"}]']
)
def test_a_file_of_events_is_an_array_or_one_on_each_line(text: str) -> None:
    events = samples.split(text.encode())
    assert [json.loads(event)["id"] for event in events] == ["a", "b"]


@pytest.mark.parametrize("text", ['{"id":\n"a"}', "{", "[1,", "\x1f\x8b\n\n"])
def test_anything_else_is_one_event(text: str) -> None:
    assert samples.split(text.encode()) == [text.encode()]


def test_an_event_that_is_nested_too_deeply_is_a_mistake_of_the_event(pipeline: Checked) -> None:
    assert "nested deeper" in pipeline({}, b"[" * 100_000).problems[0]


def test_an_empty_array_is_no_sample(pipeline: Checked) -> None:
    assert pipeline({}, b"[]").problems == ("the file has no event in it.",)


def test_mistakes_of_the_file_of_columns_and_of_events_are_reported_at_once(pipeline: Checked) -> None:
    columns = {
        "a": ('"event.a | event.b"', "STRING"),
        "n": ('"event.n"', "INTEGER"),
        "o": ('"event.o"', "STRING"),
        "r": ('{ from = "message.attributes.r", default = "x" }', "STRING"),
    }
    event = {"id": "e\n", "n": 1.5, "o": {"x": 1}, "kind": 5}
    problems = pipeline(columns, event, edit=("[columns]", "max = 5\n[columns]")).problems
    said = [
        "pipeline.toml: lookup.max is not known here",
        "pipeline.toml: columns.a is",
        "event_invalid: the message is not an event: id must be a string",
        "event_invalid: the message is not an event: kind must be a string",
        "column_invalid: column n has the type INTEGER: event.n must be a whole number",
        "column_invalid: column o has the type STRING: event.o must be a string or a number, and is an object",
    ]
    for expected in said[:2]:
        assert any(expected in problem for problem in problems)
    problems = pipeline({name: columns[name] for name in "nor"}, event).problems
    assert len(problems) == 4
    assert all(expected in problem for expected, problem in zip(said[2:], problems, strict=True))


@pytest.mark.parametrize(
    ("source", "event", "advice"),
    [
        ("event.teir", {"tier": 1}, "the sample has no event.teir. Did you mean event.tier?"),
        ("event.order.totl", {"order": {"total": 1}}, "Did you mean event.order.total?"),
        ("event.ordre.total", {"order": {"total": 1}}, "Did you mean event.order.total?"),
        ("event.nothing.alike", {"tier": 1}, "the sample has no event.nothing.alike."),
        (
            "event.labels.name",
            {"labels": [{"name": "a"}]},
            "Write event.labels[].name, or event.labels[0].name",
        ),
        ("event.labels.0.name", {"labels": [{"name": "a"}]}, "Write event.labels[0].name."),
        ("event.data.id", {"data": '{"id": 1}'}, "write from_json(event.data).id"),
        ("event.n.id", {"n": 1}, "event.n is no object in the sample"),
        (
            "event.labels[].{n: nmae}",
            {"labels": [{"name": "a"}]},
            "n of its records is null for the sample.",
        ),
        ("event.labels[0].nmae", {"labels": [{"name": "a"}]}, "gives nothing for the sample. See --explain."),
        ("event.teir || event.b", {"tier": 1, "b": 1}, "Did you mean event.tier?"),
    ],
)
def test_a_path_that_the_sample_does_not_have_is_pointed_out(
    pipeline: Checked, source: str, event: dict[str, object], advice: str
) -> None:
    report = pipeline({"c": (f'"{source}"', "JSON")}, {"id": "e", **event})
    assert report.problems == ()
    (warning,) = report.warnings
    assert warning.startswith("column c: ")
    assert advice in warning


def test_what_is_pointed_out_holds_for_each_of_the_tables(tmp_path: Path) -> None:
    (tmp_path / "orders.json").write_text(
        json.dumps(
            {"schema": {"fields": [{"name": "id", "type": "STRING"}, {"name": "t", "type": "STRING"}]}}
        )
    )
    (tmp_path / "pipeline.toml").write_text(
        """
        unmatched = "drop"
        [event]
        id = "event.id"
        [event.fields]
        id = "string"
        [[tables]]
        name = "orders"
        when = "event.kind == 'order'"
        table = "orders"
        schema = "orders.json"
        [tables.columns]
        id = "row.id"
        t = "event.teir"
        """
    )
    events = b'{"id": "a", "kind": "order", "tier": "x"}\n{"id": "b", "kind": "other", "teir": "x"}\n'
    report = inspection.check(tmp_path / "pipeline.toml", TABLE_FILE, events)
    assert report.problems == ()
    assert (
        report.warnings[0] == "table orders, column t: the sample has no event.teir. Did you mean event.tier?"
    )


def test_a_text_that_is_longer_than_its_column_is_found_before_bigquery_refuses_it(tmp_path: Path) -> None:
    fields = [
        {"name": "id", "type": "STRING", "mode": "REQUIRED"},
        {"name": "s", "type": "STRING", "maxLength": "3"},
        {"name": "b", "type": "BYTES", "maxLength": 3},
        {"name": "r", "type": "RECORD", "fields": [{"name": "x", "type": "STRING", "maxLength": "3"}]},
        {"name": "l", "type": "STRING", "mode": "REPEATED", "maxLength": "3"},
        {"name": "e", "type": "STRING", "maxLength": "3"},
    ]
    (tmp_path / "t.json").write_text(json.dumps({"schema": {"fields": fields}}))
    columns = "".join(f'{name} = "event.{name}"\n' for name in ("id", "s", "b", "r", "l"))
    (tmp_path / "pipeline.toml").write_text(
        f'[event]\nid = "event.id"\n[event.fields]\nid = "string"\n[columns]\n{columns}e = "event"\n'
    )

    def problems(event: dict[str, object]) -> tuple[str, ...]:
        data = json.dumps({"id": "e", **event}).encode()
        return inspection.check(tmp_path / "pipeline.toml", tmp_path / "t.json", data).problems

    good = problems({"s": "ééé", "b": "QUJD", "r": {"x": "abc"}, "l": ["abc"]})
    bad = problems({"s": "abcd", "b": "QUJDRA==", "r": {"x": "abcd"}, "l": ["abcd"]})
    assert ["column e" in problem for problem in good] == [True]
    assert len(bad) == len(fields) - 1
    assert sum("at most 3 characters" in problem for problem in bad) == 4
    assert sum("at most 3 bytes" in problem for problem in bad) == 1


@pytest.mark.parametrize("key", ["maxLength", "precision", "scale"])
@pytest.mark.parametrize("length", ['"x"', "-1", "1.5", "[]"])
def test_a_length_that_is_none_is_a_mistake_of_the_table(tmp_path: Path, key: str, length: str) -> None:
    (tmp_path / "t.json").write_text(
        f'{{"schema": {{"fields": [{{"name": "id", "type": "STRING", "{key}": {length}}}]}}}}'
    )
    report = inspection.check(PIPELINE_FILE, tmp_path / "t.json")
    assert "t.json" in report.problems[0]


@pytest.mark.parametrize(
    ("event", "settings", "mistake"),
    [
        ({"id": "e", "items": 1}, 'each = "event.items"', "[event] each must find an array"),
        ({"id": 5}, "", "id must be a string of 1 to 256 characters"),
        ({"id": ["e"]}, 'drop = "event.items"', "id must be a string of 1 to 256 characters"),
    ],
)
def test_an_event_without_a_row_has_no_mistake_in_its_rows_id(
    tmp_path: Path, event: dict[str, object], settings: str, mistake: str
) -> None:
    table = {"schema": {"fields": [{"name": "id", "type": "STRING", "mode": "REQUIRED"}]}}
    (tmp_path / "t.json").write_text(json.dumps(table))
    (tmp_path / "pipeline.toml").write_text(
        f'[event]\nid = "event.id"\n{settings}\n[event.fields]\nid = "string"\n[columns]\nid = "row.id"\n'
    )
    report = inspection.check(tmp_path / "pipeline.toml", tmp_path / "t.json", json.dumps(event).encode())
    (problem,) = report.problems
    assert mistake in problem


def test_a_row_of_each_table_is_shown_and_none_of_an_event_that_is_dropped(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "t.json").write_text(json.dumps({"schema": {"fields": [{"name": "id", "type": "STRING"}]}}))
    tables = "".join(
        f"""
        [[tables]]
        name = "{kind}"
        when = "event.kind == '{kind}'"
        table = "{kind}"
        schema = "t.json"
        [tables.columns]
        id = "row.id"
        """
        for kind in "xy"
    )
    (tmp_path / "pipeline.toml").write_text(
        f"""
        unmatched = "drop"
        [event]
        id = "event.id"
        drop = "event.kind == 'd'"
        {tables}
        """
    )
    events = [{"id": f"e{number}", "kind": kind} for number, kind in enumerate("dnyxy", start=1)]
    (tmp_path / "events.json").write_text(json.dumps(events))
    options = ("--pipeline", str(tmp_path / "pipeline.toml"), "--event", str(tmp_path / "events.json"))
    assert command(*options, "--explain") == 0
    said = " ".join(capsys.readouterr().out.split())  # a narrow table has a title of several lines
    assert "The way of sample event 3 for table y into its row" in said
    assert "The way of sample event 4 for table x into its row" in said
    assert said.count("into its row") == 2
    assert "3 of 5 events would be written." in said


@pytest.mark.parametrize(
    ("source", "value", "year"),
    [
        ('{ from = "event.t", unit = "s" }', 250_000_000_000, "9892"),
        ('{ from = "event.t", unit = "ms" }', 1_700_000_000, "1970"),
        ('"from_unix_s(event.t)"', 250_000_000_000, "9892"),
        ('{ from = "event.t", unit = "ms" }', 1_700_000_000_000, ""),
        ('"event.t"', "9999-12-31T00:00:00Z", ""),
    ],
)
def test_a_time_that_a_wrong_unit_moved_far_away_is_pointed_out(
    pipeline: Checked, source: str, value: object, year: str
) -> None:
    report = pipeline({"c": (source, "TIMESTAMP")}, {"id": "e", "t": value})
    assert report.problems == ()
    assert [f"in the year {year} for a sample" in warning for warning in report.warnings] == [True] * bool(
        year
    )


def test_a_path_that_one_event_has_or_that_is_declared_optional_is_not_pointed_out(pipeline: Checked) -> None:
    columns = {
        "a": ('"event.a.b"', "STRING"),
        "k": ('"event.kind"', "STRING"),
        "n": ('"event.null.x"', "JSON"),
        "p": ('"event.payload"', "JSON"),
    }
    report = pipeline(columns, {"id": "1", "null": None}, {"id": "2", "a": {"b": None}, "null": None})
    assert (report.problems, report.warnings) == ((), ())


def test_a_path_that_the_profile_does_not_have_is_pointed_out(pipeline: Checked) -> None:
    columns = {"tier": ('"profile.teir"', "STRING")}
    (warning,) = pipeline(columns, {"id": "e"}, profile=b'{"id": "e", "tier": "gold"}').warnings
    assert warning == "column tier: the sample has no profile.teir. Did you mean profile.tier?"
    assert pipeline(columns, {"id": "e"}).warnings == ()


def test_a_field_that_may_be_an_object_is_pointed_out_for_a_string_column(pipeline: Checked) -> None:
    (warning,) = pipeline({"p": ('"event.payload"', "STRING")}, {"id": "e", "payload": "text"}).warnings
    assert "Write to_string(event.payload) to keep it as JSON text." in warning


@pytest.mark.parametrize(
    ("event", "profile"),
    [({"id": "e", "kind": 5}, None), ({"id": "e"}, b'{"id": "other"}'), ({"id": 5}, None)],
)
def test_what_nothing_was_looked_up_for_is_no_mistake_of_its_columns(
    pipeline: Checked, event: object, profile: bytes | None
) -> None:
    columns = {"all": ('"profile"', "JSON REQUIRED"), "plan": ('"profile.plan"', "STRING")}
    (problem,) = pipeline(columns, event, profile=profile).problems
    assert "column" not in problem


EXPLAINED = '{"id":"e","s":1700000000000,"ms":null,"big":"x"}'


def test_each_columns_way_is_explained_step_by_step(pipeline: Checked) -> None:
    columns = {
        "at": ('{ from = "event.ms || event.s", unit = "ms" }', "TIMESTAMP"),
        "kind": ('{ from = "event.nothing", default = "x" }', "STRING"),
        "app": ('{ value = "web" }', "STRING"),
        "bad": ('"date(event.ms)"', "DATE"),
        "big": ('"event.big"', "INTEGER"),
        "all": ('"event"', "STRING"),
    }
    report = pipeline(columns, EXPLAINED.encode())
    steps = {line.column: [(step.what, step.gave) for step in line.steps] for line in report.lines}
    assert steps == {
        "id": [("event.id", "e"), ("string -> STRING", "e")],
        "at": [
            ("event.ms", "NULL"),
            ("event.s", "1700000000000"),
            ("event.ms || event.s", "1700000000000"),
            ("number -> TIMESTAMP (numbers are milliseconds since 1970)", "2023-11-14T22:13:20Z"),
        ],
        "kind": [("event.nothing", "NULL"), ("default", "x")],
        "app": [("constant", "web")],
        "bad": [("event.ms", "NULL"), ("date(event.ms)", "NULL"), ("nothing -> DATE", "NULL")],
        "big": [("event.big", "x"), ("string -> INTEGER", "error")],
        "all": [("event", EXPLAINED), ("as it came -> STRING", EXPLAINED)],
    }


def test_explain_prints_the_way_also_where_something_is_wrong(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    event = tmp_path / "event.json"
    event.write_text(json.dumps({**EVENT, "occurred_at": "soon"}))
    assert command("--event", str(event), "--explain") == 1
    printed = capsys.readouterr().out
    assert "1 to correct:" in printed
    assert "occurred_at must be a time of RFC 3339" in printed
    assert "string -> STRING" in printed


# --- events of other shapes ---

SHAPED = """
{event}
[event.fields]
user = "string"
[lookup]
path = "/profile/{{user}}"
echo = "user_id"
miss_error = "profile_not_found"
[columns]
id = "row.id"
{columns}
"""


@pytest.fixture
def shaped(tmp_path: Path) -> Callable[..., check.Report]:
    """Check a pipeline with these settings of its events and these columns."""

    def shaped(event: str, *columns: str, sample: bytes | None = None, more: str = "") -> check.Report:
        pipeline, table = tmp_path / "pipeline.toml", tmp_path / "table.json"
        pipeline.write_text(SHAPED.format(event=event, columns="\n".join(columns)) + more)
        fields = [{"name": name, "type": "STRING"} for name in ("id", "a", "b")]
        table.write_text(json.dumps({"schema": {"fields": fields}}))
        schema = {"type": "record", "name": "R", "fields": [{"name": "user", "type": "string"}]}
        (tmp_path / "r.avsc").write_text(json.dumps(schema))
        return check.check(pipeline, table, sample)

    return shaped


@pytest.mark.parametrize(
    "event",
    [
        '[event]\nid = "event.n"\nencoding = ["base64", "gzip"]\nformat = "ndjson"',
        '[event]\nid = ["cloudevent.source", "cloudevent.id"]\nformat = "cloudevents"',
        '[event]\nid = "content"\nformat = "avro"\nschema = "r.avsc"',
        '[event]\nid = ["event.o.id", "item.sku"]\neach = "event.items"',
        '[event]\nid = "event.user"\non_conflict = "write"',
    ],
)
def test_an_event_is_made_up_for_every_shape(shaped: Callable[..., check.Report], event: str) -> None:
    report = shaped(event, 'a = "event.user"')
    assert report.problems == ()
    found = written(report)
    assert found["id"]
    assert found["a"] == "sample user"


def test_a_sample_is_read_as_the_function_reads_it(shaped: Callable[..., check.Report]) -> None:
    event = '[event]\nid = "event.n"\nencoding = ["gzip"]\nformat = "ndjson"\ndrop = "event.ping"'
    lines = [{"n": 1, "user": "u"}, {"n": 2}, {"n": 3, "user": "u", "ping": True}]
    sample = gzip.compress(b"\n".join(json.dumps(line).encode() for line in lines))
    report = shaped(event, sample=sample)
    (problem,) = report.problems
    assert problem.startswith("event 2: ")
    assert "user is missing" in problem
    assert any("1 of 3 events would be dropped" in warning for warning in report.warnings)
    assert (report.events, report.dropped) == (3, 1)
    (problem,) = shaped(event, sample=b"{}").problems
    assert "data_undecodable: the data is not gzip" in problem


def test_the_row_is_that_of_the_table_that_takes_the_event(
    shaped: Callable[..., check.Report], tmp_path: Path
) -> None:
    (tmp_path / "orders.json").write_text(
        json.dumps(
            {"schema": {"fields": [{"name": "k", "type": "STRING"}, {"name": "n", "type": "INTEGER"}]}}
        )
    )
    more = """
[[tables]]
name = "orders"
when = "event.n"
table = "orders"
schema = "orders.json"
[tables.columns]
k = "event.user"
n = "event.n"
"""
    report = shaped('[event]\nid = "event.user"', sample=b'{"user": "u", "n": 7}', more=more)
    assert report.problems == ()
    assert written(report) == {"k": "u", "n": "7"}
