"""What `check` tries of sample events: every row of every event, and the names of all of them."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from enrichment.commands import check

FIELDS = [
    {"name": "id", "type": "STRING"},
    {"name": "n", "type": "INTEGER"},
    {"name": "text", "type": "STRING"},
]
EACH = """
[event]
id = "event.id"
each = "event.items"

[columns]
id = "row.id"
n = "item.n"
"""

Checked = Callable[..., check.Report]


@pytest.fixture
def checked(tmp_path: Path) -> Checked:
    """Give the report about a pipeline and sample events."""

    def made(pipeline: str, *events: object, attributes: dict[str, str] | None = None) -> check.Report:
        (tmp_path / "pipeline.toml").write_text(pipeline)
        (tmp_path / "table.json").write_text(json.dumps(FIELDS))
        sample = "\n".join(map(json.dumps, events)).encode()
        return check.check(tmp_path / "pipeline.toml", tmp_path / "table.json", sample, attributes=attributes)

    return made


def test_every_row_of_an_event_is_tried_and_a_mistake_names_the_items_that_have_it(checked: Checked) -> None:
    good, bad = {"n": 1}, {"n": "x"}
    (problem,) = checked(EACH, {"id": "a", "items": [good, bad, good, bad]}).problems
    assert problem.startswith("at index 1, at index 3: the event would be dead-lettered: column_invalid: ")
    report = checked(EACH, {"id": "a", "items": [good]}, {"id": "b", "items": [good, bad]})
    (problem,) = report.problems
    assert problem.startswith("event 2 at index 1: the event would be dead-lettered: column_invalid: ")


def test_the_first_row_of_each_table_is_shown_whichever_item_makes_it(checked: Checked) -> None:
    tables = "".join(
        f"""
        [[tables]]
        name = "{name}"
        when = "item.kind == '{name}'"
        table = "{name}"
        schema = "table.json"
        [tables.columns]
        id = "row.id"
        n = "item.n"
        """
        for name in ("orders", "refunds")
    )
    items = [{"kind": "orders", "n": 1}, {"kind": "refunds", "n": 2}]
    report = checked(f'[event]\nid = "event.id"\neach = "event.items"\n{tables}', {"id": "a", "items": items})
    assert report.problems == ()
    assert [(row.table, [line.value for line in row.lines]) for row in report.rows] == [
        ("orders", ["a|0", "1"]),
        ("refunds", ["a|1", "2"]),
    ]


def test_two_events_of_one_id_and_different_content_are_a_conflict_as_in_the_function(
    checked: Checked,
) -> None:
    pipeline = '[event]\nid = "event.id"\n[columns]\nid = "event.id"\nn = "event.n"\n'
    first, other = {"id": "a", "n": 1}, {"id": "a", "n": 2}
    assert checked(pipeline, first, first).problems == ()
    (problem,) = checked(pipeline, first, other, first).problems
    assert problem.startswith("event 2: the event would be dead-lettered: identity_conflict: ")
    allowed = pipeline.replace('id = "event.id"\n', 'id = "event.id"\non_conflict = "last-wins"\n', 1)
    assert checked(allowed, first, other).problems == ()


@pytest.mark.parametrize("source", ["message.id", "message.attributes.key"])
def test_what_the_samples_share_only_because_they_are_samples_is_no_conflict(
    checked: Checked, source: str
) -> None:
    pipeline = f'[event]\nid = "{source}"\n[columns]\nid = "{source}"\n'
    assert checked(pipeline, {"n": 1}, {"n": 2}, attributes={"key": "k"}).problems == ()


@pytest.mark.parametrize(
    ("source", "advice"),
    [
        ("item.nn", "the sample has no item.nn. Did you mean item.n?"),
        ("item.labels.app/name.b", '"app/name.b" is one key with dots in it: write item.labels."app/name.b"'),
        ("message.attributes.tenent", "Did you mean message.attributes.tenant?"),
    ],
)
def test_a_path_into_an_item_or_an_attribute_that_the_sample_does_not_have_is_pointed_out(
    checked: Checked, source: str, advice: str
) -> None:
    event = {"id": "a", "items": [{"n": 1, "labels": {"app/name.b": "x"}}]}
    report = checked(EACH + f'text = "{source}"\n', event, attributes={"tenant": "t"})
    assert report.problems == ()
    (warning,) = report.warnings
    assert warning.startswith("column text: ")
    assert warning.endswith(advice)


def test_without_attributes_none_is_pointed_out(checked: Checked) -> None:
    report = checked(EACH + 'text = "message.attributes.tenant"\n', {"id": "a", "items": [{"n": 1}]})
    assert report.warnings == ()


def test_a_key_with_dots_is_read_as_it_was_advised(checked: Checked) -> None:
    pipeline = '[event]\nid = "event.id"\n[columns]\nid = "event.id"\n'
    event = {"id": "a", "labels": {"app.example/name": "x"}}
    (warning,) = checked(pipeline + 'text = "event.labels.app.example/name"\n', event).warnings
    advised = warning.rpartition("write ")[2]
    report = checked(f"{pipeline}text = '{advised}'\n", event)
    assert [line.value for line in report.lines] == ["a", None, "x"]


ARRAY = b'[{"id": "a", "n": 1}, {"id": "b", "n": 2}]'
OF_EVENT = '[event]\nid = "event.id"\n[columns]\nid = "event.id"\nn = "event.n"\n'


def test_a_file_that_may_be_one_message_says_what_the_function_would_make_of_it(tmp_path: Path) -> None:
    (tmp_path / "pipeline.toml").write_text(OF_EVENT)
    (tmp_path / "table.json").write_text(json.dumps(FIELDS))
    report = check.check(tmp_path / "pipeline.toml", tmp_path / "table.json", ARRAY)
    assert report.events == 2
    (warning,) = report.warnings
    assert 'set format = "json-array"' in warning


def test_an_array_is_one_message_where_the_file_says_so(tmp_path: Path) -> None:
    (tmp_path / "pipeline.toml").write_text(
        OF_EVENT.replace("[event]", '[event]\nformat = "json-array"').replace("event.n", "message.id")
    )
    (tmp_path / "table.json").write_text(json.dumps([FIELDS[0], {"name": "n", "type": "STRING"}]))
    report = check.check(tmp_path / "pipeline.toml", tmp_path / "table.json", ARRAY)
    assert (report.problems, report.warnings, report.events) == ((), (), 2)
    assert report.rows[0].lines[1].value == "1234567890:0"
    report = check.check(tmp_path / "pipeline.toml", tmp_path / "table.json", ARRAY + b"\n" + ARRAY)
    assert report.events == 4


@pytest.mark.parametrize("key", ["..", ".", "", "a\n"])
def test_a_key_that_no_path_can_carry_is_found_without_a_request(checked: Checked, key: str) -> None:
    lookup = '[lookup]\npath = "/p/{k}"\nparams = { k = "event.k" }\necho = "k"\nmiss_error = "x"\n'
    pipeline = f'[event]\nid = "event.id"\n{lookup}[columns]\nid = "event.id"\ntext = "profile.k"\n'
    (problem,) = checked(pipeline, {"id": "a", "k": key}).problems
    assert problem.startswith("the event would be dead-lettered: key_invalid: ")
    assert checked(pipeline, {"id": "a", "k": "../a?b#c%2e;"}).problems == ()


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ("false", "the text 'false'"),
        (" No ", "the text 'no'"),
        ("0", "the text '0'"),
        (0, "the number 0"),
        (0.0, "the number 0"),
        ("true", ""),
        ("test", ""),
        ("", ""),
        (False, ""),
        (None, ""),
        (1, ""),
    ],
)
@pytest.mark.parametrize(
    ("pipeline", "setting"),
    [
        ('[event]\nid = "event.id"\ndrop = "event.flag"\n[columns]\nid = "event.id"', "[event] drop"),
        (
            (
                '[event]\nid = "event.id"\n[[tables]]\nname = "a"\nwhen = "event.flag"\ntable = "a"\n'
                'schema = "table.json"\n[tables.columns]\nid = "event.id"\n[columns]\nid = "event.id"'
            ),
            "[[tables]] a when",
        ),
    ],
)
def test_a_condition_that_is_true_for_what_people_read_as_false_is_pointed_out(
    checked: Checked, pipeline: str, setting: str, value: object, said: str
) -> None:
    warnings = [one for one in checked(pipeline, {"id": "a", "flag": value}).warnings if setting in one]
    assert len(warnings) == bool(said)
    if said:
        assert f"event.flag is {said} for a sample, which counts as true. Compare it" in warnings[0]
