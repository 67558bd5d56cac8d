"""Memory and processor time of running process groups over time, and the slope of a line through the samples."""

import os
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from math import sqrt
from pathlib import Path
from typing import Self

_TICK_S = 1 / os.sysconf("SC_CLK_TCK")
_PROC = Path("/proc")
# Two standard errors hold a slope in 95 of 100 runs, where the samples are many.
_TWO_SIDED_95 = 1.96


@dataclass(frozen=True)
class Used:
    """What a process group uses now.

    Attributes:
        rss_mib: Memory that its processes hold, summed up, in MiB; pages that two share count twice.
        peak_mib: The most memory that each of its processes has held, summed up, in MiB.
        cpu_s: Processor time of its processes until now, in seconds.
    """

    rss_mib: float = 0.0
    peak_mib: float = 0.0
    cpu_s: float = 0.0

    def __add__(self, other: "Used") -> "Used":
        return Used(self.rss_mib + other.rss_mib, self.peak_mib + other.peak_mib, self.cpu_s + other.cpu_s)


def look(groups: Mapping[int, str]) -> dict[str, Used]:
    """Return what process groups use now, by their names; a group that has ended is left out.

    Args:
        groups: The id of each group, which is that of the process that leads it, and its name.
    """
    found: dict[str, Used] = {}
    for directory in _PROC.glob("[0-9]*"):
        try:
            # Fields from the third on; the second is a name in brackets, with anything in it.
            stat = (directory / "stat").read_text().rpartition(")")[2].split()
            name = groups.get(int(stat[2]))
            if name is None:
                continue
            status = (directory / "status").read_text()
        except OSError:
            continue  # it ended meanwhile
        one = Used(_mib(status, "VmRSS"), _mib(status, "VmHWM"), (int(stat[11]) + int(stat[12])) * _TICK_S)
        found[name] = found.get(name, Used()) + one
    return found


def _mib(status: str, key: str) -> float:
    line = next((line for line in status.splitlines() if line.startswith(f"{key}:")), "- 0 kB")
    return int(line.split()[1]) / 1024


@dataclass(frozen=True)
class Slope:
    """How much memory a process gains for each 100,000 events.

    Attributes:
        mib: The slope of the line with the least squares, in MiB for each 100,000 events.
        low: Where the middle 95 % begin, by the spread of the samples around the line.
        high: Where the middle 95 % end.
        samples: How many samples the line was put through.
    """

    mib: float
    low: float
    high: float
    samples: int


def slope(samples: Sequence[tuple[float, float]]) -> Slope:
    """Put a line through samples of events so far and MiB, and return its slope for each 100,000 events.

    The interval takes each sample for independent of the one before. Memory is not quite so: read an interval that
    barely excludes zero with care, and look at a longer run.

    Raises:
        ValueError: There are fewer than three samples, or no events between them.
    """
    n = len(samples)
    if n < 3:
        raise ValueError(f"a slope needs three samples, and there are {n}")
    mean_x, mean_y = (sum(values) / n for values in zip(*samples, strict=True))
    spread = sum((x - mean_x) ** 2 for x, _ in samples)
    if not spread:
        raise ValueError("a slope needs events between the samples, and there were none")
    gain = sum((x - mean_x) * (y - mean_y) for x, y in samples) / spread
    left_over = sum((y - mean_y - gain * (x - mean_x)) ** 2 for x, y in samples)
    error = sqrt(left_over / (n - 2) / spread)
    factor = 100_000
    low, high = ((gain + side * _TWO_SIDED_95 * error) * factor for side in (-1, 1))
    return Slope(gain * factor, low, high, n)


@dataclass
class _Series:
    pid: int
    samples: list[tuple[float, float]] = field(default_factory=list)
    peak_mib: float = 0.0
    cpu_before_s: float = 0.0
    cpu_s: float = 0.0


class Watch:
    """Samples of processes while a block runs, taken in a thread.

    Args:
        groups: Returns the name and the process group of each process that runs now.
        events: Returns how many events are done.
        every_s: Seconds between two samples.
    """

    def __init__(
        self, groups: Callable[[], Mapping[str, int]], events: Callable[[], int], *, every_s: float = 1.0
    ) -> None:
        self._groups = groups
        self._events = events
        self._every_s = every_s
        self._series: dict[str, _Series] = {}
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._end.set()
        self._thread.join()
        self._sample()

    @property
    def peaks_mib(self) -> dict[str, float]:
        """The most memory that each process has held, over all its restarts, in MiB."""
        return {name: series.peak_mib for name, series in self._series.items()}

    @property
    def cpu_s(self) -> dict[str, float]:
        """Processor time of each process, all its restarts together, in seconds, as far as it was seen."""
        return {name: series.cpu_before_s + series.cpu_s for name, series in self._series.items()}

    def samples(self, name: str) -> Sequence[tuple[float, float]]:
        """Return the events that were done and the MiB that a process held, for each sample since it was started."""
        return self._series[name].samples

    def _run(self) -> None:
        due_s = time.monotonic()
        while not self._end.wait(max(0.0, due_s - time.monotonic())):
            self._sample()
            due_s += self._every_s

    def _sample(self) -> None:
        groups = self._groups()
        events = self._events()
        used = look({pid: name for name, pid in groups.items()})
        for name, now in used.items():
            series = self._series.setdefault(name, _Series(groups[name]))
            if series.pid != groups[name]:  # it was started again
                series.pid, series.samples = groups[name], []
                series.cpu_before_s += series.cpu_s
            series.samples.append((events, now.rss_mib))
            series.peak_mib = max(series.peak_mib, now.peak_mib)
            series.cpu_s = now.cpu_s
