"""``make profile``: where the time of an event and of an import goes, as tables.

It measures this machine now, to compare before and after a change. Numbers to publish come from ``make bench``.
"""

from __future__ import annotations

import argparse
import base64
import cProfile
import json
import pstats
import re
import subprocess
import sys
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tools import ROOT

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from enrichment.row import Row

IMPORTS = {
    "the SDK": "import meshpass",
    "the SDK's client": "import meshpass; meshpass.Client",
    "the function's core": "import enrichment.assembly",
    "the command meshlab": "import meshlab.cli._app",
}
"""What a program pays for before it does anything."""

_LINE = re.compile(r"import time: +(\d+) \| +(\d+) \| (\s*)(\S+)")
_TOP = 10


@dataclass(frozen=True)
class Module:
    """The cost of importing one module, in microseconds: its own, and with all that it imports first."""

    name: str
    own_us: int
    total_us: int


def import_costs(code: str) -> list[Module]:
    """Return what a fresh interpreter imports for a line of code, the dearest module first."""
    done = subprocess.run(  # noqa: S603
        [sys.executable, "-X", "importtime", "-c", code],
        cwd=ROOT / "function",
        capture_output=True,
        text=True,
        check=True,
    )
    found = [Module(name, int(own), int(total)) for own, total, _, name in _LINE.findall(done.stderr)]
    return sorted(found, key=lambda module: module.own_us, reverse=True)


class Event:
    """One event of the pipeline as it is shipped, taken through the steps that need no network."""

    def __init__(self) -> None:
        from enrichment.settings import pipeline_file

        folder = ROOT / "function"
        self.config = pipeline_file.read(folder / "pipeline.toml", folder / "enrichment/table.json")
        data = {
            "event_id": "e-1",
            "user_id": "u-1",
            "type": "login",
            "occurred_at": "2026-01-02T03:04:05Z",
            "more": [1] * 20,
        }
        message = {
            "data": base64.b64encode(json.dumps(data).encode()).decode(),
            "messageId": "1",
            "publishTime": "2026-01-02T03:04:06Z",
            "attributes": {},
        }
        self.body = json.dumps({"message": message, "subscription": "projects/p/subscriptions/s"}).encode()
        self.profile = {"user_id": "u-1", "plan": "free", "tier": "gold", "country": "DE"}

    def steps(self) -> dict[str, Callable[[], object]]:
        """Return the steps by name; each works on what the one before it made."""
        from datetime import UTC, datetime

        from enrichment import event, row
        from enrichment.core import plan
        from enrichment.event import message

        read = message.read(self.body)
        (part,) = event.split(read, self.config.event)
        decoded = event.decode(part, self.config.event)
        (planned,) = plan.plan(decoded, self.config)
        names = [rules.name for rules in self.config.lookups]
        text = json.dumps(self.profile)
        now = datetime(2026, 1, 2, tzinfo=UTC)

        def build() -> Row:
            values = {**dict.fromkeys(names, self.profile), "trace": {"id": "0" * 32}, "now": now}
            return row.build(
                planned.columns, planned.insert_id, planned.scope.extended(values, dict.fromkeys(names, text))
            )

        return {
            "read the push": lambda: message.read(self.body),
            "split into events": lambda: event.split(read, self.config.event),
            "decode and check": lambda: event.decode(part, self.config.event),
            "plan the rows": lambda: plan.plan(decoded, self.config),
            "build the row": build,
        }


def timed_us(step: Callable[[], object], times: int) -> float:
    """Return the mean time of a step in microseconds of this thread's processor time."""
    before = time.thread_time()
    for _ in range(times):
        step()
    return (time.thread_time() - before) / times * 1e6


def table(title: str, rows: Sequence[tuple[str, float]], unit: str) -> str:
    """Return a table as text."""
    lines = [title, *(f"  {value:>10.1f} {unit}  {name}" for name, value in rows)]
    return "\n".join(lines) + "\n"


def main(arguments: Sequence[str]) -> None:
    """Print the tables; see ``--help``."""
    parser = argparse.ArgumentParser(prog="make profile", description=__doc__)
    parser.add_argument(
        "--events", type=int, default=5000, help="how often an event is taken (default: %(default)s)"
    )
    options = parser.parse_args(arguments)
    steps = Event().steps()
    costs = [(name, timed_us(step, options.events)) for name, step in steps.items()]
    costs.append(("together", sum(cost for _, cost in costs)))
    sys.stdout.write(table("An event, without lookup, write and publish:", costs, "µs"))
    with cProfile.Profile() as profile:
        for step in steps.values():
            timed_us(step, options.events)
    pstats.Stats(profile, stream=sys.stdout).sort_stats("tottime").print_stats(_TOP)
    for title, code in IMPORTS.items():
        modules = import_costs(code)
        shown = [(module.name, module.own_us / 1e3) for module in modules[:_TOP]]
        total = sum(module.own_us for module in modules) / 1e3
        sys.stdout.write(
            table(f"{title} ({code}): {total:.0f} ms, {len(modules)} modules; the dearest:", shown, "ms")
        )


if __name__ == "__main__":
    main(sys.argv[1:])
