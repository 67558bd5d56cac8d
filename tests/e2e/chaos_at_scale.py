"""Chaos with as many events as wanted: `make chaos EVENTS=1000000`, or `python -m tests.e2e.chaos_at_scale`.

Prints a report, keeps it as JSON in build/bench, and ends with 1 where an event did not end as it must.
"""

from __future__ import annotations

import argparse
import os
import sys
from typing import TYPE_CHECKING

from tests.e2e import chaos, long_run
from tests.e2e.chaos_run import Findings, Run

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_SEED = 20261120


def main(arguments: Sequence[str]) -> int:
    """Run, and return the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.e2e.chaos_at_scale", description="Everything breaks while events flow."
    )
    parser.add_argument("--events", type=int, default=100_000, help="different events (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=_SEED, help="decides everything (default: %(default)s)")
    long_run.add_driver(parser)
    options = parser.parse_args(arguments)
    if options.events < 1_000:
        parser.error("--events must be 1000 or more: with fewer, not every fault is injected")
    started, load = long_run.now(), os.getloadavg()[0]
    plan = chaos.draw(options.seed, options.events)
    progress = long_run.Progress(plan.messages, "messages settled")
    progress.line(str(plan))
    with long_run.running_lab(options.driver) as (lab, clients):
        found = Run(lab, clients, plan, report=progress.line, progress=progress.show).go()
    progress.line("")
    sys.stdout.write("\n".join(_report(found)) + "\n")
    content = {
        "seed": options.seed,
        "driver": options.driver,
        "load_before": load,
        "own_peak_mib": long_run.own_peak_mib(),
    }
    file = long_run.write("chaos", options.driver, started, {**content, "chaos": found.to_json()})
    sys.stdout.write(f"kept in {os.path.relpath(file)}\n")
    return 1 if found.complaints else 0


def _report(found: Findings) -> Iterator[str]:
    good = found.written
    bad = sum(found.dead_letters.values())
    rate = f"{found.seconds:.0f} s: {found.events_per_s:.0f} events/s"
    yield f"{found.messages:,} messages of {found.events:,} events in {rate}"
    yield f"  written         {good:>12,} events"
    for reason, number in sorted(found.dead_letters.items()):
        yield f"  dead-lettered   {number:>12,} {reason}"
    yield f"  given up        {found.undelivered:>12,} by Pub/Sub"
    yield f"  nowhere         {found.events - good - bad:>12,}"
    table, view = found.duplicates_before_view, found.duplicates_after_view
    yield f"rows beyond one for an event: {table:,} in the table, {view:,} in the view"
    yield f"dead letters beyond one for a message: {found.dead_letters_repeated:,}"
    yield "injected: " + ", ".join(f"{name} {number:,}" for name, number in found.injected.items())
    yield f"{'process':<28}{'peak [MiB]':>12}{'CPU [s]':>10}"
    for name, peak in sorted(found.peaks_mib.items(), key=lambda item: -item[1]):
        yield f"{name:<28}{peak:>12.0f}{found.cpu_s[name]:>10.0f}"
    yield f"{'this one':<28}{long_run.own_peak_mib():>12.0f}"
    yield from (f"NOT AS IT MUST BE: {complaint}" for complaint in found.complaints)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
