"""Progress of a run of cases or requests."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Self

from meshlab.bench.report.status_line import StatusLine, time_left

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import TextIO

    from meshlab.bench.verdicts.verdict import Outcome

__all__ = ["Progress"]


class Progress(StatusLine):
    """How many cases are done, and how long the rest takes.

    Args:
        stream: Where to, such as stderr.
        shown: Whether to show it at all.
        what: What is counted, such as `requests`.
        now: The time in seconds.
    """

    def __init__(
        self,
        stream: TextIO,
        *,
        shown: bool = True,
        what: str = "cases",
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        super().__init__(stream, shown=shown, now=now)
        self._what = what
        self._total = 0
        self._done = 0
        self._failed = 0
        self._began = 0.0

    def __enter__(self) -> Self:
        self.write("starting the mesh")
        return self

    def began(self, total: int) -> None:
        """Take the number of cases; it may grow later."""
        self._total = total
        self._began = self._began or self._now()
        self.write(f"starting the proxies that {total} {self._what} touch")

    def happened(self, outcome: Outcome) -> None:
        """Count an outcome."""
        self._failed += outcome.state in ("failed", "error")
        self.step()

    def step(self) -> None:
        """Count one that is done."""
        self._done += 1
        failed = f", {self._failed} failed" if self._failed else ""
        left = time_left(self._done, self._total, self._now() - self._began)
        self.write(f"{self._done} of {self._total} {self._what}{failed}{left}")
