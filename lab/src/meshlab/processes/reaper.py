"""Reaper of the lab's processes when the lab itself cannot end them: after SIGKILL or a crash.

Run as a process of its own, in its own session, with the standard library only. It reads lines from its standard
input, whose other end only the lab holds:

    +GROUP      a process group to end
    -GROUP      that group has ended
    @DIRECTORY  a directory to delete (it holds the private keys of this run)

End of input means that the lab is gone. Whatever is still on the list then is ended and deleted.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import sys
import time

_GRACE_S = 2.0


def main() -> None:
    """Keep the list until the lab is gone, then end and delete what is left on it."""
    for ignored in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(ignored, signal.SIG_IGN)
    groups: set[int] = set()
    directories: list[str] = []
    for line in sys.stdin:
        sign, value = line[0], line[1:].rstrip("\n")
        if sign == "+":
            groups.add(int(value))
        elif sign == "-":
            groups.discard(int(value))
        elif sign == "@":
            directories.append(value)
    _end(groups)
    for directory in directories:
        shutil.rmtree(directory, ignore_errors=True)


def _end(groups: set[int]) -> None:
    _signal(groups, signal.SIGTERM)
    deadline = time.monotonic() + _GRACE_S
    while any(map(_alive, groups)) and time.monotonic() < deadline:
        time.sleep(0.02)
    _signal(groups, signal.SIGKILL)


def _signal(groups: set[int], number: int) -> None:
    for group in groups:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(group, number)


def _alive(group: int) -> bool:
    try:
        os.killpg(group, 0)
    except (ProcessLookupError, PermissionError):
        return False
    return True


if __name__ == "__main__":
    main()
