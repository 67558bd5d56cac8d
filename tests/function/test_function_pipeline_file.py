"""What `pipeline.toml` may say, and that all that is wrong with it is reported at once."""

import json
import re
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from enrichment.settings import pipeline_file
from enrichment.settings.lookup_rules import DeclaredField, Echo, LookupRules, MissRule
from enrichment.settings.model import (
    BatchLimits,
    ColumnOptions,
    Field,
    FieldType,
    PipelineConfig,
    TableField,
)
from enrichment.settings.pipeline_file import PipelineFileError
from hypothesis import given
from hypothesis import strategies as st

from .conftest import FUNCTION
from .lookup_cases import PROFILE

Read = Callable[..., PipelineConfig]
Problems = Callable[..., list[str]]

MINIMAL = """
[event]
id = "event.id"
[event.fields]
id = { type = "string", max_length = 128 }
user = "string"
[lookup]
path = "/users/{user}"
echo = "user"
miss_error = "unknown"
[columns]
id = "event.id"
"""


def field(name: str, kind: str = "STRING", mode: str = "NULLABLE", **more: object) -> dict[str, Any]:
    return {"name": name, "type": kind, "mode": mode, **more}


ID = field("id", mode="REQUIRED")


@pytest.fixture
def read(tmp_path: Path) -> Read:
    """Read a pipeline with some text replaced, against a table with the id and these columns."""

    def read(
        *edits: tuple[str, str], more: str = "", columns: list[dict[str, Any]] | None = None
    ) -> PipelineConfig:
        text = MINIMAL + more
        for old, new in edits:
            assert text.count(old) == 1
            text = text.replace(old, new)
        (tmp_path / "pipeline.toml").write_text(text)
        fields = [ID, *(columns or [])]
        (tmp_path / "table.json").write_text(json.dumps({"schema": {"fields": fields}}))
        return pipeline_file.read(tmp_path / "pipeline.toml", tmp_path / "table.json")

    return read


@pytest.fixture
def problems(read: Read) -> Problems:
    """What is wrong with a pipeline, without the file's name; nothing if it is right."""

    def problems(
        *edits: tuple[str, str], more: str = "", columns: list[dict[str, Any]] | None = None
    ) -> list[str]:
        try:
            read(*edits, more=more, columns=columns)
        except PipelineFileError as error:
            return [problem.removeprefix("pipeline.toml: ") for problem in error.problems]
        return []

    return problems


def test_the_shipped_file_fits_the_table_and_says_the_defaults() -> None:
    shipped = pipeline_file.read(FUNCTION / "pipeline.toml", FUNCTION / "enrichment" / "table.json")
    assert [source.text for source in shipped.event.id] == ["event.event_id"]
    assert shipped.event.fields == (
        Field(("event_id",), FieldType.STRING, max_length=128),
        Field(("user_id",), FieldType.STRING),
        Field(("type",), FieldType.STRING),
        Field(("occurred_at",), FieldType.TIMESTAMP),
    )
    assert shipped.lookups == (PROFILE,)
    assert shipped.batch == BatchLimits()


def test_the_examples_in_the_shipped_files_comments_are_right(tmp_path: Path) -> None:
    text = (FUNCTION / "pipeline.toml").read_text()
    written = text.partition("--- What is written")[2]
    examples = [
        line.removeprefix("#   ") for line in written.splitlines() if re.match(r"#   [a-z]+ = ", line)
    ]
    assert [*tomllib.loads("\n".join(examples))] == ["plan", "total", "source", "labels", "created", "mail"]
    table = json.loads((FUNCTION / "enrichment" / "table.json").read_text())
    table += [
        field("plan"),
        field("total", "NUMERIC"),
        field("source"),
        field("labels", mode="REPEATED"),
        field("created", "TIMESTAMP"),
        field("mail"),
    ]
    (tmp_path / "pipeline.toml").write_text(
        text.replace("[columns]\n", "\n".join(["[columns]", *examples, ""]))
    )
    (tmp_path / "table.json").write_text(json.dumps(table))
    columns = pipeline_file.read(tmp_path / "pipeline.toml", tmp_path / "table.json").columns
    assert [(column.source, column.default) for column in columns[:3]] == [
        ("profile.plan", "free"), ("event.order.total", None), ("message.attributes.source", None)
    ]  # fmt: skip


