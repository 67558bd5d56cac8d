"""Progress of a run, on a terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from types import TracebackType
    from typing import TextIO

    from meshlab.bench.verdicts.verdict import Outcome

__all__ = ["Progress"]

_CLEAR_LINE = "\r\x1b[K"


class Progress:
    """One line that says how many cases are done; nothing where no person watches.

    Args:
        stream: Where to, such as stderr.
        shown: Whether to show it at all.
        what: What is counted, such as `requests`.
    """

    def __init__(self, stream: TextIO, *, shown: bool = True, what: str = "cases") -> None:
        self._stream = stream
        self._what = what
        self._shown = shown and stream.isatty()
        self._total = 0
        self._done = 0
        self._failed = 0

    def __enter__(self) -> Self:
        self._write("starting the mesh")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._write("")

    def began(self, total: int) -> None:
        """Take the number of cases."""
        self._total = total
        self._write(f"starting the proxies that {total} {self._what} touch")

    def happened(self, outcome: Outcome) -> None:
        """Count an outcome."""
        self._done += 1
        self._failed += outcome.state in ("failed", "error")
        failed = f", {self._failed} failed" if self._failed else ""
        self._write(f"{self._done} of {self._total} {self._what}{failed}")

    def _write(self, text: str) -> None:
        if self._shown:
            self._stream.write(f"{_CLEAR_LINE}{text}")
            self._stream.flush()
