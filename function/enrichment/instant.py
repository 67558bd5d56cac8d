"""Instants as this function writes them: UTC, RFC 3339."""

from datetime import UTC, datetime


def to_utc(instant: datetime) -> datetime:
    """The same instant in UTC; OverflowError where UTC falls outside the years 1 to 9999."""
    return instant.astimezone(UTC)


def rfc3339(instant: datetime) -> str:
    """Writes a UTC instant as RFC 3339 with a `Z`, to the microsecond, as BigQuery's TIMESTAMP reads it."""
    return instant.isoformat().replace("+00:00", "Z")
