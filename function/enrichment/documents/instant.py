"""Instants as this function reads and writes them: RFC 3339 with an offset in, UTC out."""

from datetime import UTC, datetime
from typing import Annotated

import msgspec


def to_utc(instant: datetime) -> datetime:
    """The same instant in UTC; OverflowError where UTC falls outside the years 1 to 9999."""
    return instant.astimezone(UTC)


def parse_rfc3339(text: str) -> datetime:
    """Reads an instant of RFC 3339 (section 5.6) into UTC; digits beyond the microsecond are rounded.

    Args:
        text: Date, time and offset. A leap second is refused: neither Python nor BigQuery can hold one.

    Raises:
        ValueError: it is none, has no offset, or lies outside the years 1 to 9999 in UTC; quotes nothing.
    """
    try:
        return to_utc(msgspec.convert({"at": text}, _Instant).at)
    except (msgspec.ValidationError, OverflowError):
        raise ValueError("it is no instant of RFC 3339 with an offset, in the years 1 to 9999") from None


def rfc3339(instant: datetime) -> str:
    """Writes a UTC instant as RFC 3339 with a `Z`, to the microsecond, as BigQuery's TIMESTAMP reads it."""
    return instant.isoformat().replace("+00:00", "Z")


# A Struct, because msgspec looks into an annotated type at every call and into a Struct once.
class _Instant(msgspec.Struct):
    at: Annotated[datetime, msgspec.Meta(tz=True)]
