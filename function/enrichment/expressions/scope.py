"""Values that an expression can begin with."""

from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Final

from enrichment.documents.instant import rfc3339

if TYPE_CHECKING:
    from enrichment.documents.long_numbers import LongNumbers

EVENT: Final = "event"
MESSAGE: Final = "message"
OF_EVENT: Final = frozenset({EVENT, MESSAGE, "cloudevent"})
"""The roots that all rows of one event share."""

_NONE: Final[Mapping[str, object]] = {}


class Scope:
    """Roots of one event, by name.

    A plain path reads the roots as they are: a timestamp is a `datetime`. JMESPath reads `document`, which holds JSON
    alone: a timestamp is RFC 3339 text in UTC. In both, a declared field of the event has its checked value, its
    default included.

    Args:
        roots: The values by name: `event`, `message`, `trace`, `now`, and one for each lookup.
        declared: The declared fields of the event by dotted name, checked; None for a field without a value.
        texts: The roots whose original JSON text is known, by name. A whole root is written as it came.

    Attributes:
        memo: What expressions of the event alone gave, by expression; None where nothing is remembered.
    """

    __slots__ = ("_base", "_document", "_long_numbers", "_more", "declared", "memo", "roots", "texts")

    def __init__(
        self,
        roots: Mapping[str, object],
        declared: Mapping[str, object] = _NONE,
        texts: Mapping[str, str] | None = None,
    ) -> None:
        self.roots = roots
        self.declared = declared
        self.texts: Mapping[str, str] = texts or {}
        self._document: dict[str, object] | None = None
        self._base: Scope | None = None
        self._long_numbers: LongNumbers | None = None
        self._more: Mapping[str, object] = _NONE
        self.memo: dict[object, object] | None = None

    def shared(self) -> "Scope":
        """Return a scope for many rows of one event: what depends on the event alone is evaluated once for all."""
        scope = self.extended({})
        scope.memo = {}
        return scope

    def extended(self, roots: Mapping[str, object], texts: Mapping[str, str] | None = None) -> "Scope":
        """Return a scope with more roots, such as a profile, or `item` and `index`."""
        scope = Scope({**self.roots, **roots}, self.declared, {**self.texts, **(texts or {})})
        scope._base, scope._more, scope.memo = self, roots, self.memo
        return scope

    @property
    def long_numbers(self) -> "LongNumbers":
        """The numbers of the texts that have more digits than a double. Found at the first use, once for all rows."""
        if self._long_numbers is None:
            from enrichment.documents import long_numbers  # which few columns need

            base = self._base
            added = [
                text for name, text in self.texts.items() if not base or base.texts.get(name) is not text
            ]
            found = long_numbers.in_texts(added)
            self._long_numbers = long_numbers.merged(base.long_numbers, found) if base else found
        return self._long_numbers

    @property
    def document(self) -> Mapping[str, object]:
        """The roots as JSON. Made at the first use, since plain paths do without.

        The rows of one event share the event's own part of it, which may be as large as a message.
        """
        if self._document is None and self._base is not None:
            added = {name: _plain(value) for name, value in self._more.items()}
            self._document = {**self._base.document, **added}
        elif self._document is None:
            document = {name: _plain(value) for name, value in self.roots.items()}
            event = document.get(EVENT)
            if isinstance(event, dict):
                document[EVENT] = _with_declared(event, self.declared)
            self._document = document
        return self._document


def message_root(
    message_id: str, publish_time: datetime | None, ordering_key: str, attributes: Mapping[str, str]
) -> dict[str, object]:
    """Return the value of the root `message`."""
    return {
        "id": message_id or None,
        "publish_time": publish_time,
        "ordering_key": ordering_key or None,
        "attributes": attributes,
    }


def _plain(value: object) -> object:
    """Return the value with timestamps as text; they stand at most one level deep in a root that is no document."""
    if isinstance(value, datetime):
        return rfc3339(value)
    if isinstance(value, dict) and isinstance(time := value.get("publish_time"), datetime):
        return {**value, "publish_time": rfc3339(time)}
    return value


def _with_declared(document: dict[str, object], declared: Mapping[str, object]) -> dict[str, object]:
    """Return the event with the checked values of its declared fields. Copies only what changes."""
    changed = document
    for name, value in declared.items():
        path = name.split(".")
        if value is None or _holds(changed, path, value):
            continue
        if changed is document:
            changed = dict(document)
        inner = changed
        for key in path[:-1]:
            below = inner.get(key)
            inner[key] = below = dict(below) if isinstance(below, dict) else {}
            inner = below
        inner[path[-1]] = rfc3339(value) if isinstance(value, datetime) else value
    return changed


def _holds(document: object, path: list[str], value: object) -> bool:
    for key in path:
        if not isinstance(document, dict):
            return False
        document = document.get(key)
    return document is value
