"""`meshlab up`, from the command to ready."""

import re
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from meshlab.processes.supervisor import Supervisor

from bench.harness import Comparison, Contender, Effort, Sample, compare

_MESHLAB = Path(sys.executable).parent / "meshlab"
_UP = re.compile(r"^# up after ([0-9.]+) s", re.MULTILINE)
_SETUP = (
    "4 fakes, 2 Envoys, user-profile and the function; 'ready' as the lab prints it, 'command' from typing it"
)


def run(effort: Effort) -> Iterator[Comparison]:
    """Time the lab; it has no peer."""
    with Supervisor() as supervisor:
        yield compare(
            "lab: meshlab up",
            [Contender("meshlab up", _measure(supervisor))],
            rounds=effort.rounds(5),
            setup=_SETUP,
        )


def _measure(supervisor: Supervisor) -> Callable[[], Sample]:
    output = supervisor.directory / "up.txt"

    def measure() -> Sample:
        output.unlink(missing_ok=True)
        # Where this variable is set, the lab would use that server instead of its own.
        command: list[str | Path] = ["env", "-u", "PUBSUB_EMULATOR_HOST", _MESHLAB, "up"]
        child = supervisor.spawn("meshlab", command, env={"PYTHONDONTWRITEBYTECODE": ""}, stdout=output)
        try:
            child.wait_until(lambda: _UP.search(output.read_text()) is not None, "did not get ready", 60)
            command_s = time.monotonic() - child.started_at
            found = _UP.search(output.read_text())
        finally:
            supervisor.stop(child)
        return {"ready_s": float(found[1]) if found else command_s, "command_s": command_s}

    return measure
