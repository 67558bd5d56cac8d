"""Conditions of a grant, as one value of gcloud's ``--condition``.

Source: https://cloud.google.com/iam/docs/conditions-overview
"""

from __future__ import annotations

import datetime as dt

from .. import RefusalError

_DELIMITERS = "~|#;%"


def flag(expression: str, title: str) -> str:
    """Return the option for a condition; ``--condition=None`` without one, so that gcloud asks nothing.

    A comma in an expression would end it, so another delimiter is named where there is one.
    https://cloud.google.com/sdk/gcloud/reference/topic/escaping

    Raises:
        RefusalError: the expression or its title cannot be written as an option.
    """
    if not expression:
        return "--condition=None"
    text = expression + title
    free = [delimiter for delimiter in _DELIMITERS if delimiter not in text]
    if not free or not text.isprintable():
        raise RefusalError(
            "the condition has control characters, or every delimiter that gcloud knows. Shorten it."
        )
    delimiter = free[0]
    return f"--condition=^{delimiter}^expression={expression}{delimiter}title={title}"


def until(time: str, now: dt.datetime) -> tuple[str, str]:
    """Return expression and title of a grant that ends at a time.

    Args:
        time: RFC 3339 with a zone, such as ``2027-03-31T00:00:00Z``.
        now: The time now.

    Raises:
        RefusalError: it is no such time, or is past.
    """
    try:
        end = dt.datetime.fromisoformat(time)
    except ValueError:
        raise RefusalError(f"{time!r} is no time. Write it as 2027-03-31T00:00:00Z.") from None
    if end.tzinfo is None:
        raise RefusalError(f"{time!r} has no zone. Write it as 2027-03-31T00:00:00Z.")
    if end <= now:
        raise RefusalError(f"{time} is past. A grant that ends before it begins lets no caller in.")
    written = end.astimezone(dt.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return f'request.time < timestamp("{written}")', f"until {written}"
