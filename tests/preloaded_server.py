"""Python that has imported what its commands need: it forks for each, so that a command costs no imports.

`tests.preloaded` starts it and has the protocol's other end. The script imports the modules that it is given, listens
on a Unix socket, and ends when its standard input ends. Each connection is one command: its request is JSON behind its
length, with the caller's standard streams; the response is the exit code in one byte. A caller that closes the
connection ends the command.
"""

from __future__ import annotations

import array
import contextlib
import gc
import importlib
import json
import os
import runpy
import select
import signal
import socket
import sys
from pathlib import Path
from typing import Any

_LENGTH = 8
_STREAMS = 3


def main(address: str, modules: list[str]) -> list[str]:
    """Serve until the standard input ends. Returns in each forked process, with the words of its command."""
    for name in modules:
        importlib.import_module(name)
    gc.collect()
    gc.freeze()
    signal.signal(signal.SIGHUP, signal.SIG_DFL)  # what `nohup` ignores would be ignored by every command
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(f"{address}.new")
        listener.listen(64)
        Path(f"{address}.new").rename(address)  # a client that sees the name can connect
        while True:
            readable, _, _ = select.select([listener.fileno(), 0], [], [])
            _reap()
            if listener.fileno() not in readable:
                raise SystemExit
            connection, _ = listener.accept()
            with connection:
                if os.fork() == 0:
                    listener.close()
                    return _handle(connection)


def _handle(connection: socket.socket) -> list[str]:
    """Fork the command and report how it ended. Returns in the command's process alone."""
    request, streams = _read(connection)
    ended, noted = socket.socketpair()
    noted.setblocking(False)
    signal.signal(signal.SIGCHLD, lambda *_: None)  # a signal without a handler is not noted
    signal.set_wakeup_fd(noted.fileno())
    pid = os.fork()
    if pid == 0:
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        for each in (connection, ended, noted):
            each.close()
        _become(request, streams)
        return list(request["words"])
    for stream in streams:
        os.close(stream)
    status = None
    while status is None:
        readable, _, _ = select.select([ended, connection], [], [])
        if ended in readable:
            ended.recv(_LENGTH)
            found, how = os.waitpid(pid, os.WNOHANG)
            status = how if found else None
        elif connection in readable:
            os.kill(pid, signal.SIGTERM)
            status = os.waitpid(pid, 0)[1]
    code = os.waitstatus_to_exitcode(status)
    try:
        connection.sendall(bytes([code if code >= 0 else 128 - code]))
    finally:
        os._exit(0)


def _reap() -> None:
    with contextlib.suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass


def _read(connection: socket.socket) -> tuple[dict[str, Any], array.array[int]]:
    streams = array.array("i")
    size = _STREAMS * streams.itemsize
    head, ancillary, _, _ = connection.recvmsg(_LENGTH, socket.CMSG_SPACE(size))
    for _, _, data in ancillary:
        streams.frombytes(data[:size])
    body = b""
    while len(body) < int(head):
        part = connection.recv(int(head) - len(body))
        if not part:
            os._exit(1)
        body += part
    return json.loads(body), streams


def _become(request: dict[str, Any], streams: array.array[int]) -> None:
    for number, stream in enumerate(streams):
        os.dup2(stream, number)
        os.close(stream)
    # Python asks once what its streams are: a pipe, a file or a terminal.
    sys.stdin = os.fdopen(0, closefd=False)
    sys.stdout = os.fdopen(1, "w", closefd=False)
    sys.stderr = os.fdopen(2, "w", buffering=1, errors="backslashreplace", closefd=False)
    os.environ.clear()
    os.environ.update(request["environment"])
    os.umask(request["umask"])
    os.chdir(request["directory"])


if __name__ == "__main__":
    sys.path.pop(0)  # the folder of this file
    sys.argv = main(sys.argv[1], sys.argv[2:])
    # As Python runs a script: the forked process ends as that would, with everything that is registered for its end.
    sys.path.insert(0, str(Path(sys.argv[0]).parent))
    runpy.run_path(sys.argv[0], run_name="__main__")
