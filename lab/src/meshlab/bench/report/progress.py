"""Progress of a run, on a terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

from meshlab.bench.report.status_line import StatusLine

if TYPE_CHECKING:
    from typing import TextIO

    from meshlab.bench.verdicts.verdict import Outcome

__all__ = ["Progress"]


class Progress(StatusLine):
    """One line that says how many cases are done; nothing where no person watches.

    Args:
        stream: Where to, such as stderr.
        shown: Whether to show it at all.
        what: What is counted, such as `requests`.
    """

    def __init__(self, stream: TextIO, *, shown: bool = True, what: str = "cases") -> None:
        super().__init__(stream, shown=shown)
        self._what = what
        self._total = 0
        self._done = 0
        self._failed = 0

    def __enter__(self) -> Self:
        self.write("starting the mesh")
        return self

    def began(self, total: int) -> None:
        """Take the number of cases."""
        self._total = total
        self.write(f"starting the proxies that {total} {self._what} touch")

    def happened(self, outcome: Outcome) -> None:
        """Count an outcome."""
        self._done += 1
        self._failed += outcome.state in ("failed", "error")
        failed = f", {self._failed} failed" if self._failed else ""
        self.write(f"{self._done} of {self._total} {self._what}{failed}")
