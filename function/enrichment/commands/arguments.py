"""Arguments that more than one command of `python -m enrichment` takes; for argparse's `type`."""

import argparse
import re
from datetime import UTC, datetime

_DATE = re.compile(r"\d{4}-\d{2}-\d{2}")


def moment(text: str) -> datetime:
    """Read a date, which begins in UTC, or a time with its offset.

    Raises:
        ArgumentTypeError: it is neither.
    """
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        raise argparse.ArgumentTypeError(
            f"{text!r} is neither a date nor an RFC 3339 time such as 2026-03-01T12:00:00Z"
        ) from None
    if _DATE.fullmatch(text):
        return found.replace(tzinfo=UTC)
    if found.tzinfo is None:
        raise argparse.ArgumentTypeError(f"{text!r} needs an offset, such as Z")
    return found