def test_what_is_left_out_has_its_default(read: Read) -> None:
    config = read()
    assert config.lookups == (
        LookupRules(
            "/users/{user}",
            {"user": DeclaredField("user")},
            echo=(Echo(("user",)),),
            miss=MissRule(404, ("error",), "unknown", repeats_key=True),
        ),
    )
    assert config.batch == BatchLimits()


def test_a_field_inside_of_another_may_be_looked_up(read: Read) -> None:
    config = read(('user = "string"', '"order.user" = "string"'), ("{user}", "{order.user}"))
    assert config.lookups[0].values == {"order.user": DeclaredField("order.user")}


def test_the_message_may_name_the_event(read: Read) -> None:
    config = read(
        ('id = "event.id"\n[event.f', 'id = "message.id"\n[event.f'),
        ('s]\nid = "event.id"', 's]\nid = "message.id"'),
    )
    assert [source.text for source in config.event.id] == ["message.id"]


def test_fields_are_required_unless_they_have_a_default_or_say_otherwise(read: Read) -> None:
    declared = """
        a = { type = "number", required = false }
        "b.c" = { type = "timestamp", default = 2026-03-01T12:00:00+02:00 }
        d = { type = "json", default = { x = [1, 2026-03-01] } }
    """
    fields = {f.name: f for f in read(('user = "string"', 'user = "string"' + declared)).event.fields}
    assert not any(fields[name].required for name in ("a", "b.c", "d"))
    assert str(fields["b.c"].default) == "2026-03-01 10:00:00+00:00"
    assert fields["d"].default == {"x": [1, "2026-03-01"]}


def test_a_columns_default_is_kept_as_bigquery_takes_it(read: Read) -> None:
    more = """
        n = { from = "profile.n", default = 7 }
        j = { from = "profile.j", default = { a = 1 } }
        d = { from = "profile.d", default = 2026-03-01 }
        r = { from = "profile.r", default = ["x"] }
    """
    columns = [field("n", "INT64"), field("j", "JSON"), field("d", "DATE"), field("r", mode="REPEATED")]
    found = {column.name: column.default for column in read(more=more, columns=columns).columns}
    assert found == {"id": None, "n": "7", "j": '{"a":1}', "d": "2026-03-01", "r": ["x"]}


def test_a_column_knows_its_place_in_the_table(read: Read) -> None:
    record = field("item", "STRUCT", fields=[field("n", "INT64", "REQUIRED"), field("tags", mode="REPEATED")])
    (_, column) = read(more='item = "event.item"', columns=[record]).columns
    fields = (TableField("n", "INTEGER", required=True), TableField("tags", "STRING", repeated=True))
    assert (column.name, column.type, column.source, column.fields) == (
        "item",
        "RECORD",
        "event.item",
        fields,
    )


def test_a_constant_may_be_of_any_type(read: Read) -> None:
    more = """
        n = { value = 7 }
        r = { value = ["x"] }
        j = { value = { a = 1 } }
    """
    columns = [field("n", "INT64"), field("r", mode="REPEATED"), field("j", "JSON")]
    found = {
        column.name: (column.expression, column.default)
        for column in read(more=more, columns=columns).columns[1:]
    }
    assert found == {"n": (None, "7"), "r": (None, ["x"]), "j": (None, '{"a":1}')}


def test_a_pipeline_knows_which_functions_it_calls(read: Read) -> None:
    config = read(more="c = \"lower(hmac_sha256(event.user)) || 'x'\"", columns=[field("c")])
    assert config.calls("hmac_sha256")
    assert not config.calls("sha256")


def test_a_column_says_how_its_values_are_converted(read: Read) -> None:
    more = """
        t = { from = "event.t", unit = "ms" }
        n = { from = "event.n", round = true }
        r = { from = "event.r", unknown_fields = "ignore" }
    """
    record = field("r", "RECORD", fields=[field("x")])
    columns = read(more=more, columns=[field("t", "TIMESTAMP"), field("n", "NUMERIC"), record]).columns[1:]
    assert [column.options for column in columns] == [
        ColumnOptions(unit="ms"), ColumnOptions(rounds=True), ColumnOptions(ignores_unknown_fields=True)
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("each", "says"),
    [
        ('["event.a", "event.b"]', "the same for each item of the array before it; write item.PATH"),
        ('["event.a", 7]', "must be an expression"),
    ],
)
def test_an_array_inside_of_items_is_found_in_the_item(problems: Problems, each: str, says: str) -> None:
    assert any(
        "event.each" in problem and says in problem
        for problem in problems(("[event]", f"[event]\neach = {each}"))
    )


