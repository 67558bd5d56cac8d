"""Child processes that never outlive the lab.

Each child leads a process group of its own, so that a Ctrl-C in the terminal reaches the lab alone and the lab ends
its children in order. Should the lab be killed, `meshlab.processes.reaper` ends them and deletes the run's directory.
"""

from __future__ import annotations

import contextlib
import logging
import os
import re
import selectors
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Self

from meshlab.errors import LabError
from meshlab.processes import reaper
from meshlab.processes.ports import LOOPBACK

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from types import TracebackType

_log = logging.getLogger(__name__)

_START_TIMEOUT_S = 20.0
_STOP_GRACE_S = 3.0
_POLL_S = 0.005
_LOG_TAIL_LINES = 12
# What failed, and often what to do, stands in the line before these.
_STACK_TRACE = re.compile(r"\]\[(?:envoy_bug|backtrace)\] ")
_NO_INOTIFY_INSTANCE = "assert failure: inotify_fd_ >= 0"
_RAISE_INOTIFY_INSTANCES = (
    "This user has no inotify instance left, and every Envoy takes one: raise the limit with "
    "`sysctl fs.inotify.max_user_instances=1024`, or run fewer proxies at a time."
)


class NoInotifyInstanceError(LabError):
    """An Envoy did not start because its user has no inotify instance left. Its configuration may be right."""


