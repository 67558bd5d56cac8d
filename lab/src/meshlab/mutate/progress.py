"""Progress of a run of mutants."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from meshlab.bench.report.status_line import StatusLine, time_left

if TYPE_CHECKING:
    from meshlab.mutate.results import Result

__all__ = ["MutationProgress"]


class MutationProgress(StatusLine):
    """How many mutants are done, what became of them, how fast, and how long the rest takes."""

    _began = 0.0
    _total = 0

    def starting(self, cases: int) -> None:
        """Say that the mesh starts."""
        self.write(f"starting the proxies that {cases} cases touch, and sending the cases once")

    def began(self, total: int) -> None:
        """Take the number of mutants."""
        self._began, self._total = self._now(), total
        self._counts: Counter[str] = Counter()
        self.write(f"{total} mutants")

    def happened(self, result: Result) -> None:
        """Count a result."""
        self._counts[result.state] += 1
        done, passed = self._counts.total(), self._now() - self._began
        per_second = done / passed if passed else 0
        rate = f", {per_second:.{0 if per_second >= 1 else 1}f} a second" if passed else ""
        counts = "".join(f", {count} {state}" for state, count in self._counts.most_common())
        self.write(f"{done} of {self._total} mutants{counts}{rate}{time_left(done, self._total, passed)}")
