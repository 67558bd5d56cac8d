"""What processes may use, and have used, as Linux tells it in /proc."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
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


@contextmanager
def one_cpu() -> Iterator[None]:
    """Let what is started within have one CPU, and leave the other ones to everybody else.

    That is what deploy/ gives the function (FUNCTION_CPU). On a machine with one CPU there is nothing to leave.

    Raises:
        BenchError: This machine cannot do so; Linux can.
    """
    if not hasattr(os, "sched_setaffinity"):
        raise BenchError("a process cannot be kept to one CPU on this machine: Linux is needed")
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {max(before)})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


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
