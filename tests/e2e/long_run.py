"""What the long runs by hand share: a lab of their own, official clients in its environment, progress, and results."""

from __future__ import annotations

import json
import os
import resource
import sys
import tempfile
import time
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from meshlab.demo.events import EventClients
from meshlab.lab.project import Project
from meshlab.lab.stack import Driver, Lab

from bench import report
from tests.e2e import chaos
from tests.e2e.chaos_run import profiles_file

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator

ROOT = Path(__file__).parents[2]
RESULTS = ROOT / "build/bench"
_LINE_EVERY_S = 30.0


@contextmanager
def running_lab(driver: str) -> Iterator[tuple[Lab, EventClients]]:
    """Start a lab that knows the profiles of chaos events, and connect the official clients.

    Args:
        driver: What receives events: `function`, or the worker, `work`.
    """
    os.environ.pop("PUBSUB_EMULATOR_HOST", None)
    # One line for each event would be half a gigabyte for a million of them.
    os.environ["LOG_SUCCESS_SAMPLE"] = "1000"
    with ExitStack() as ends:
        directory = Path(ends.enter_context(tempfile.TemporaryDirectory()))
        profiles = profiles_file(directory, chaos.profiles())
        lab = ends.enter_context(Lab(Project.find(root=ROOT), profiles=profiles, driver=Driver(driver)))
        os.environ.update(lab.environment)
        clients = EventClients(lab.resources)
        ends.callback(clients.close)
        yield lab, clients


def add_driver(parser: argparse.ArgumentParser) -> None:
    """Let the command choose what receives events."""
    parser.add_argument(
        "--driver",
        choices=[driver.value for driver in Driver],
        default=Driver.FUNCTION.value,
        help="what receives events (default: %(default)s)",
    )


class Progress:
    """How far a run is: one line that changes on a terminal, and a line now and then in a pipe.

    Args:
        total: How much there is to do.
        unit: What is counted.
    """

    def __init__(self, total: int, unit: str) -> None:
        self._total, self._unit = total, unit
        self._began_at = time.monotonic()
        self._next_line_at = self._began_at + _LINE_EVERY_S
        self._on_terminal = sys.stderr.isatty()

    def show(self, done: int) -> None:
        """Show how much is done."""
        now = time.monotonic()
        if not self._on_terminal and now < self._next_line_at and done < self._total:
            return
        self._next_line_at = now + _LINE_EVERY_S
        passed = now - self._began_at
        rate = done / passed if passed else 0.0
        left = f"{(self._total - done) / rate:.0f} s left" if rate else "no rate yet"
        text = f"{done:,} of {self._total:,} {self._unit}, {rate:.0f} a second, {left}"
        if self._on_terminal:
            sys.stderr.write(f"\r\x1b[K{text}")
        else:
            sys.stderr.write(f"{text}\n")
        sys.stderr.flush()

    def line(self, text: str) -> None:
        """Show what happened, above the line that changes."""
        sys.stderr.write(f"\r\x1b[K{text}\n" if self._on_terminal else f"{text}\n")
        sys.stderr.flush()


def own_peak_mib() -> float:
    """Return the most memory that this process has held, in MiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def write(run: str, driver: str, started: datetime, found: dict[str, Any], directory: Path = RESULTS) -> Path:
    """Keep what a run has found as JSON beside the results of the bench, and return the file.

    Args:
        run: The kind of run, `chaos`. In the file's name it is `chaos-work` where the worker received the events.
        driver: What received them.
        started: When the run began.
        found: What it has found.
        directory: Where the file goes.
    """
    directory.mkdir(parents=True, exist_ok=True)
    kind = run if driver == Driver.FUNCTION.value else f"{run}-{driver}"
    file = directory / f"{started:%Y%m%dT%H%M%S}Z-{kind}.json"
    content = {
        "started": started.isoformat(),
        "machine": report.machine(),
        "commit": report.commit(),
        **found,
    }
    file.write_text(json.dumps(content, indent=1) + "\n")
    return file


def now() -> datetime:
    """Return the time of day."""
    return datetime.now(UTC)
