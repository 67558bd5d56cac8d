"""Digits of JSON numbers that a double does not hold, in columns that do."""

import base64
import json
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path

import pytest
from enrichment.commands.inspection import Report, check
from enrichment.documents import long_numbers
from hypothesis import given
from hypothesis import strategies as st

Written = Callable[..., Report]


@pytest.fixture
def written(tmp_path: Path) -> Written:
    """Check an event with one column beside its id."""

    def made(
        event: str, kind: str = "NUMERIC", source: str = "event.v", more: str = "", **field: object
    ) -> Report:
        (tmp_path / "pipeline.toml").write_text(
            f'[event]\nid = "event.id"\n{more}\n[columns]\nid = "row.id"\nc = "{source}"\n'
        )
        fields = [{"name": "id", "type": "STRING"}, {"name": "c", "type": kind, **field}]
        (tmp_path / "table.json").write_text(json.dumps(fields))
        return check(tmp_path / "pipeline.toml", tmp_path / "table.json", event.encode())

    return made


@pytest.mark.parametrize(
    ("number", "kind"),
    [
        ("12345678901234567.89", "NUMERIC"),
        ("-12345678901234567890.123456789", "NUMERIC"),
        ("1234567890.123456789", "NUMERIC"),
        ("99999999999999999999999999999.999999999", "NUMERIC"),
        ("0.12345678901234567890123456789012345678", "BIGNUMERIC"),
        ("12345678901234567.89", "STRING"),
        ("0.1234567890123456789", "STRING"),
        ("4194304.000000001", "NUMERIC"),
        ("4194303.999999999", "NUMERIC"),
    ],
)
def test_a_number_is_written_as_it_stands_in_the_event(written: Written, number: str, kind: str) -> None:
    report = written(f'{{"id": "a", "v": {number}, "text": "{number}1"}}', kind)
    assert report.problems == ()
    assert report.lines[1].value == number


@pytest.mark.parametrize("number", ["9007199254740993.0", "900719925474099.30e1", "9223372036854775807.0"])
def test_a_whole_number_that_is_written_with_a_point_is_itself(written: Written, number: str) -> None:
    report = written(f'{{"id": "a", "v": {number}}}', "INTEGER")
    assert report.problems == ()
    assert report.lines[1].value == str(int(Decimal(number)))


@pytest.mark.parametrize("number", ["9007199254740992.5", "9223372036854775808.0"])
def test_a_number_that_is_not_whole_or_too_large_is_refused(written: Written, number: str) -> None:
    (problem,) = written(f'{{"id": "a", "v": {number}}}', "INTEGER").problems
    assert "must be a whole number of 64 bits" in problem


def test_an_exponent_counts(written: Written) -> None:
    report = written('{"id": "a", "v": 1234567890123456789.12e2}')
    assert report.lines[1].value == "123456789012345678912"


def test_lists_and_records_keep_their_digits_and_other_columns_their_type(written: Written) -> None:
    number = "12345678901234567.89"
    report = written(f'{{"id": "a", "v": [{number}, 1.5]}}', mode="REPEATED")
    assert report.lines[1].value == [number, "1.5"]
    parts = [{"name": "n", "type": "NUMERIC"}, {"name": "f", "type": "FLOAT"}]
    report = written(f'{{"id": "a", "v": {{"n": {number}, "f": {number}}}}}', "RECORD", fields=parts)
    assert report.lines[1].value == {"n": number, "f": float(number)}
    report = written(f'{{"id": "a", "v": {number}}}', "FLOAT")
    assert report.lines[1].value == float(number)


def test_an_item_keeps_its_digits(written: Written) -> None:
    report = written(
        '{"id": "a", "l": [{"n": 12345678901234567.89}, {"n": 22345678901234567.12}]}',
        source="item.n",
        more='each = "event.l"',
    )
    assert report.problems == ()
    assert report.lines[1].value == "12345678901234567.89"


@pytest.mark.parametrize(
    ("data", "source"),
    [
        ('{"id": "a", "p": "{\\"total\\": NUMBER}"}', "from_json(event.p).total"),
        ('{"id": "a", "p": "[NUMBER]"}', "from_json(event.p)[0]"),
        ('{"id": "a", "p": "{\\"p\\": \\"NUMBER\\"}"}', "from_json(from_json(event.p).p)"),
        ('{"id": "a", "p": "BASE64"}', "from_json(base64_decode(event.p)).total"),
    ],
)
@pytest.mark.parametrize("number", ["12345678901234567.89", "-0.12345678901234567890"])
def test_a_number_in_a_json_text_inside_the_event_keeps_its_digits(
    written: Written, data: str, source: str, number: str
) -> None:
    packed = base64.b64encode(f'{{"total": {number}}}'.encode()).decode()
    report = written(data.replace("NUMBER", number).replace("BASE64", packed), "BIGNUMERIC", source=source)
    assert report.problems == ()
    assert Decimal(str(report.lines[1].value)) == Decimal(number)


def test_two_numbers_of_json_texts_that_differ_beyond_a_double_are_refused(written: Written) -> None:
    text = json.dumps(json.dumps("N")).replace('\\"N\\"', "[12345678901234567.89, 12345678901234567.88]")
    (problem,) = written(f'{{"id": "a", "p": {text}}}', source="from_json(event.p)[0]").problems
    assert problem.endswith("another number differs in those alone: send it as a string.")


def test_items_share_what_is_read_of_a_text_of_the_event(written: Written) -> None:
    report = written(
        '{"id": "a", "l": [1, 2], "p": "[12345678901234567.89]"}',
        source="from_json(event.p)[0]",
        more='each = "event.l"',
    )
    assert [row.lines[1].value for row in report.rows] == ["12345678901234567.89"]


def test_two_numbers_that_differ_beyond_a_double_are_refused_and_not_mixed_up(written: Written) -> None:
    (problem,) = written('{"id": "a", "v": 12345678901234567.89, "w": 12345678901234567.88}').problems
    assert problem.endswith("another number differs in those alone: send it as a string.")


def test_a_number_that_an_expression_made_is_what_it_made(written: Written) -> None:
    report = written('{"id": "a", "v": [12345678.5, 1.0]}', source="sum(event.v)")
    assert report.lines[1].value == "12345679.5"


@given(st.decimals(allow_nan=False, allow_infinity=False, places=9, min_value=-(10**20), max_value=10**20))
def test_a_long_number_is_found_by_its_double(number: Decimal) -> None:
    text = json.dumps({"text": f"{number}7"})[:-1] + f', "n": {number}}}'
    found = long_numbers.in_texts([text])
    assert found.get(float(number), number) == number
    assert len(str(number).strip("-")) < 16 or float(number) in found