NOT_SECONDS = ["-1", "nan", "inf", "true", '"10"', "[]"]
NOT_WHOLE = ["0", "-1", "1.5", "1e3", "true", '"10"', "100_000_000_000"]


@pytest.mark.parametrize(
    ("section", "key", "values"),
    [
        ("lookup", "timeout_s", [*NOT_SECONDS, "0", "601"]),
        ("lookup.cache", "ttl_s", [*NOT_SECONDS, "604_801"]),
        ("lookup.cache", "negative_ttl_s", NOT_SECONDS),
        ("lookup.cache", "stale_if_error_s", NOT_SECONDS),
        ("lookup", "max_in_flight", [*NOT_WHOLE, "1001"]),
        ("lookup", "max_answer_bytes", [*NOT_WHOLE, "10_000_001"]),
        ("lookup.cache", "max_entries", NOT_WHOLE),
        ("lookup.cache", "max_bytes", NOT_WHOLE),
        ("batch", "max_rows", [*NOT_WHOLE, "50_001"]),
        ("batch", "max_bytes", [*NOT_WHOLE, "9_000_001"]),
    ],
)
def test_a_limit_outside_its_range_is_refused(
    problems: Problems, section: str, key: str, values: list[str]
) -> None:
    for value in values:
        edit = (("[columns]", f"{key} = {value}\n[columns]"),) if section == "lookup" else ()
        (problem,) = problems(*edit, more="" if edit else f"[{section}]\n{key} = {value}")
        assert problem.startswith(f"{section}.{key} is ")
        assert "; it must be a " in problem


@pytest.mark.parametrize(
    ("line", "place", "advice"),
    [
        ('"a..b" = "json"', '"a..b"', "is empty"),
        ('order.total = "number"', "order", '"order.total"'),
        ('"user.x" = "json"', '"user.x"', "declared as string"),
        ('n = { type = "number", max_length = 1 }', "n.max_length", "strings alone"),
        ('n = { type = "number", required = true, default = 1 }', "n.default", "never used"),
        ('n = { type = "number", default = nan }', "n.default", "JSON"),
        ('n = { type = "json", default = [inf] }', "n.default", "JSON"),
        ('t = { type = "timestamp", default = 2026-03-01T12:00:00 }', "t.default", "offset"),
    ],
)
def test_a_field_that_cannot_be_declared_so_is_named(
    problems: Problems, line: str, place: str, advice: str
) -> None:
    (problem,) = problems(('user = "string"', f'user = "string"\n{line}'))
    assert problem.startswith(f"event.fields.{place} ")
    assert advice in problem


