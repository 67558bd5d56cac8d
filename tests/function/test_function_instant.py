"""Instants: read exactly, cut off at the microsecond, never rounded."""

import pytest
from enrichment.documents.instant import (
    check_time_format,
    from_unix,
    parse_in_form,
    parse_rfc3339,
    parse_timestamp,
    rfc3339,
)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2026-12-31T23:59:59.999999999Z", "2026-12-31T23:59:59.999999Z"),
        ("2026-12-31T23:59:59.9999995Z", "2026-12-31T23:59:59.999999Z"),
        ("2026-12-31T23:59:59.9999999999999999Z", "2026-12-31T23:59:59.999999Z"),
        ("9999-12-31T23:59:59.999999999Z", "9999-12-31T23:59:59.999999Z"),
        ("2026-03-01T12:00:00.1234567+02:00", "2026-03-01T10:00:00.123456Z"),
        ("2026-03-01T12:00:00.1Z", "2026-03-01T12:00:00.100000Z"),
        ("2026-03-01T12:00:00.5+01:00", "2026-03-01T11:00:00.500000Z"),
        ("2026-03-01T12:00:00.12345-10:00", "2026-03-01T22:00:00.123450Z"),
        ("2026-03-01T12:00:00.123456+01:00", "2026-03-01T11:00:00.123456Z"),
    ],
)
def test_digits_beyond_the_microsecond_are_cut_off(text: str, expected: str) -> None:
    assert rfc3339(parse_rfc3339(text)) == expected


@pytest.mark.parametrize(
    "text", ["2026-03-01T12:00:00.1234567", "2026-03-01T12:00:00.Z", "2026-03-01T12:00:00.123456²Z"]
)
def test_cutting_makes_no_bad_time_good(text: str) -> None:
    with pytest.raises(ValueError, match="no instant of RFC 3339"):
        parse_rfc3339(text)


@pytest.mark.parametrize(
    ("number", "unit", "expected"),
    [
        (0, "s", "1970-01-01T00:00:00Z"),
        (1798761599.999999, "s", "2026-12-31T23:59:59.999999Z"),
        (1798761599999.999, "ms", "2026-12-31T23:59:59.999999Z"),
        (1798761599999999, "us", "2026-12-31T23:59:59.999999Z"),
        (1798761599999999999, "ns", "2026-12-31T23:59:59.999999Z"),
        ("1798761599999999999.9", "ns", "2026-12-31T23:59:59.999999Z"),
        ("1798761599." + "9" * 390, "s", "2026-12-31T23:59:59.999999Z"),
        (20818, "d", "2026-12-31T00:00:00Z"),
        (-1, "d", "1969-12-31T00:00:00Z"),
        (-1, "ns", "1969-12-31T23:59:59.999999Z"),
        (-0.0000001, "s", "1969-12-31T23:59:59.999999Z"),
        ("-1e-9999", "s", "1969-12-31T23:59:59.999999Z"),
        (0.1, "s", "1970-01-01T00:00:00.100000Z"),
        (-62135596800, "s", "0001-01-01T00:00:00Z"),
        (253402300799.9999, "s", "9999-12-31T23:59:59.999900Z"),
    ],
)
def test_numbers_since_1970_are_read_as_they_are_written(
    number: float | str, unit: str, expected: str
) -> None:
    assert rfc3339(from_unix(number, unit)) == expected


@pytest.mark.parametrize(
    "number", [253402300800, -62135596801, 1e300, -1e300, float("nan"), float("inf"), 2**64, "1e9999"]
)
def test_numbers_outside_the_years_1_to_9999_are_refused(number: float | str) -> None:
    with pytest.raises(ValueError, match="the number"):
        from_unix(number, "s")


def test_bigquerys_own_form_is_cut_off_as_well() -> None:
    assert rfc3339(parse_timestamp("2026/12/31 23:59:59.999999999 UTC")) == "2026-12-31T23:59:59.999999Z"


@pytest.mark.parametrize(
    "form", ["%Y-%m-%dT%H:%M:%S%z", "%a, %d %b %Y %H:%M:%S GMT", "%Y%m%d", "%d.%m.%y", "%j/%Y", "%%Z %Y"]
)
def test_a_form_of_a_time_is_one_that_reads_what_it_writes(form: str) -> None:
    check_time_format(form)


@pytest.mark.parametrize("form", ["%Z", "%s", "%Q", "%", "%Y %Y"])
def test_a_form_that_reads_nothing_is_refused(form: str) -> None:
    with pytest.raises(ValueError, match=r"depends on the machine|no form of a time"):
        check_time_format(form)


def test_a_time_in_a_form_of_its_own_is_taken_in_utc() -> None:
    assert rfc3339(parse_in_form("2026-03-01 13:00 +0100", "%Y-%m-%d %H:%M %z")) == "2026-03-01T12:00:00Z"
    assert rfc3339(parse_in_form("01.03.26", "%d.%m.%y")) == "2026-03-01T00:00:00Z"
