"""Runs Beam, which takes its events from memory and acks none of them, in an environment of its own."""

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from bench.enrich import processes, workload
from bench.harness import BenchError

VERSION = "2.77.0"
WORKERS = 16

_PEER = Path(__file__).parents[1] / "peers/beam"
_HOME = Path(__file__).parents[2] / "build/bench/beam"
_PYTHON = _HOME / "bin/python"
_READY = _HOME / "requirements.txt"  # a copy of those that are installed


def is_installed() -> bool:
    """Whether Beam can run at once, with nothing to fetch."""
    return _READY.is_file() and _READY.read_bytes() == (_PEER / "requirements.txt").read_bytes()


def install() -> None:
    """Make Beam's environment if it is not there: some 500 MB, from PyPI, each file by its hash.

    Raises:
        BenchError: It could not be made.
    """
    if is_installed():
        return
    requirements = _PEER / "requirements.txt"
    uv = Path(sys.executable).with_name("uv")
    print("bench: installing Apache Beam into build/bench/beam ...", file=sys.stderr, flush=True)
    commands: tuple[list[str | Path], ...] = (
        [uv, "venv", "--quiet", "--clear", "--python", sys.executable, _HOME],
        [
            *(
                uv,
                "pip",
                "install",
                "--no-config",
                "--quiet",
                "--require-hashes",
                "--no-deps",
                "--compile-bytecode",
            ),
            *("--python", _PYTHON, "-r", requirements),
        ],
    )
    for command in commands:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise BenchError(f"Apache Beam could not be installed:\n{done.stderr}")
    _READY.write_bytes(requirements.read_bytes())


def run(env: Mapping[str, str], events: int, directory: Path, *, wide: bool = False) -> float:
    """Put events through Beam, on one CPU.

    Args:
        env: Where it finds everything.
        events: How many, each with a key of its own.
        directory: For the file that holds them.
        wide: Whether they are those of the wider shape.

    Returns:
        Processor time that it took from the first lookup to its end, in seconds.

    Raises:
        BenchError: It failed.
    """
    file = directory / "events.jsonl"
    made = workload.wide_event if wide else workload.event
    file.write_bytes(b"".join(made(number, number) + b"\n" for number in range(events)))
    with processes.one_cpu():
        done = subprocess.run(
            [_PYTHON, _PEER / "main.py", file, str(WORKERS), "wide" if wide else "plain"],
            env={**os.environ, **env},
            capture_output=True,
            text=True,
            check=False,
        )
    if done.returncode != 0:
        raise BenchError(f"Apache Beam failed:\n{done.stderr[-2000:]}")
    return float(json.loads(done.stdout.splitlines()[-1])["cpu_s"])
