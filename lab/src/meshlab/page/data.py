"""The data that the script of a page reads: entries, with each step that occurs in several of them only once.

Explanations of many requests hold the same policies and rules with the same verdicts. So a list of steps is a list of
indices into one table.

| key | value |
|---|---|
| `tones` | the name of a tone to its `mark` and `word` |
| `steps` | the steps; the `steps` of each are indices of earlier ones |
| `entries` | the entries; the `steps` of their blocks are indices |

Fields that are empty are left out.
"""

from __future__ import annotations

from dataclasses import asdict, fields, is_dataclass
from typing import TYPE_CHECKING, Any

from meshlab.page.report import TONES, Step

if TYPE_CHECKING:
    from collections.abc import Iterable

    from meshlab.page.report import Entry

__all__ = ["data_of"]


def data_of(entries: Iterable[Entry]) -> dict[str, Any]:
    """Return the data of a page."""
    table = _Table()
    written = [table.plain(entry) for entry in entries]
    tones = {name: asdict(tone) for name, tone in TONES.items()}
    return {"tones": tones, "steps": table.steps, "entries": written}


class _Table:
    def __init__(self) -> None:
        self.steps: list[Any] = []
        self._known: dict[Step, int] = {}

    def plain(self, value: object) -> Any:  # noqa: ANN401 - JSON
        """Return dataclasses as JSON objects without the fields that are empty, and steps as their indices."""
        if isinstance(value, Step):
            if value not in self._known:
                written = self._object(value)
                self._known[value] = len(self.steps)
                self.steps.append(written)
            return self._known[value]
        if is_dataclass(value):
            return self._object(value)
        return [self.plain(item) for item in value] if isinstance(value, tuple) else value

    def _object(self, value: object) -> dict[str, Any]:
        found = ((field.name, getattr(value, field.name)) for field in fields(value))  # type: ignore[arg-type]
        return {name: self.plain(item) for name, item in found if item != "" and item != ()}
