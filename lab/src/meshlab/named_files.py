"""Content of files that a user names, read within a limit and never from a device."""

from __future__ import annotations

import os
import re
import stat
from typing import TYPE_CHECKING

from meshlab.errors import LabError

if TYPE_CHECKING:
    from pathlib import Path
    from typing import TextIO

__all__ = [
    "MAX_BYTES",
    "STANDARD_INPUT",
    "FileReadError",
    "is_stream",
    "read_bytes",
    "read_stream",
    "read_text",
]

MAX_BYTES = 64 * 2**20
"""The size of the largest file that is read."""

STANDARD_INPUT = "(standard input)"
"""What messages call standard input."""
_OPEN_DESCRIPTOR = re.compile(r"/dev/stdin|(?:/dev|/proc/(?:self|\d+))/fd/\d+")
_KINDS = ((stat.S_ISCHR, "a device"), (stat.S_ISBLK, "a device"), (stat.S_ISSOCK, "a socket"))


class FileReadError(LabError):
    """A file cannot be read.

    Attributes:
        reason: Why, without the file's name.
    """

    def __init__(self, file: Path | str, reason: str) -> None:
        super().__init__(f"{file}: {reason}")
        self.reason = reason


def read_bytes(path: Path) -> bytes:
    """Return the content of a file.

    A named pipe waits for a writer that may never come, and a device may have no end, so neither is read. A pipe that
    is open already is: `/dev/stdin`, and what a shell passes for `<(command)`.

    Args:
        path: The file.

    Raises:
        FileReadError: It is missing, a directory, a device, a socket or a named pipe, or larger than the limit.
    """
    try:
        mode = path.stat().st_mode
        _refuse_special(path, mode)
        with path.open("rb") as file:
            content = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise FileReadError(path, f"cannot be read: {error.strerror}") from None
    return _within_limit(path, content)


def read_text(path: Path) -> str:
    """Return the content of a file of UTF-8 text, without a byte order mark.

    Args:
        path: The file.

    Raises:
        FileReadError: It cannot be read as `read_bytes` says, or is not UTF-8 text.
    """
    return _text(path, read_bytes(path))


def read_stream(stream: TextIO) -> str:
    """Return what standard input holds, as UTF-8 text.

    Args:
        stream: Standard input.

    Raises:
        FileReadError: It is larger than the limit, or not UTF-8 text.
    """
    binary = getattr(stream, "buffer", None)
    content = stream.read(MAX_BYTES + 1).encode() if binary is None else binary.read(MAX_BYTES + 1)
    return _text(STANDARD_INPUT, _within_limit(STANDARD_INPUT, content))


def is_stream(path: Path) -> bool:
    """Return whether a path names a pipe or another stream, which can be read only once."""
    try:
        mode = path.stat().st_mode
    except OSError:
        return False
    return not (stat.S_ISREG(mode) or stat.S_ISDIR(mode))


def _refuse_special(path: Path, mode: int) -> None:
    is_open = bool(_OPEN_DESCRIPTOR.fullmatch(os.path.abspath(path)))  # noqa: PTH100 - links stay as written
    if is_open and (stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode)):
        return
    kind = next((name for is_kind, name in _KINDS if is_kind(mode)), "")
    if stat.S_ISFIFO(mode):
        kind = "a named pipe"
    if kind:
        raise FileReadError(path, f"it is {kind}; name a file, or - for standard input")


def _within_limit(name: Path | str, content: bytes) -> bytes:
    if len(content) > MAX_BYTES:
        raise FileReadError(name, f"larger than {MAX_BYTES // 2**20} MiB, the limit; name a smaller file")
    return content


def _text(name: Path | str, content: bytes) -> str:
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise FileReadError(name, f"not UTF-8 text: {error.reason} at byte {error.start}") from None
