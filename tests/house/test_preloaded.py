"""A command of `tests.preloaded` is a process as its caller would start it."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.preloaded import served

if TYPE_CHECKING:
    from collections.abc import Iterator

SCRIPT = """\
import os, sys, time
print(*sys.argv[1:], os.getcwd(), os.environ.get("NAME"), oct(os.umask(0o77)), "json" in sys.modules, __name__)
print(sys.stdin.read(), file=sys.stderr, end="")
if sys.argv[1] == "wait":
    print(os.getpid(), flush=True)
    time.sleep(60)
if sys.argv[1] == "abort":
    os.abort()
sys.exit(int(sys.argv[1]))
"""


@pytest.fixture(scope="module")
def command(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    script = tmp_path_factory.mktemp("script") / "script.py"
    script.write_text(SCRIPT)
    with served({"command": script}, [sys.executable], ["json"]) as folder:
        yield folder / "command"


def test_it_has_its_callers_words_folder_environment_streams_and_exit_code(
    command: Path, tmp_path: Path
) -> None:
    done = subprocess.run(
        [command, "7", "a b"],
        input="given\n",
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env={"NAME": "value"},
        umask=0o22,
        check=False,
    )
    assert done.returncode == 7
    assert done.stdout == f"7 a b {tmp_path} value 0o22 True __main__\n"
    assert done.stderr == "given\n"


def test_one_that_a_signal_ends_has_the_exit_code_of_a_shell(command: Path) -> None:
    done = subprocess.run([command, "abort"], input="", capture_output=True, text=True, check=False)
    assert done.returncode == 128 + signal.SIGABRT


def test_it_ends_with_its_caller(command: Path) -> None:
    with subprocess.Popen(
        [command, "wait"], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True
    ) as caller:
        assert caller.stdout is not None
        caller.stdout.readline()
        pid = int(caller.stdout.readline())
        caller.kill()
        assert caller.stdout.read() == ""  # the command had the other end of it
    while Path(f"/proc/{pid}").exists():
        time.sleep(0.01)


def test_the_names_of_a_server_end_with_it(tmp_path: Path) -> None:
    with served({}, [sys.executable], []) as folder:
        assert (folder / "socket").exists()
    assert not folder.exists()


def test_a_module_that_cannot_be_imported_is_an_error() -> None:
    with (
        pytest.raises(AssertionError, match="the server of commands ended with 1"),
        served({}, [sys.executable], ["no_such_module"]),
    ):
        pytest.fail("it served")
