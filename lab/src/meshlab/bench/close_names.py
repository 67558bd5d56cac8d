"""Names that exist, for messages about one that does not: the closest first."""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["close_names", "known_names"]

_CUTOFF = 0.6
_MOST_CLOSE = 5
_MOST_SHOWN = 12


def close_names(wanted: str, known: Iterable[str]) -> list[str]:
    """Return the names that may be meant: those with the wanted one as a part between slashes, or else similar ones."""
    names = sorted(set(known))
    folded = wanted.lower()
    if within := [name for name in names if folded in name.lower().replace(":", "/").split("/")]:
        return within[:_MOST_CLOSE]
    by_folded = {name.lower(): name for name in names}
    similar = difflib.get_close_matches(folded, by_folded, n=_MOST_CLOSE, cutoff=_CUTOFF)
    # A wrong namespace before the right name, and the reverse.
    last = {name.lower().rpartition("/")[2]: name for name in reversed(names)}
    similar_last = difflib.get_close_matches(folded.rpartition("/")[2], last, n=1, cutoff=_CUTOFF)
    found = [*(by_folded[each] for each in similar), *(last[each] for each in similar_last)]
    return list(dict.fromkeys(found))[:_MOST_CLOSE]


def known_names(wanted: str, known: Iterable[str]) -> str:
    """Return what exists in place of a name: `did you mean X or Y?`, or the names that there are."""
    names = sorted(set(known))
    if close := close_names(wanted, names):
        return f"did you mean {' or '.join(close)}?"
    if not names:
        return "there are none"
    more = f" and {len(names) - _MOST_SHOWN} more" if len(names) > _MOST_SHOWN else ""
    return f"there are {', '.join(names[:_MOST_SHOWN])}{more}"
