"""The file of a report."""

from __future__ import annotations

import os
import re
import stat
import tempfile
from pathlib import Path

from meshlab.errors import LabError

__all__ = ["write_report"]


_OPEN_ALREADY = re.compile(r"/dev/(stdout|stderr|fd/\d+)|/proc/(self|\d+)/fd/\d+")


def write_report(path: Path, text: str) -> None:
    """Write a report so that a reader never sees half of it.

    A new file gets the rights that the umask leaves, as every other file that a command writes: a report holds no token
    and no key, and is made to be passed on. A file that is there keeps its rights.

    Args:
        path: The file. A symbolic link is followed, and a device or pipe is written to.
        text: The document.

    Raises:
        LabError: The file cannot be written.
    """
    try:
        _write(path, text)
    except OSError as error:
        raise LabError(f"{path}: the HTML file cannot be written: {error.strerror}") from None


def _write(path: Path, text: str) -> None:
    if _OPEN_ALREADY.fullmatch(str(path)):
        # What is open already, such as /dev/stdout: a file behind it keeps what the command has printed into it.
        with path.open("a", encoding="utf-8") as file:
            file.write(text)
        return
    mode = _mode(path)
    if mode is not None and not stat.S_ISREG(mode):
        path.write_text(text, encoding="utf-8")
        return
    target = Path(os.path.realpath(path))
    descriptor, name = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name[:64]}.")
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
        Path(name).chmod(_new_mode() if mode is None else stat.S_IMODE(mode))
        Path(name).replace(target)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def _mode(path: Path) -> int | None:
    try:
        return path.stat().st_mode
    except FileNotFoundError:
        return None


def _new_mode() -> int:
    """Return the rights of a new file. Only by setting the umask can it be read."""
    umask = os.umask(0o077)
    os.umask(umask)
    return 0o666 & ~umask
