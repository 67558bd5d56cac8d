"""Arguments that the scripts share. A wrong path is named in one line, with what it should be."""

from __future__ import annotations

import argparse
import os
from pathlib import Path

from . import CONTRACT, ROOT


def contract_option(parser: argparse.ArgumentParser) -> None:
    """Add ``--contract``, the file of the deployment's settings."""
    parser.add_argument(
        "--contract", type=existing_file, default=CONTRACT, help="KEY=VALUE file (default: %(default)s)"
    )


def existing_file(text: str) -> Path:
    """Return the path of a file that is read."""
    path = _path(text)
    if not path.is_file():
        raise argparse.ArgumentTypeError(f"{text!r} is {_kind(path)}; name a file")
    return path


def folder_to_read(text: str) -> Path:
    """Return the path of a folder that is read. It may be missing: the script says what makes it."""
    path = _path(text)
    if path.exists() and not path.is_dir():
        raise argparse.ArgumentTypeError(f"{text!r} is {_kind(path)}; name a folder")
    if not path.name.strip("."):
        raise argparse.ArgumentTypeError(
            f"{text!r} has no name of its own; name a folder, such as build/function"
        )
    return path


def file_to_write(text: str) -> Path:
    """Return the path of a file that is written; `-` is the standard output."""
    return _path(text)


def folder_to_make(text: str) -> Path:
    """Return the path of a folder that is made, or made anew.

    It never is the root of the file system, the repository, or a folder around the repository: what is there would be
    replaced.
    """
    path = _path(text)
    if path.is_symlink() and not path.exists():
        raise argparse.ArgumentTypeError(
            f"{text!r} is a symbolic link that leads nowhere; name a folder to make"
        )
    if ROOT.is_relative_to(os.path.realpath(path)):
        raise argparse.ArgumentTypeError(
            f"{text!r} holds this repository; name a folder to make, such as build/function"
        )
    return folder_to_read(text)


def _path(text: str) -> Path:
    if not text.strip():
        raise argparse.ArgumentTypeError("the path is empty; leave the option out, or write a path")
    if "\0" in text:
        raise argparse.ArgumentTypeError("the path holds a NUL character")
    path = Path(text)
    try:
        path.exists()
    except OSError as error:
        raise argparse.ArgumentTypeError(f"{text[:40]!r}: {error.strerror}") from None
    return path


def _kind(path: Path) -> str:
    if path.is_dir():
        return "a folder"
    return "a file" if path.exists() else "missing"
