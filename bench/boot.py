"""functions-framework from its start to its first answer, with the function or an empty one."""

import http.client
import os
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from meshlab.processes.ports import LOOPBACK, free_ports
from meshlab.processes.supervisor import Supervisor

from bench import functions
from bench.harness import BenchError, Comparison, Contender, Effort, Sample, compare

_SETUP = (
    "the command that the lab starts, one worker; bytecode and file cache warm; polled every 5 ms; the first answer is "
    "to a GET, which no event handler takes; CPU from start to end, stopping included"
)


def run(effort: Effort) -> Iterator[Comparison]:
    """Compare the function with an empty one."""
    ports = free_ports()
    with Supervisor() as supervisor:
        yield compare(
            "boot: functions-framework",
            [
                Contender("function/main.py", _measure(supervisor, ports, functions.OURS)),
                Contender("an empty function", _measure(supervisor, ports, functions.EMPTY)),
            ],
            rounds=effort.rounds(9),
            setup=_SETUP,
            peer="an empty function",
        )


def _measure(supervisor: Supervisor, ports: Iterator[int], source: Path) -> Callable[[], Sample]:
    def measure() -> Sample:
        port = next(ports)
        children = os.times()
        child = supervisor.spawn(
            "function",
            [
                sys.executable, "-m", "functions_framework",
                "--target", "enrich", "--source", source, "--host", LOOPBACK, "--port", str(port),
            ],
            env={**functions.SETTINGS, "PYTHONDONTWRITEBYTECODE": ""},
            stdout=supervisor.directory / "function.log",
        )  # fmt: skip
        try:
            child.wait_port(port)
            listening_s = time.monotonic() - child.started_at
            _first_answer(port)
            answer_s = time.monotonic() - child.started_at
        finally:
            supervisor.stop(child)
        ended = os.times()
        cpu_s = (ended.children_user - children.children_user) + (
            ended.children_system - children.children_system
        )
        return {"listening_ms": listening_s * 1e3, "first_answer_ms": answer_s * 1e3, "cpu_ms": cpu_s * 1e3}

    return measure


def _first_answer(port: int) -> None:
    connection = http.client.HTTPConnection(LOOPBACK, port, timeout=20)
    try:
        connection.request("GET", "/")
        status = connection.getresponse().status
    except OSError as error:
        raise BenchError(f"the function on port {port} listened, but gave no answer: {error}") from error
    finally:
        connection.close()
    if status >= 500:
        raise BenchError(f"the function on port {port} answered a GET with {status}")
