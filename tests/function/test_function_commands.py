"""The commands of `python -m enrichment` as processes: what all of them have in common."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from .conftest import FUNCTION


def command(
    arguments: list[str], output: int, environment: dict[str, str] | None = None
) -> "subprocess.CompletedProcess[str]":
    kept = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
    return subprocess.run(
        [sys.executable, "-m", "enrichment", *arguments],
        cwd=FUNCTION,
        env=kept | (environment or {}),
        stdout=output,
        stderr=subprocess.PIPE,
        text=True,
        check=False,
    )


@pytest.mark.parametrize(
    ("arguments", "environment"),
    [
        (["schema"], {}),
        (["schema"], {"PYTHONUNBUFFERED": "1"}),
        (["sql", "freshness", "--table", "a-project.b.c"], {}),
        (["check"], {}),
        (["init", "--from-event", "event.json", "--to", "."], {}),
    ],
)
def test_an_output_that_cannot_be_written_is_one_sentence(
    tmp_path: Path, arguments: list[str], environment: dict[str, str]
) -> None:
    (tmp_path / "event.json").write_text('{"id": "a"}')
    placed = [
        {"event.json": str(tmp_path / "event.json"), ".": str(tmp_path)}.get(word, word) for word in arguments
    ]
    with Path("/dev/full").open("wb") as full:
        done = command(placed, full.fileno(), environment)
    assert done.returncode == 1
    (sentence,) = done.stderr.splitlines()
    assert sentence.startswith(
        "python -m enrichment: the output cannot be written: No space left on device. "
    )


def test_an_output_that_is_not_read_to_its_end_is_no_error_to_report() -> None:
    reading, writing = os.pipe()
    os.close(reading)
    try:
        done = command(["schema"], writing)
    finally:
        os.close(writing)
    assert (done.returncode, done.stderr) == (1, "")


def opened(pipe: Path, process: "subprocess.Popen[str]") -> int:
    """Open a pipe for writing once the process reads it."""
    while process.poll() is None:
        with contextlib.suppress(OSError):  # ENXIO: nothing reads it yet
            return os.open(pipe, os.O_WRONLY | os.O_NONBLOCK)
        time.sleep(0.01)
    raise AssertionError(process.communicate())


@pytest.mark.parametrize("name", ["serve", "work"])
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=lambda number: number.name)
def test_a_signal_ends_a_server_that_is_still_starting_without_an_error(
    name: str, number: signal.Signals, tmp_path: Path
) -> None:
    """As the first process of a container it would ignore a signal that it has no handler for."""
    pipe = tmp_path / "pipeline.toml"
    os.mkfifo(pipe)
    process = subprocess.Popen(
        [sys.executable, "-m", "enrichment", name],
        cwd=FUNCTION,
        env={**os.environ, "PIPELINE_FILE": str(pipe), "PULL_SUBSCRIPTION": "projects/p/subscriptions/s"},
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        writing = opened(pipe, process)
        process.send_signal(number)
        _, said = process.communicate(timeout=60)
        os.close(writing)
    finally:
        process.kill()
    assert (process.returncode, said) == (0, "")
