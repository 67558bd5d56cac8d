"""Progress of a run of mutants, on a terminal."""

from __future__ import annotations

import time
from collections import Counter
from typing import TYPE_CHECKING

from meshlab.bench.report.status_line import StatusLine

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import TextIO

    from meshlab.mutate.results import Result

__all__ = ["MutationProgress"]


class MutationProgress(StatusLine):
    """One line that says how many mutants are done and how fast; nothing where no person watches.

    Args:
        stream: Where to, such as stderr.
        shown: Whether to show it at all.
        now: The time in seconds.
    """

    def __init__(
        self, stream: TextIO, *, shown: bool = True, now: Callable[[], float] = time.monotonic
    ) -> None:
        super().__init__(stream, shown=shown)
        self._now = now
        self._began = 0.0
        self._total = 0
        self._counts: Counter[str] = Counter()

    def starting(self, cases: int) -> None:
        """Say that the mesh starts."""
        self.write(f"starting the proxies that {cases} cases touch, and sending the cases once")

    def began(self, total: int) -> None:
        """Take the number of mutants."""
        self._began, self._total = self._now(), total
        self.write(f"{total} mutants")

    def happened(self, result: Result) -> None:
        """Count a result."""
        self._counts[result.state] += 1
        done, passed = self._counts.total(), self._now() - self._began
        rate = f", {done / passed:.0f} a second" if passed else ""
        counts = ", ".join(f"{count} {state}" for state, count in self._counts.most_common())
        self.write(f"{done} of {self._total} mutants{rate}: {counts}")
