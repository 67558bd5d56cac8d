"""`make profile` measures every step of an event, and what an import loads."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tools import cost

if TYPE_CHECKING:
    from collections.abc import Iterator


def test_every_step_of_an_event_is_one_that_works() -> None:
    steps = cost.Event().steps()
    assert list(steps) == [
        "read the push",
        "split into events",
        "decode and check",
        "plan the rows",
        "build the row",
    ]
    assert [name for name, step in steps.items() if step() is None] == []


def test_a_step_is_taken_as_often_as_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    clock: Iterator[float] = iter([1.0, 1.5])
    monkeypatch.setattr("time.thread_time", lambda: next(clock))
    taken: list[int] = []
    assert cost.timed_us(lambda: taken.append(1), 5) == pytest.approx(100_000)
    assert len(taken) == 5


def test_an_import_names_the_modules_that_it_loads() -> None:
    names = {module.name for module in cost.import_costs("import meshpass")}
    assert "meshpass" in names
    assert "httpx" not in names
