"""Commands of an example's README, run from top to bottom, and compared with what it shows."""

from __future__ import annotations

import io
import re
import socket
import subprocess
import time
from contextlib import ExitStack, chdir, contextmanager, redirect_stdout
from typing import TYPE_CHECKING

from meshlab.processes.ports import free_ports

from examples import run_pipeline
from tests.docs.pages import blocks
from tests.docs.test_docs_code import assert_shown

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

_IN_THE_LAB = "meshlab run -- "
_PORT = "8080"
_TIMEOUT_S = 90
_RUN_PIPELINE = "python ../run_pipeline.py "


def play(page: str, folder: Path, environment: Mapping[str, str]) -> None:
    """Run the page's commands in a folder.

    A lab runs already, so `meshlab run` is left out. A command that serves is started before the next block, and ends
    after the last one; it gets a port of its own.
    """
    printed = None
    with ExitStack() as ends:
        ports = free_ports()
        port = str(next(ports))
        for block in blocks(page):
            if block.printed:
                assert printed is not None, f"{block.where}: nothing before it prints"
                assert_shown(block, printed)
            elif block.language == "sh" and not block.not_run:
                text = block.text.replace(_IN_THE_LAB, "")
                if re.search(rf"--port {_PORT}\b", text):
                    ends.enter_context(_serving(text.replace(_PORT, port), int(port), folder, environment))
                elif text.startswith(_RUN_PIPELINE):
                    printed = _run_pipeline(text.removeprefix(_RUN_PIPELINE).split(), folder, environment)
                else:
                    printed = run(text.replace(f":{_PORT}", f":{port}"), folder, environment, block.where)


def run(text: str, folder: Path, environment: Mapping[str, str], where: str = "") -> str:
    """Run a script as a reader does; return what it prints."""
    done = subprocess.run(
        ["sh", "-eu"],
        input=text,
        cwd=folder,
        env=dict(environment),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=_TIMEOUT_S,
        check=False,
    )
    assert done.returncode == 0, f"{where}\n{text}{done.stdout}"
    return done.stdout


def _run_pipeline(arguments: Sequence[str], folder: Path, environment: Mapping[str, str]) -> str:
    """Run the tool of the pipelines in this process, which has the clients of Google that it would load."""
    printed = io.StringIO()
    with redirect_stdout(printed), chdir(folder):
        assert run_pipeline.main(arguments, environment) == 0, printed.getvalue()
    return printed.getvalue()


@contextmanager
def _serving(text: str, port: int, folder: Path, environment: Mapping[str, str]) -> Iterator[None]:
    log = folder / "served.log"
    with log.open("w") as out:
        process = subprocess.Popen(
            ["sh", "-eu", "-c", f"exec {text}"], cwd=folder, env=dict(environment), stdout=out, stderr=out
        )
    try:
        end = time.monotonic() + _TIMEOUT_S
        while not _listens(port):
            assert process.poll() is None, f"{text}{log.read_text()}"
            assert time.monotonic() < end, f"{text}{log.read_text()}"
            time.sleep(0.02)  # a poll, ended by the port or by the process
        yield
    finally:
        process.terminate()
        process.wait(_TIMEOUT_S)
    assert "Traceback" not in log.read_text(), log.read_text()


def _listens(port: int) -> bool:
    with socket.socket() as attempt:
        return attempt.connect_ex(("127.0.0.1", port)) == 0
