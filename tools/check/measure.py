"""Plugin of pytest that measures what each test file costs, for `make check` to choose by.

``python -m pytest -n 2 -p tools.check.measure tests`` writes ``test_seconds.json``: processor seconds of each file, its
child processes included. Servers of a whole session count for the files that use them, and their start for the first of
these. Files that were not run keep their number.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections import defaultdict
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tools import ROOT

if TYPE_CHECKING:
    from collections.abc import Generator, Mapping

FILE = Path(__file__).with_name("test_seconds.json")
SMALLEST_S = 2
"""Files below this many seconds are left out of the table: they cost less than the start of pytest."""

_OUTPUT = "meshpass_test_seconds"
_PROCESSES = Path("/proc")
_found: dict[str, float] = defaultdict(float)
_began: list[float] = []


def table(file: Path = FILE) -> Mapping[str, int]:
    """Return processor seconds by test file, as last measured."""
    found: dict[str, int] = json.loads(file.read_text(encoding="utf-8"))
    return found


def merged(before: Mapping[str, int], found: Mapping[str, float]) -> dict[str, int]:
    """Return a table with what was measured in place of what it said of the same files."""
    kept = {**before, **{name: round(seconds) for name, seconds in found.items()}}
    return {name: seconds for name, seconds in sorted(kept.items()) if seconds >= SMALLEST_S}


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_protocol(
    item: pytest.Item, nextitem: pytest.Item | None
) -> Generator[None, object, object]:
    """Measure the tests of one file that run one after another."""
    if not _began:
        _began.append(used_s())
    result = yield
    if nextitem is None or nextitem.path != item.path:
        now = used_s()
        _found[item.nodeid.partition("::")[0]] += now - _began.pop()
    return result


def used_s() -> float:
    """Return the processor seconds of this process and of all below it, those that have ended included.

    Where the system has no `/proc`, a process that still runs is left out.
    """
    parents: dict[int, int] = {}
    ticks: dict[int, int] = {}
    for file in _PROCESSES.glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):  # it has ended in between
            # proc_pid_stat(5): the name may hold anything. After it, the 2nd is the parent, the 12th to 15th are times.
            _, _, rest = file.read_text(errors="replace").rpartition(")")
            values = rest.split()
            pid = int(file.parent.name)
            parents[pid], ticks[pid] = int(values[1]), sum(map(int, values[11:15]))
    own, found = os.getpid(), 0
    for pid in parents:
        above: int | None = pid
        while above not in (own, None):
            above = parents.get(above)
        if above == own and pid != own:
            found += ticks[pid]
    return sum(os.times()[:4]) + (found / os.sysconf("SC_CLK_TCK") if found else 0)


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: object) -> None:
    """Take what a worker of pytest-xdist has measured."""
    for name, seconds in getattr(node, "workeroutput", {}).get(_OUTPUT, {}).items():
        _found[name] += seconds


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Write the table; a worker passes on what it has measured."""
    output = getattr(session.config, "workeroutput", None)
    if output is not None:
        output[_OUTPUT] = dict(_found)
    else:
        known = {name: seconds for name, seconds in table().items() if (ROOT / name).is_file()}
        FILE.write_text(json.dumps(merged(known, _found), indent=0) + "\n", encoding="utf-8")
