"""Reader of growing files of JSON lines that waits for a line without asking every file again."""

from __future__ import annotations

import contextlib
import threading
import time
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

__all__ = ["LineFollower"]

_Line = TypeVar("_Line")
_Found = TypeVar("_Found")
_POLL_S = 0.004


class LineFollower(Generic[_Line]):
    """Reads files as they grow and keeps their lines by key. Safe to use from several threads.

    Args:
        parse: Reads a line of a file, given the file's label; a line that it refuses with `ValueError` is skipped.
        keys: The keys that a line is found by.
    """

    def __init__(self, parse: Callable[[str, str], _Line], keys: Callable[[_Line], tuple[str, ...]]) -> None:
        self._parse = parse
        self._keys = keys
        self._files: dict[str, _GrowingFile] = {}
        self._lines: dict[str, list[_Line]] = {}
        self._fresh: set[str] = set()
        self._read_at = 0.0
        self._lock = threading.Lock()

    def follow(self, label: str, path: Path) -> None:
        """Read a file from its present end on; it need not exist yet."""
        with self._lock:
            if label not in self._files:
                self._files[label] = _GrowingFile(path)

    def lines(self, key: str) -> list[_Line]:
        """Return the lines with that key that were read so far, in the order of each file."""
        return list(self._lines.get(key, ()))

    def wait(self, look: Callable[[], _Found | None], timeout_s: float) -> _Found | None:
        """Read on until `look` finds something.

        Args:
            look: Looks at `lines`.
            timeout_s: The limit, in seconds.

        Returns:
            What it found; `None` when the time was over.
        """
        deadline = time.monotonic() + timeout_s
        while True:
            now = time.monotonic()
            # Of many threads that wait, one reads for all: each reading of every file takes longer than its look.
            if now - self._read_at > _POLL_S / 2 or now > deadline:
                self._read()
            found = look()
            if found is not None or now > deadline:
                return found
            time.sleep(_POLL_S)

    def drop(self, unneeded: Callable[[_Line], bool]) -> None:
        """Drop lines read since the last call; a long run must not keep all of them.

        Args:
            unneeded: Whether a line can go. What it kept once is not looked at again.
        """
        with self._lock:
            for key in self._fresh:
                kept = [line for line in self._lines[key] if not unneeded(line)]
                if kept:
                    self._lines[key] = kept
                else:
                    del self._lines[key]
            self._fresh.clear()

    def close(self) -> None:
        """Close the files."""
        with self._lock:
            for file in self._files.values():
                file.close()
            self._files.clear()

    def _read(self) -> None:
        self._read_at = time.monotonic()
        with self._lock:
            for label, file in self._files.items():
                for text in file.new_lines():
                    with contextlib.suppress(ValueError, KeyError):
                        line = self._parse(label, text)
                        for key in self._keys(line):
                            if key:
                                self._lines.setdefault(key, []).append(line)
                                self._fresh.add(key)


class _GrowingFile:
    def __init__(self, path: Path) -> None:
        path.touch(mode=0o600)
        self._file = path.open("rb")
        self._file.seek(0, 2)
        self._rest = b""

    def new_lines(self) -> list[str]:
        data = self._file.read()
        if not data:
            return []
        *lines, self._rest = (self._rest + data).split(b"\n")
        return [line.decode(errors="replace") for line in lines if line]

    def close(self) -> None:
        self._file.close()