@pytest.mark.parametrize(
    ("edit", "place", "advice"),
    [
        (('id = "event.id"\n[e', 'id = "event.idd"\n[e'), "event.id", "Did you mean id?"),
        (('id = "event.id"\n[e', 'id = "profile.id"\n[e'), "event.id", "is none of event, message"),
        (('id = "event.id"\n[e', 'id = ["event.id", "event.idd"]\n[e'), "event.id", "Did you mean id?"),
        (('id = "event.id"\n[e', "id = []\n[e"), "event.id", "is an empty list"),
        (('id = "event.id"\n[e', "id = 7\n[e"), "event.id", "must be an expression"),
        (('id = "event.id"\n[e', 'id = "item.id"\n[e'), "event.id", "is none of event, message"),
        (('id = "event.id"\n[e', 'id = "cloudevent.id"\n[e'), "event.id", "is none of event, message"),
        (('id = "event.id"\n[e', 'id = "event.a == event.b"\n[e'), "event.id", "must be an expression"),
        (("[event]", '[event]\nencoding = ["gzip", "zip"]'), "event.encoding", "Did you mean gzip?"),
        (("[event]", "[event]\nencoding = 7"), "event.encoding", "must be a list"),
        (
            ("[event]", "[event]\nmax_unpacked_bytes = 67108865"),
            "event.max_unpacked_bytes",
            "1 to 67,108,864",
        ),
        (("[event]", '[event]\nformat = "ndjsn"'), "event.format", "Did you mean ndjson?"),
        (("[event]", '[event]\nformat = "avro"'), "event.schema", "is missing"),
        (("[event]", '[event]\nformat = "avro"\nschema = "none.avsc"'), "event.schema", "cannot be read"),
        (
            ("[event]", '[event]\nformat = "avro"\nschema = "../a.avsc"'),
            "event.schema",
            "beside pipeline.toml",
        ),
        (("[event]", '[event]\nschema = "a.avsc"'), "event.schema", "for format"),
        (("[event]", '[event]\non_conflict = "last"'), "event.on_conflict", "last-wins"),
        (("[event]", "[event]\ndrop = []"), "event.drop", "is an empty list"),
        (("[event]", '[event]\ndrop = "`true`"'), "event.drop", "which is the same for every event"),
        (
            ("[event]", '[event]\ndrop = ["event.a == \'x\'", "!`false`"]'),
            "event.drop",
            "which is the same for every event",
        ),
        (("[event]", '[event]\ndrop = "profile.plan"'), "event.drop", "is none of event, message"),
        (("[event]", '[event]\ndrop = "evnt.plan"'), "event.drop", "Did you mean event?"),
        (("[event]", '[event]\neach = "event.items["'), "event.each", "ends too early"),
        (("[event]", "[event]\neach = []"), "event.each", "is an empty list"),
        (("[event]", '[event]\neach = ["item.a"]'), "event.each", "item is none of event, message"),
        (("[event]", 'unmatched = "drop"\n[event]'), "unmatched", "there are none"),
        (('id = "event.id"\n[e', 'id = "event"\n[e'), "event.id", '"message.id"'),
        (('id = "event.id"\n[e', "[e"), "event.id", "is missing"),
        (('"string", max_length = 128', '"number"'), "event.id", "required string or integer"),
        (
            ('user = "string"', 'user = { type = "string", required = false }'),
            "lookup.path",
            "required string",
        ),
        (("max_length", "maxlength"), "event.fields.id.maxlength", "Did you mean max_length?"),
        (("max_length = 128", "max_length = 0"), "event.fields.id.max_length", "from 1 to"),
        (('user = "string"', 'user = "String"'), "event.fields.user", "Did you mean string?"),
        (('user = "string"', "user = 1"), "event.fields.user", "must be a type"),
        (("/users/{user}", "/users/{usr}"), "lookup.path", "Did you mean user?"),
        (
            ('user = "string"', 'user = { type = "string", max_length = 4_097 }'),
            "lookup.path",
            "max_length = 4096 or less",
        ),
        (("/users/{user}", "/users"), "lookup.path", "with 0 placeholders"),
        (("/users/{user}", "/users/{user}/{user}"), "lookup.path", "two placeholders user"),
        (("/users/{user}", "users/{user}"), "lookup.path", "start with a slash"),
        (("/users/{user}", "//users/{user}"), "lookup.path", "no empty segment"),
        (("/users/{user}", "/users/{user}?all"), "lookup.path", "no query"),
        (("/users/{user}", "/a/../{user}"), "lookup.path", "segment of dots"),
        (("/users/{user}", "/users/{id }"), "lookup.path", "not declared"),
        (('echo = "user"', 'echo = ""'), "lookup.echo", "repeats the key"),
        (('miss_error = "unknown"', 'miss_error = ""'), "lookup.miss_error", "what `error` says"),
        (
            ('miss_error = "unknown"', 'miss_error = "unknown"\non_miss = "drop"'),
            "lookup.on_miss",
            "write, dead-letter, retry",
        ),
        (
            ('miss_error = "unknown"', 'miss_error = "unknown"\nonmiss = "write"'),
            "lookup.onmiss",
            "Did you mean on_miss?",
        ),
        (("[lookup]", "[lookupss]\n[lookup]"), "lookupss", "Did you mean lookups?"),
        (("[lookup]", "[lookup]\ncache = 5"), "lookup.cache", "must be a table"),
        (('s]\nid = "event.id"', 's]\nid = "event.user"'), "columns", 'event id: COLUMN = "event.id"'),
    ],
)
def test_a_mistake_is_named_with_its_place_and_what_to_do(
    problems: Problems,
    edit: tuple[str, str],
    place: str,
    advice: str,
) -> None:
    (problem,) = problems(edit)
    assert problem.startswith(f"{place} ")
    assert advice in problem


