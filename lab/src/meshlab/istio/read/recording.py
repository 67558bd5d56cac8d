"""Record of what the readers know: for every mapping that they visit, which fields they read, pass over and refuse.

The table of coverage is made of it, so that the table says what the code does.
"""

from __future__ import annotations

from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping

    from meshlab.istio.read.fields import Where

__all__ = [
    "KnownMapping",
    "Path",
    "Recording",
    "Watched",
    "current_recording",
    "pattern_of",
    "recorded_fields",
]

Path = tuple[str, ...]


@dataclass
class KnownMapping:
    """One mapping of a kind, as its reader knows it.

    Attributes:
        known: The fields that the reader accepts and may read.
        passed_over: The fields that it accepts and does not read, each with the reason.
        refused: The fields that it refuses by name, each with the problem and what to do.
        read: The fields that were asked for.
        free: Whether the keys are the user's to choose.
        keys: Istio's labels or annotations that are known here.
    """

    known: dict[str, None] = field(default_factory=dict)
    passed_over: dict[str, str] = field(default_factory=dict)
    refused: dict[str, str] = field(default_factory=dict)
    read: set[str] = field(default_factory=set)
    free: bool = False
    keys: dict[str, None] = field(default_factory=dict)


class Recording:
    """The mappings that readers visited.

    Attributes:
        mappings: By (group, kind), then by path: `[]` stands for every index of a list, `*` for a free key.
    """

    def __init__(self) -> None:
        self.mappings: dict[tuple[str, str], dict[Path, KnownMapping]] = {}

    def visited(
        self,
        where: Where,
        known: Collection[str],
        refused: Mapping[str, str] | None,
        passed_over: Mapping[str, str] | None,
    ) -> KnownMapping:
        """Record one mapping."""
        found = self._at(where)
        found.known.update(dict.fromkeys(known))
        found.refused.update(refused or {})
        found.passed_over.update(passed_over or {})
        return found

    def free(self, where: Where) -> None:
        """Record that the keys of a mapping are free."""
        self._at(where).free = True

    def istio_keys(self, where: Where, known: Collection[str]) -> None:
        """Record which of Istio's labels or annotations are known at a place."""
        self._at(where).keys.update(dict.fromkeys(sorted(known)))

    def _at(self, where: Where) -> KnownMapping:
        mappings = self.mappings.setdefault((where.manifest.group, where.manifest.kind), {})
        return mappings.setdefault(pattern_of(where.keys, mappings), KnownMapping())


class Watched(dict[str, Any]):
    """The fields of a mapping, which notes the ones that are asked for."""

    def __init__(self, values: Mapping[str, Any], read: set[str]) -> None:
        super().__init__(values)
        self._read = read

    def get(self, key: str, default: Any = None) -> Any:  # noqa: ANN401 - any YAML
        """Return a field."""
        self._read.add(key)
        return super().get(key, default)

    def __getitem__(self, key: str) -> Any:  # noqa: ANN401 - any YAML
        self._read.add(key)
        return super().__getitem__(key)

    def __contains__(self, key: object) -> bool:
        self._read.add(str(key))
        return super().__contains__(key)


def current_recording() -> Recording | None:
    """Return the recording that is under way, `None` where there is none."""
    return _CURRENT.get()


@contextmanager
def recorded_fields() -> Iterator[Recording]:
    """Record what readers know, while they read within the context."""
    recording = Recording()
    token = _CURRENT.set(recording)
    try:
        yield recording
    finally:
        _CURRENT.reset(token)


_CURRENT: ContextVar[Recording | None] = ContextVar("the recording of fields that is under way", default=None)


def pattern_of(keys: tuple[str | int, ...], mappings: Mapping[Path, KnownMapping]) -> Path:
    """Return the path with `[]` for every index, and `*` for every key below a mapping with free keys."""
    path: Path = ()
    for key in keys:
        above = mappings.get(path)
        if isinstance(key, int):
            path = (*path, "[]")
        elif above and above.free and key not in above.keys:
            path = (*path, "*")
        else:
            path = (*path, key)
    return path
