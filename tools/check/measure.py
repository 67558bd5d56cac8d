"""Plugin of pytest that measures what each test file costs, for `make check` to choose by.

``python -m pytest -n 2 -p tools.check.measure tests`` writes ``test_seconds.json``: processor seconds of each file, its
child processes included. Files that were not run keep their number.
"""

from __future__ import annotations

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
_found: dict[str, float] = defaultdict(float)


def table(file: Path = FILE) -> Mapping[str, int]:
    """Return processor seconds by test file, as last measured."""
    found: dict[str, int] = json.loads(file.read_text(encoding="utf-8"))
    return found


def merged(before: Mapping[str, int], found: Mapping[str, float]) -> dict[str, int]:
    """Return a table with what was measured in place of what it said of the same files."""
    kept = {**before, **{name: round(seconds) for name, seconds in found.items()}}
    return {name: seconds for name, seconds in sorted(kept.items()) if seconds >= SMALLEST_S}


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    """Measure one test. A child process counts once it has ended."""
    began = sum(os.times()[:4])
    result = yield
    _found[item.nodeid.partition("::")[0]] += sum(os.times()[:4]) - began
    return result


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
