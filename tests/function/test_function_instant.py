"""Instants: read exactly, cut off at the microsecond, never rounded."""

import pytest
from enrichment.documents.instant import from_unix, parse_rfc3339, parse_timestamp, rfc3339


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
    ("number", "digits", "expected"),
    [
        (0, 0, "1970-01-01T00:00:00Z"),
        (1798761599.999999, 0, "2026-12-31T23:59:59.999999Z"),
        (1798761599999.999, 3, "2026-12-31T23:59:59.999999Z"),
        (1798761599999999, 6, "2026-12-31T23:59:59.999999Z"),
        (-0.0000001, 0, "1969-12-31T23:59:59.999999Z"),
        (0.1, 0, "1970-01-01T00:00:00.100000Z"),
        (-62135596800, 0, "0001-01-01T00:00:00Z"),
        (253402300799.9999, 0, "9999-12-31T23:59:59.999900Z"),
    ],
)
def test_numbers_since_1970_are_read_as_they_are_written(number: float, digits: int, expected: str) -> None:
    assert rfc3339(from_unix(number, digits)) == expected


@pytest.mark.parametrize(
    "number", [253402300800, -62135596801, 1e300, -1e300, float("nan"), float("inf"), 2**64]
)
def test_numbers_outside_the_years_1_to_9999_are_refused(number: float) -> None:
    with pytest.raises(ValueError, match="the number"):
        from_unix(number, 0)


def test_bigquerys_own_form_is_cut_off_as_well() -> None:
    assert rfc3339(parse_timestamp("2026/12/31 23:59:59.999999999 UTC")) == "2026-12-31T23:59:59.999999Z"
