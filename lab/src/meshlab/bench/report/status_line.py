"""One line on a terminal that is written over and over, and gone at the end."""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from types import TracebackType
    from typing import TextIO

__all__ = ["StatusLine"]

_CLEAR_LINE = "\r\x1b[K"


class StatusLine:
    """The line. Nothing is written where no person watches. Use it as a context manager.

    Args:
        stream: Where to, such as stderr.
        shown: Whether to show it at all.
    """

    def __init__(self, stream: TextIO, *, shown: bool = True) -> None:
        self._stream = stream
        self._shown = shown and stream.isatty()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.write("")

    def write(self, text: str) -> None:
        """Put a text in place of the one before."""
        if self._shown:
            self._stream.write(f"{_CLEAR_LINE}{text}")
            self._stream.flush()