@pytest.mark.parametrize(
    ("column", "source", "advice"),
    [
        (field("c"), '"message.attribute.a"', "Did you mean message.attributes?"),
        (field("c"), '"message.attributes."', "is empty"),
        (field("c"), '"nowe"', "Did you mean now?"),
        (field("c"), '"event.a..b"', "is empty"),
        (field("c"), '"now.x"', "has nothing inside"),
        (field("c"), "5", "must be an expression"),
        (field("c"), "{ default = 5 }", "from is missing"),
        (field("c"), '{ from = "now", defalt = 5 }', "Did you mean default?"),
        (field("C"), '"now"', "is no column of the table. Did you mean C?"),
        (field("c", "DATE"), '"now"', "takes no timestamp"),
        (field("c", "RECORD"), '"event.user"', "takes no string"),
        (field("c", "BOOLEAN"), '"now"', "takes no timestamp"),
        (field("c", mode="REPEATED"), '"event.user"', "takes no string"),
        (field("c", "INTEGER"), '"event"', "takes no whole event"),
        (field("c", mode="REPEATED"), '"profile"', "takes no whole profile"),
        (field("c", "INTERVAL"), '"event.x"', "INTERVAL in it, which this function cannot write"),
        (field("c", "RECORD", fields=[field("x", "RANGE")]), '"event.x"', "RANGE in it"),
        (
            field("c", "RECORD", fields=[field("x", "RANGE")]),
            '{ from = "event.x", default = { x = 1 } }',
            "RANGE in it",
        ),
        (field("c"), '"event.user.name"', "user is declared as string"),
        (field("c", "INTEGER"), '{ from = "event.x", default = 1.5 }', "must be a whole number"),
        (field("c", "TIMESTAMP"), '{ from = "event.x", default = "soon" }', "must be a time"),
        (field("c", mode="REQUIRED"), '"event.x"', "declare it in [event.fields]"),
        (field("c", mode="REQUIRED"), '"profile.x"', "make the column NULLABLE"),
        (field("c", mode="REQUIRED"), '"message.attributes.x"', "make the column NULLABLE"),
        (field("c", mode="REQUIRED"), '"message.ordering_key"', "make the column NULLABLE"),
        (field("c"), '"event.a | event.b"', "write ||"),
        (
            field("c"),
            '"{a: event.x}"',
            "takes no object. To write it as JSON text, put to_string() around it",
        ),
        (field("c"), '"event.labels[].name"', "takes no array"),
        (field("c", mode="REPEATED"), '"date(event.x)"', "takes lists, and the expression gives string"),
        (field("c", "BOOLEAN"), '"length(event.x)"', "takes no number"),
        (field("c", "DATE"), '"event.user.x[0]"', "user is declared as string, and has nothing inside"),
        (field("c", mode="REQUIRED"), '"event.x || event.y"', "may give null: end it with || and a value"),
        (field("c", mode="REQUIRED"), '"date(event.x)"', "may give null"),
        (field("c"), '{ from = "event.x", unit = "ms" }', "is for DATE or DATETIME or TIME or TIMESTAMP"),
        (field("c"), '{ from = "event.x", round = true }', "is for BIGNUMERIC or NUMERIC"),
        (field("c"), '{ from = "event.x", unknown_fields = "ignore" }', "is for RECORD"),
        (field("c", "TIMESTAMP"), '{ from = "event.x", unit = "min" }', "must be one of d, s, ms, us, ns"),
        (field("c"), '{ value = "a", from = "event.x" }', "from is not known here"),
        (field("c", "INTEGER"), '{ value = "a" }', "it must be a whole number"),
    ],
    ids=str,
)
def test_a_column_that_cannot_take_its_source_is_refused(
    problems: Problems,
    column: dict[str, Any],
    source: str,
    advice: str,
) -> None:
    (problem,) = problems(more=f"c = {source}", columns=[column])
    assert problem.startswith("columns.c")
    assert advice in problem


