"""What processes have used, as Linux tells it in /proc."""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from bench.harness import BenchError

_TICK_S = 1 / os.sysconf("SC_CLK_TCK")
_PROC = Path("/proc")


@dataclass(frozen=True)
class Usage:
    """What a group of processes has used until now.

    Attributes:
        cpu_s: Processor time of all of them, in seconds.
        peak_mib: The most memory that each has held so far, summed up, in MiB; pages that two share count twice.
    """

    cpu_s: float
    peak_mib: float


def usage(group: int) -> Usage:
    """Look at a process group: a server and the workers that it has forked.

    Args:
        group: Id of the group, which is that of the process that leads it.

    Raises:
        BenchError: This machine has no /proc, or the group has ended.
    """
    found = list(_members(group))
    if not found:
        raise BenchError(
            f"process group {group} cannot be looked at: /proc of Linux is needed, and the group running"
        )
    return Usage(sum(cpu_s for cpu_s, _ in found), sum(peak_mib for _, peak_mib in found))


def _members(group: int) -> Iterator[tuple[float, float]]:
    for directory in _PROC.glob("[0-9]*"):
        try:
            # Fields from the third on; the second is a name in brackets, with anything in it.
            stat = (directory / "stat").read_text().rpartition(")")[2].split()
            if int(stat[2]) == group:
                yield (int(stat[11]) + int(stat[12])) * _TICK_S, _peak_mib((directory / "status").read_text())
        except OSError:
            continue  # it ended meanwhile


def _peak_mib(status: str) -> float:
    peak = next((line for line in status.splitlines() if line.startswith("VmHWM:")), "VmHWM: 0 kB")
    return int(peak.split()[1]) / 1024
