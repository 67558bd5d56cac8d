"""The data that the script of a page reads: entries, with each step and each text that occurs in several only once.

Explanations of many requests hold the same policies and rules with the same verdicts, and the same names of files and
objects. So the data has two tables:

| key | value |
|---|---|
| `tones` | the name of a tone to its `mark` and `word` |
| `texts` | texts that occur more than once, the most frequent first |
| `steps` | the steps; the `steps` of each are indices of earlier ones |
| `entries` | the entries; the `steps` of their blocks are indices |

In steps and entries a number stands for a text, but under `steps`, where it stands for a step. A fact is a list of
label, value and tone. Fields that are empty are left out, and so is `opened` where it is true.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict, fields, is_dataclass
from typing import TYPE_CHECKING, Any

from meshlab.html_report.report import TONES, Fact, Step
from meshlab.visible_text import visible

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from meshlab.html_report.report import Entry

__all__ = ["data_of"]

_SHORTEST = 4
"""A text that is not longer takes hardly more room than its number."""


def data_of(entries: Iterable[Entry]) -> dict[str, Any]:
    """Return the data of a page. Its texts are visible ones without tokens."""
    table = _Steps()
    written = [table.plain(entry) for entry in entries]
    counts = Counter(_texts([table.steps, written]))
    often = [text for text, count in counts.items() if count > 1 and len(text) > _SHORTEST]
    texts = sorted(often, key=lambda text: (-counts[text], text))
    numbers = {text: number for number, text in enumerate(texts)}
    return {
        "tones": {name: asdict(tone) for name, tone in TONES.items()},
        "texts": texts,
        "steps": _numbered(table.steps, numbers),
        "entries": _numbered(written, numbers),
    }


class _Steps:
    def __init__(self) -> None:
        self.steps: list[Any] = []
        self._known: dict[Step, int] = {}

    def plain(self, value: object) -> Any:  # noqa: ANN401 - JSON
        """Return dataclasses as JSON objects, and steps as their indices."""
        if isinstance(value, Step):
            if value not in self._known:
                written = self._object(value)
                self._known[value] = len(self.steps)
                self.steps.append(written)
            return self._known[value]
        if isinstance(value, Fact):
            return [
                visible(text) for text in (value.label, value.value, *([value.tone] if value.tone else []))
            ]
        if is_dataclass(value):
            return self._object(value)
        if isinstance(value, tuple):
            return [self.plain(item) for item in value]
        return visible(value) if isinstance(value, str) else value

    def _object(self, value: object) -> dict[str, Any]:
        found = ((field.name, getattr(value, field.name)) for field in fields(value))  # type: ignore[arg-type]
        return {name: self.plain(item) for name, item in found if item not in ("", ()) and item is not True}


def _texts(value: object) -> Iterator[str]:
    """Yield every text of JSON, but for the names of fields."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for item in value.values():
            yield from _texts(item)
    elif isinstance(value, list):
        for item in value:
            yield from _texts(item)


def _numbered(value: object, numbers: Mapping[str, int]) -> Any:  # noqa: ANN401 - JSON
    if isinstance(value, str):
        return numbers.get(value, value)
    if isinstance(value, dict):
        return {name: _numbered(item, numbers) for name, item in value.items()}
    return [_numbered(item, numbers) for item in value] if isinstance(value, list) else value
