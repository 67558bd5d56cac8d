"""MESHLAB_LOG switches the log on for parts of meshlab."""

from __future__ import annotations

import logging
import os
import sys
from typing import TYPE_CHECKING

import pytest
from meshlab import debug_log
from meshlab.processes.supervisor import Supervisor

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(autouse=True)
def levels() -> Iterator[None]:
    """Put the loggers back after a test."""
    loggers = [logging.getLogger(name) for name in ("meshlab", "meshlab.processes", "meshlab.cloud")]
    before = [(logger, logger.level, logger.handlers.copy()) for logger in loggers]
    yield
    for logger, level, handlers in before:
        logger.setLevel(level)
        logger.handlers[:] = handlers


def run_a_child() -> None:
    with Supervisor() as supervisor:
        supervisor.spawn("child", [sys.executable, "-c", "pass"], env={"SECRET": "s3cret"}, stdout=None)


@pytest.mark.parametrize(
    ("value", "shown"), [("debug", True), ("processes=debug", True), ("cloud=debug", False), ("info", False)]
)
def test_a_part_is_switched_on(value: str, shown: bool, capsys: pytest.CaptureFixture[str]) -> None:
    debug_log.enable(value)
    run_a_child()
    text = capsys.readouterr().err
    assert ("started child as process" in text) is shown
    assert ("stopped child" in text) is shown
    assert "s3cret" not in text
    assert os.environ.get("SECRET") is None


def test_a_word_that_is_no_level_is_a_warning(capsys: pytest.CaptureFixture[str]) -> None:
    debug_log.enable("processes=loud")
    assert "MESHLAB_LOG has 'processes=loud'; write a level" in capsys.readouterr().err
