"""Exit codes of the command: one for each kind of result, so that a script can distinguish them."""

from __future__ import annotations

from enum import IntEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from meshlab.bench.report.run import Run

__all__ = ["HELP", "Exit", "exit_code"]


class Exit(IntEnum):
    """Exit codes."""

    OK = 0
    FAILED = 1
    INPUT = 2
    NOT_JUDGED = 3
    BENCH = 4
    INTERRUPTED = 130


HELP = """Exit codes, the first that applies: 130 interrupted · 2 wrong input: manifests, case file or usage ·
4 a case could not be run, for instance because an Envoy refused its configuration, or the bench itself failed ·
1 a case failed, or the coverage is below --coverage-min · 3 a case was not judged · 0 all passed."""


def exit_code(run: Run, *, allow_not_judged: bool = False, coverage_min: float | None = None) -> Exit:
    """Return the exit code that a run ends the command with.

    Args:
        run: The run.
        allow_not_judged: Whether cases that are not judged do not fail it.
        coverage_min: The percentage that its coverage must reach; `None` for any.
    """
    counts = run.counts
    if counts["error"]:
        return Exit.BENCH
    if counts["failed"]:
        return Exit.FAILED
    if coverage_min is not None and run.coverage is not None and not run.coverage.total.reaches(coverage_min):
        return Exit.FAILED
    if counts["not judged"] and not allow_not_judged:
        return Exit.NOT_JUDGED
    return Exit.OK
