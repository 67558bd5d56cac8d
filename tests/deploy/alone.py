"""Serves the installed package as the cloud would, with nothing of this workspace in reach."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import time
from typing import TYPE_CHECKING

import meshcontract
import pytest
from meshlab.processes.ports import free_ports

from deploy.steps.deploy import entry_points
from tests.deploy.harness import CONTRACT

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

STARTED_WITHIN_S = 30.0


def environment(entry: entry_points.EntryPoint = entry_points.ENRICH) -> dict[str, str]:
    """What a deployment sets."""
    return entry_points.environment(meshcontract.load(CONTRACT), entry)


def framework(
    app: Path, variables: dict[str, str], port: int, entry: entry_points.EntryPoint = entry_points.ENRICH
) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [str(app / "venv/bin/functions-framework"), f"--target={entry.name}", "--host=127.0.0.1"],
        cwd=app / "function",
        # What it compiles lies beside the package and serves the next start; in the package nothing changes.
        env={
            "PATH": os.defpath,
            "PORT": str(port),
            "PYTHONPYCACHEPREFIX": str(app / "compiled"),
            **variables,
        },
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


@contextlib.contextmanager
def served(
    app: Path, variables: dict[str, str], entry: entry_points.EntryPoint = entry_points.ENRICH
) -> Iterator[str]:
    """The function behind functions-framework, once it answers; its address."""
    ports = free_ports()
    port = next(ports)
    process = framework(app, variables, port, entry)
    try:
        deadline = time.monotonic() + STARTED_WITHIN_S
        while process.poll() is None and time.monotonic() < deadline:
            if _answers(port):
                yield f"http://127.0.0.1:{port}"
                return
            time.sleep(0.05)
        process.kill()
        pytest.fail(f"functions-framework did not start:\n{process.communicate()[0]}")
    finally:
        process.terminate()
        process.communicate(timeout=10)


def _answers(port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
        return True
    return False
