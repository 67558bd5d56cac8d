"""A tiny function in its own process, under functions-framework's own command."""

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from meshlab.processes.ports import free_ports


@contextmanager
def serving(source: Path, target: str, output: Path, **env: str) -> Iterator[str]:
    """Serves one function; gives its HOST:PORT.

    Args:
        source: Its `main.py`.
        target: Its name.
        output: Where its stdout goes; stderr goes beside it.
        env: Its environment, beside what finds Python.
    """
    ports = free_ports()
    port = next(ports)
    command = [
        *(sys.executable, "-m", "functions_framework", "--target", target),
        *("--source", str(source), "--host", "127.0.0.1", "--port", str(port)),
    ]
    kept = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    with output.open("wb") as out, output.with_suffix(".err").open("wb") as err:
        process = subprocess.Popen(command, env=kept | env, stdout=out, stderr=err)
    try:
        while True:
            if process.poll() is not None:
                pytest.fail(f"the function did not start:\n{output.with_suffix('.err').read_text()}")
            with socket.socket() as sock:
                if sock.connect_ex(("127.0.0.1", port)) == 0:
                    break
            time.sleep(0.02)  # a poll, ended by the port or by the process
        yield f"127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(timeout=20)