@pytest.mark.parametrize(
    "source",
    [
        '"event"',
        '"event.user"',
        '"profile"',
        '"profile.user"',
        '"message.id"',
        '"message.publish_time"',
        '"trace.id"',
        '"now"',
        '{ from = "profile.x", default = "none" }',
        '{ from = "message.attributes.x", default = "none" }',
        '{ value = "web" }',
        '"event.x || event.user"',
        '"event.user || event.x"',
        "\"event.x || 'none'\"",
        '"lower(event.user)"',
        '"to_string({a: event.x})"',
    ],
)
def test_a_required_column_takes_what_is_always_there_or_has_a_default(
    problems: Problems, source: str
) -> None:
    assert problems(more=f"c = {source}", columns=[field("c", mode="REQUIRED")]) == []


def test_a_required_column_takes_no_profile_where_rows_are_written_without_one(problems: Problems) -> None:
    write = ('miss_error = "unknown"', 'miss_error = "unknown"\non_miss = "write"')
    required = [field("c", "JSON", "REQUIRED")]
    (problem,) = problems(write, more='c = "profile"', columns=required)
    assert 'on_miss = "write" writes rows without a profile' in problem
    assert problems(write, more='c = { from = "profile", default = {} }', columns=required) == []


def test_a_required_column_takes_each_part_of_the_id(problems: Problems) -> None:
    """An event without one of them has no id, and so no row."""
    required = [field("c", mode="REQUIRED")]
    shop = 'c = "message.attributes.shop"'
    (problem,) = problems(more=shop, columns=required)
    assert "a message need not have it" in problem
    first = ('[event]\nid = "event.id"', '[event]\nid = ["event.id", "message.attributes.shop"]')
    last = ('[columns]\nid = "event.id"', '[columns]\nid = "row.id"')
    assert problems(first, last, more=shop, columns=required) == []


@pytest.mark.parametrize(
    ("name", "is_there"), [("id", True), ("source", True), ("type", True), ("time", False)]
)
def test_a_required_column_takes_what_every_cloudevent_has(
    problems: Problems, name: str, is_there: bool
) -> None:
    found = problems(
        ("[event.fields]", 'format = "cloudevents"\n[event.fields]'),
        more=f'c = "cloudevent.{name}"',
        columns=[field("c", mode="REQUIRED")],
    )
    assert (found == []) == is_there


def test_a_field_inside_of_a_declared_one_may_be_the_id(problems: Problems) -> None:
    first = ('[event]\nid = "event.id"', '[event]\nid = "event.data.id"')
    last = ('[columns]\nid = "event.id"', '[columns]\nid = "event.data.id"')
    declared = ('user = "string"', 'user = "string"\ndata = "json"')
    assert problems(first, last, declared) == []


def test_a_required_column_that_is_not_written_is_a_mistake_and_any_other_is_not(problems: Problems) -> None:
    assert problems(columns=[field("c"), field("d", mode="REPEATED"), field("e", "INTERVAL")]) == []
    assert problems(columns=[field("c", mode="REQUIRED")]) == [
        "columns.c is missing, and the table requires it: c = SOURCE."
    ]


def test_a_mistake_in_a_field_is_reported_once_and_not_again_wherever_the_field_is_used(
    problems: Problems,
) -> None:
    edits = (
        ('{ type = "string", max_length = 128 }', '"sting"'),
        ('user = "string"', 'user = { typ = "string" }'),
    )
    assert [problem.split()[0] for problem in problems(*edits)] == ["event.fields.id", "event.fields.user"]


