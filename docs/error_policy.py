"""Writes the tables of the error policy into the pages: `python docs/error_policy.py`. A test holds them to it.

A table stands between `<!-- error policy: NAME -->` and `<!-- end of the table -->`.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

from enrichment.errors import POLICY, Disposition
from enrichment.errors.remote_errors import (
    APPEND_ERRORS,
    APPEND_MESSAGES,
    GOOGLE_ERRORS,
    INSERT_ERRORS,
    INSERT_MESSAGES,
    OTHER_INSERT_ERROR,
    ROW_ERRORS,
    SDK_CODES,
    SERVICE_STATUSES,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

ROOT = Path(__file__).parents[1]
PAGES = (ROOT / "function" / "README.md", ROOT / "docs" / "troubleshooting.md")

_TABLE = re.compile(
    r"(?P<begin><!-- error policy: (?P<name>[a-z ]+) -->\n).*?(?P<end><!-- end of the table -->)", re.DOTALL
)


def written(page: str) -> str:
    """Return a page with its tables as the policy says.

    Args:
        page: The page's text.

    Raises:
        KeyError: a marker names no table.
    """
    return _TABLE.sub(lambda found: f"{found['begin']}\n{TABLES[found['name']]()}\n{found['end']}", page)


def _dead_letter_reasons() -> str:
    return _table(
        ("reason", "stage", "why"),
        (
            (f"`{reason}`", ", ".join(map(str, rule.stages)), rule.meaning)
            for reason, rule in POLICY.items()
            if rule.disposition is Disposition.DEAD_LETTERED
        ),
    )


def _reasons(disposition: Disposition) -> Callable[[], str]:
    def table() -> str:
        return _table(
            ("reason", "when", "what to do"),
            (
                (f"`{reason}`", rule.meaning, rule.action)
                for reason, rule in POLICY.items()
                if rule.disposition is disposition
            ),
        )

    return table


def _sdk_codes() -> str:
    return _table(
        ("code", "when", "outcome"),
        (
            (
                f"`{code}`",
                known.meaning,
                f"{known.disposition.value}; retry where the error says `retryable`"
                if known.varies
                else known.disposition.value,
            )
            for code, known in SDK_CODES.items()
        ),
    )


def _service_statuses() -> str:
    return _table(
        ("status", "answer", "reason", "outcome"),
        (
            (
                status.statuses,
                status.when,
                f"`{status.reason}`" if status.reason else "",
                (_outcome(status.reason) if status.reason else "the row is built")
                + ("; fewer calls at once" if status.overload else ""),
            )
            for status in SERVICE_STATUSES
        ),
    )


def _google_errors() -> str:
    return _table(
        ("status", "gRPC code", "Google's reason, or words in its message", "our reason", "outcome"),
        (
            (
                ", ".join(map(str, known.statuses)) or "any other",
                known.codes,
                ", ".join(f"`{reason}`" for reason in known.reasons)
                or (known.says and f"`... {known.says}`"),
                f"`..._{known.ending}`",
                _outcome(f"bigquery_{known.ending}"),
            )
            for known in GOOGLE_ERRORS
        ),
    )


def _insert_errors() -> str:
    by_reason: dict[str, list[str]] = {}
    for said, reason in INSERT_ERRORS.items():
        by_reason.setdefault(reason, []).append(f"`{said}`")
    by_reason[OTHER_INSERT_ERROR].append("any other")
    rows = [(", ".join(said), f"`{reason}`", _outcome(reason)) for reason, said in by_reason.items()]
    rows += [
        (f"`invalid` with `{known.shown}`", f"`{known.reason}`", _outcome(known.reason))
        for known in INSERT_MESSAGES
    ]
    return _table(("what insertAll says of a row", "our reason", "outcome"), rows)


def _append_errors() -> str:
    by_meaning: dict[tuple[str, bool], list[str]] = {}
    for said, known in APPEND_ERRORS.items():
        by_meaning.setdefault((known.reason, known.renews), []).append(f"`{said}`")
    rows = [
        (
            ", ".join(said),
            f"`{reason}`",
            _outcome(reason) + ("; a stream of our own is replaced first" if renews else ""),
        )
        for (reason, renews), said in by_meaning.items()
    ]
    rows += [(f"`{known.shown}`", f"`{known.reason}`", _outcome(known.reason)) for known in APPEND_MESSAGES]
    rows += [(f"`{said}` of a row", f"`{reason}`", _outcome(reason)) for said, reason in ROW_ERRORS.items()]
    return _table(("what the Storage Write API says", "our reason", "outcome"), rows)


def _outcome(reason: str) -> str:
    return "sent again at once" if reason == "row_stopped" else POLICY[reason].disposition.value


def _table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    lines = [head, tuple("---" for _ in head), *rows]
    return "".join(f"| {' | '.join(cells)} |\n" for cells in lines)


TABLES: dict[str, Callable[[], str]] = {
    "dead letters": _dead_letter_reasons,
    "dead lettered": _reasons(Disposition.DEAD_LETTERED),
    "retry": _reasons(Disposition.RETRY),
    "fault": _reasons(Disposition.FAULT),
    "sdk": _sdk_codes,
    "service": _service_statuses,
    "google": _google_errors,
    "insert": _insert_errors,
    "append": _append_errors,
}
"""Every table by the name in its marker."""


if __name__ == "__main__":
    for path in PAGES:
        path.write_text(written(path.read_text()))
