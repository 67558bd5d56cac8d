"""Counters of a pipeline, in Beam's metrics."""

import functools
from typing import Any

from apache_beam.metrics import Metrics

from enrichment_beam.engine import Ended
from enrichment_beam.tally import is_final

NAMESPACE = "enrichment"
"""Namespace of the counters."""

REPORT_AFTER = 100
"""After how many messages a bundle's counts are given to Beam. To count there costs as much as to read an event, and a
bundle of a batch may last for hours: its counters should move before its end."""


class Counts:
    """Counts of one bundle that Beam does not know yet."""

    def __init__(self) -> None:
        self._amounts: dict[str, int] = {}
        self._messages = 0

    def add(self, ended: Ended, *, collects_rows: bool) -> None:
        """Count a message that has ended.

        Args:
            ended: What became of it.
            collects_rows: Whether its rows were collected, and not written.
        """
        tally = ended.tally
        for outcome in tally.outcomes or [ended.outcome]:
            label = (
                f"{outcome.disposition.value}/{outcome.reason}"
                if outcome.reason
                else outcome.disposition.value
            )
            self._add(f"events/{label}", 1)
        if tally.tries > 1:
            self._add("retries", tally.tries - 1)
        if is_final(ended.outcome):
            self._add("rows", len(tally.collected) if collects_rows else tally.rows)
        self._messages += 1
        if self._messages >= REPORT_AFTER:
            self.report()

    def report(self) -> None:
        """Give Beam what was counted since the last report."""
        for name, amount in self._amounts.items():
            _counter(name).inc(amount)
        self._amounts.clear()
        self._messages = 0

    def _add(self, name: str, amount: int) -> None:
        self._amounts[name] = self._amounts.get(name, 0) + amount


@functools.cache  # to make one costs more than to count; the names are few
def _counter(name: str) -> Any:  # noqa: ANN401 - Beam's type
    return Metrics.counter(NAMESPACE, name)
