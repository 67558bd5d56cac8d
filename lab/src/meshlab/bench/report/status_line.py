"""Status of a run: one line on a terminal that is written over and over; elsewhere a plain line every few seconds."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType
    from typing import TextIO

__all__ = ["PLAIN_INTERVAL_S", "StatusLine", "time_left"]

PLAIN_INTERVAL_S = 10.0
"""Seconds between two plain lines. A run that is shorter prints none."""

_CLEAR_LINE = "\r\x1b[K"
_LONG_S = 100


class StatusLine:
    """The line. Use it as a context manager.

    A terminal shows the last text alone, and nothing of it at the end. A file, a pipe or a terminal that cannot move
    its cursor (`TERM=dumb`) gets whole lines without control characters, at most one in `PLAIN_INTERVAL_S`.

    Args:
        stream: Where to, such as stderr.
        shown: Whether to show it at all.
        now: The time in seconds.
    """

    def __init__(
        self, stream: TextIO, *, shown: bool = True, now: Callable[[], float] = time.monotonic
    ) -> None:
        self._stream = stream
        self._shown = shown
        self._moves = stream.isatty() and os.environ.get("TERM") != "dumb"
        self._now = now
        self._last = now()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.clear()

    def clear(self) -> None:
        """Take the line off the terminal, so that something else can be printed."""
        if self._shown and self._moves:
            self._put(_CLEAR_LINE)

    def write(self, text: str) -> None:
        """Put a text in place of the one before; where lines are plain, if it is time for one."""
        if not self._shown:
            return
        if self._moves:
            self._put(f"{_CLEAR_LINE}{text}")
        elif (now := self._now()) - self._last >= PLAIN_INTERVAL_S:
            self._last = now
            self._put(f"{text}\n")

    def _put(self, text: str) -> None:
        self._stream.write(text)
        self._stream.flush()


def time_left(done: int, total: int, passed_s: float) -> str:
    """Return how long the rest takes at the rate so far, such as `, about 50 s left`; empty where that is not known.

    Args:
        done: How many are done.
        total: How many there are.
        passed_s: Seconds that those done took.
    """
    if not 0 < done < total or passed_s < 1:
        return ""
    left = passed_s / done * (total - done)
    return f", about {left / 60:.0f} min left" if left >= _LONG_S else f", about {left:.0f} s left"