class Child:
    """A running child process with its log files.

    Attributes:
        name: What the lab calls it, such as `pubsub`.
        started_at: `time.monotonic()` when it was started.
        ready_after_s: Seconds from start to ready, or None as long as it is not.
    """

    def __init__(self, name: str, process: subprocess.Popen[bytes], log: Path) -> None:
        self.name = name
        self.log = log
        self.started_at = time.monotonic()
        self.ready_after_s: float | None = None
        self._process = process

    @property
    def pid(self) -> int:
        """The process id, which is also the id of its process group."""
        return self._process.pid

    @property
    def running(self) -> bool:
        """Whether the process has not ended yet."""
        return self._process.poll() is None

    @property
    def ended(self) -> str:
        """How it ended, in words and with the end of its log; empty as long as it runs."""
        if self.running:
            return ""
        code = self._process.returncode
        return f"{self.name} ended with exit code {code}. {self._log_with_advice()}"

    def listening_port(self, timeout_s: float = _START_TIMEOUT_S) -> int:
        """Wait for the line `listening 127.0.0.1:PORT` on its standard output and return the port.

        Raises:
            LabError: It ended, said something else, or said nothing in time.
        """
        stdout = self._process.stdout
        if stdout is None:
            raise LabError(f"{self.name} was started without a pipe, so it cannot announce its port")
        # Not select(), which takes no file descriptor above 1023: a long run with many proxies has more.
        with selectors.DefaultSelector() as selector:
            selector.register(stdout, selectors.EVENT_READ)
            readable = selector.select(timeout_s)
        line = stdout.readline().decode(errors="replace").strip() if readable else ""
        word, _, address = line.partition(" ")
        if word != "listening":
            raise self._failed(f"did not announce its port within {timeout_s:.0f} s")
        self.mark_ready()
        return int(address.rpartition(":")[2])

    def wait_port(self, port: int, timeout_s: float = _START_TIMEOUT_S) -> None:
        """Wait until something accepts connections on the given loopback port.

        Raises:
            LabError: The process ended, or nothing accepted in time.
        """
        self.wait_until(lambda: _accepts(port), f"did not accept connections on port {port}", timeout_s)

    def wait_until(
        self, ready: Callable[[], bool], otherwise: str, timeout_s: float = _START_TIMEOUT_S
    ) -> None:
        """Poll `ready` until it is true.

        Raises:
            LabError: The process ended, or `ready` stayed false for `timeout_s` seconds.
        """
        deadline = time.monotonic() + timeout_s
        while not ready():
            if not self.running:
                raise self._failed(otherwise)
            if time.monotonic() > deadline:
                raise self._failed(f"{otherwise} within {timeout_s:.0f} s")
            time.sleep(_POLL_S)
        self.mark_ready()

    def mark_ready(self) -> None:
        """Note the time it took to get ready; later waits change nothing about it."""
        if self.ready_after_s is None:
            self.ready_after_s = time.monotonic() - self.started_at

    def log_tail(self) -> str:
        """Return the last lines of its standard error, without the stack trace of an Envoy that gave up."""
        lines = self.log.read_text(errors="replace").splitlines()
        said = [line for line in lines if not _STACK_TRACE.search(line)]
        return "\n".join((said or lines)[-_LOG_TAIL_LINES:]) or "(empty)"

    def _log_with_advice(self) -> str:
        """Return what to do, where that is known, then the end of the log: reports may cut a long reason."""
        tail = self.log_tail()
        advice = f"{_RAISE_INOTIFY_INSTANCES} " if _NO_INOTIFY_INSTANCE in tail else ""
        return f"{advice}The end of its log:\n{tail}"

    def signal(self, number: int) -> None:
        """Send a signal to its whole process group; nothing happens if it has ended."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.pid, number)

    def end(self, grace_s: float = _STOP_GRACE_S) -> None:
        """End it and all of its group: SIGTERM, then SIGKILL after `grace_s` seconds."""
        self.signal(signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(grace_s)
        self.signal(signal.SIGKILL)  # also what it left behind in its group
        self._process.wait()
        if self._process.stdout:
            self._process.stdout.close()

    def _failed(self, what: str) -> LabError:
        running = self.running
        state = "is still running" if running else f"ended with exit code {self._process.returncode}"
        last = "" if running else self.log_tail().rpartition("\n")[2]
        kind = NoInotifyInstanceError if _NO_INOTIFY_INSTANCE in last else LabError
        return kind(f"{self.name} {what} and {state}. {self._log_with_advice()}")


class Supervisor:
    """Starts children, keeps their files in one private directory, and ends and deletes everything on exit.

    Use it as a context manager. Children end in the reverse order of their start.
    """

    def __init__(self) -> None:
        self.directory = Path(tempfile.mkdtemp(prefix="meshlab-"))  # created with mode 0700
        self._children: list[Child] = []
        self._reaper = subprocess.Popen(  # noqa: S603 - our own file, no input in the command
            [sys.executable, "-I", "-S", reaper.__file__],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            start_new_session=True,
        )
        self._tell_reaper(f"@{self.directory}")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def spawn(
        self,
        name: str,
        command: Sequence[str | os.PathLike[str]],
        *,
        env: Mapping[str, str] | None = None,
        stdout: Path | None = None,
    ) -> Child:
        """Start a child in a process group of its own.

        Args:
            name: Names the child in messages and its log file.
            command: The program and its arguments. Never put a secret in here: other users can read it.
            env: Variables added to the lab's own environment.
            stdout: A file for its standard output; by default a pipe, from which `Child.listening_port` reads.
        """
        log = self.directory / f"{name}.log"
        with log.open("ab") as stderr, contextlib.ExitStack() as stack:
            out = stack.enter_context(stdout.open("ab")) if stdout else subprocess.PIPE
            process = subprocess.Popen(  # noqa: S603 - commands are the lab's own
                list(command),
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=stderr,
                env={**os.environ, **(env or {})},
                start_new_session=True,
            )
        self._tell_reaper(f"+{process.pid}")
        _log.debug("started %s as process %d; it writes to %s", name, process.pid, log)
        child = Child(name, process, log)
        self._children.append(child)
        return child

    def stop(self, child: Child) -> None:
        """End one child; nothing happens if that was done before."""
        if child in self._children:
            child.end()
            self._children.remove(child)
            self._tell_reaper(f"-{child.pid}")
            _log.debug("stopped %s, process %d", child.name, child.pid)

    def close(self) -> None:
        """End every child, delete the directory, and let the reaper go."""
        for child in self._children:
            child.signal(signal.SIGTERM)  # all at once, then wait for each
        for child in reversed(self._children.copy()):
            self.stop(child)
        shutil.rmtree(self.directory, ignore_errors=True)
        if self._reaper.stdin:
            self._reaper.stdin.close()
        self._reaper.wait()

    def _tell_reaper(self, line: str) -> None:
        if self._reaper.stdin:
            self._reaper.stdin.write(f"{line}\n".encode())
            self._reaper.stdin.flush()


def _accepts(port: int) -> bool:
    with socket.socket() as probe:
        probe.settimeout(1.0)
        return probe.connect_ex((LOOPBACK, port)) == 0