def test_all_mistakes_are_reported_at_once(problems: Problems) -> None:
    found = problems(
        ('id = "event.id"\n[e', 'id = "event.idd"\n[e'),
        ("/users/{user}", "users"),
        ('echo = "user"', "echo = 1"),
        more='c = "nowhere"\n[batch]\nmax_rows = 0\nrows = 1',
        columns=[field("c"), field("d", mode="REQUIRED")],
    )
    assert [problem.split()[0] for problem in found] == [
        "event.id", "lookup.path", "lookup.echo", "columns.c", "columns.d", "batch.rows", "batch.max_rows"
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("file", "content", "said"),
    [
        ("pipeline.toml", b"[event", "pipeline.toml: is not TOML"),
        ("pipeline.toml", b"\xff", "pipeline.toml: is not UTF-8"),
        ("pipeline.toml", None, "pipeline.toml: cannot be read"),
        ("pipeline.toml", b"x = " + b"[" * 5_000, "pipeline.toml: is nested too deeply"),
        ("table.json", b'{"schema": {"a": ' + b"[" * 100_000, "table.json: is nested too deeply"),
        ("table.json", b"{", "table.json: is neither a list of BigQuery's columns"),
        ("table.json", b"[]", "table.json: is neither a list of BigQuery's columns"),
        (
            "table.json",
            b'{"schema": {"fields": [{"name": "id"}]}}',
            "table.json: is neither a list of BigQuery's columns",
        ),
        (
            "table.json",
            b'{"schema": {"fields": [{"name": "id", "type": "STRING", "mode": "OFTEN"}]}}',
            "id has the mode OFTEN",
        ),
        (
            "table.json",
            b'{"schema": {"fields": [{"name": "id", "type": "STRING"}, {"name": "ID", "type": "JSON"}]}}',
            "id is there twice",
        ),
        ("table.json", b"\xff", "table.json: is neither"),
        ("table.json", None, "table.json: cannot be read"),
    ],
    ids=str,
)
def test_a_file_that_cannot_be_read_is_named(
    tmp_path: Path, file: str, content: bytes | None, said: str
) -> None:
    (tmp_path / "pipeline.toml").write_text(MINIMAL)
    (tmp_path / "table.json").write_text(json.dumps({"schema": {"fields": [ID]}}))
    if content is None:
        (tmp_path / file).unlink()
    else:
        (tmp_path / file).write_bytes(content)
    with pytest.raises(PipelineFileError) as caught:
        pipeline_file.read(tmp_path / "pipeline.toml", tmp_path / "table.json")
    (problem,) = caught.value.problems
    assert said in problem


_VALUES = st.recursive(
    st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats()
    | st.sampled_from(
        [
            "",
            "event",
            "event.id",
            "event.user.x",
            "message.id",
            "profile.a",
            "now",
            "string",
            "json",
            "{user}",
        ]
    )
    | st.text(st.characters(codec="ascii"), max_size=4)
    | st.dates(),
    lambda inner: (
        st.lists(inner, max_size=2)
        | st.dictionaries(
            st.sampled_from(["type", "required", "default", "max_length", "from", "id", "x"]),
            inner,
            max_size=3,
        )
    ),
    max_leaves=4,
)
_PLACES = [
    ("event",), ("event", "id"), ("event", "fields"), ("event", "fields", "id"), ("event", "fields", "user"),
    ("event", "fields", "a.b"), ("lookup",), ("lookup", "path"), ("lookup", "on_miss"), ("lookup", "cache"),
    ("lookup", "cache", "ttl_s"), ("columns",), ("columns", "id"), ("columns", "n"), ("columns", "r"), ("columns", "j"),
    ("columns", "no"), ("batch",), ("batch", "max_rows"), ("else",),
]  # fmt: skip
_TABLE = [
    ID,
    field("n", "NUMERIC"),
    field("r", "RECORD", "REPEATED", fields=[field("x")]),
    field("j", "JSON", "REQUIRED"),
]


def toml(value: object) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{json.dumps(key)} = {toml(inner)}" for key, inner in value.items()) + "}"
    if isinstance(value, list):
        return f"[{', '.join(map(toml, value))}]"
    if isinstance(value, str | bool):
        return json.dumps(value).replace("\x7f", "\\u007f")
    return str(value)


@given(st.lists(st.tuples(st.sampled_from(_PLACES), _VALUES), min_size=1, max_size=3))
def test_whatever_a_file_says_it_is_read_or_refused_with_its_mistakes(
    tmp_path_factory: pytest.TempPathFactory, changes: list[tuple[tuple[str, ...], object]]
) -> None:
    document: dict[str, Any] = tomllib.loads(MINIMAL)
    for (*way, last), value in changes:
        inner = document
        for key in way:
            inner = inner.setdefault(key, {}) if isinstance(inner.get(key, {}), dict) else {}
        inner[last] = value
    folder = tmp_path_factory.getbasetemp()
    (folder / "any.toml").write_text(
        "\n".join(f"{json.dumps(key)} = {toml(value)}" for key, value in document.items())
    )
    (folder / "any.json").write_text(json.dumps({"schema": {"fields": _TABLE}}))
    found = None
    try:
        pipeline_file.read(folder / "any.toml", folder / "any.json")
    except PipelineFileError as error:
        found = error.problems
    assert found is None or found
    assert all(problem.startswith("any.toml: ") and "is not TOML" not in problem for problem in found or ())
