"""Files of a revision in a private directory. Nothing is written outside of it, and links are made last."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from meshlab.diff.repository import LINK
from meshlab.errors import LabError
from meshlab.named_files import MAX_BYTES

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from meshlab.diff.repository import Entry, Repository

__all__ = ["Written", "write"]

_MOST_BYTES = 2**30
"""The size of the largest revision that is written, 1 GiB."""
_SUBMODULE = "160000"
_LFS_POINTER = b"version https://git-lfs.github.com/spec/"


@dataclass
class Written:
    """Files of a revision, written to a directory.

    Attributes:
        left_out: Path to the reason why it was not written.
    """

    left_out: dict[str, str] = field(default_factory=dict)


def write(repository: Repository, entries: Sequence[Entry], directory: Path) -> Written:
    """Write files to an empty directory, as they are in their objects.

    Args:
        repository: Holds the objects.
        entries: What to write. The repository has checked their names.
        directory: Where to.

    Raises:
        LabError: They are too large, one lies below a link, or git cannot read one.
    """
    written = Written()
    wanted = []
    for entry in entries:
        if entry.mode == _SUBMODULE:
            written.left_out[entry.path] = "a submodule, which is not read at a revision"
        elif entry.size > MAX_BYTES:
            written.left_out[entry.path] = f"larger than {MAX_BYTES // 2**20} MiB, the limit"
        else:
            wanted.append(entry)
    if (size := sum(entry.size for entry in wanted)) > _MOST_BYTES:
        raise LabError(
            f"{repository.root}: the revision holds {size / 2**30:.1f} GiB, more than the limit of 1 GiB. "
            "Check it out with `git worktree add`, and name directories"
        )
    names = {entry.path for entry in wanted if entry.mode == LINK}
    links: dict[str, str] = {}
    for entry, content in repository.contents(wanted):
        if any(str(parent) in names for parent in PurePosixPath(entry.path).parents):
            raise LabError(f"the revision holds {entry.path} below a link, which no checkout can hold")
        if entry.mode == LINK:
            links[entry.path] = os.fsdecode(content)
        elif content.startswith(_LFS_POINTER):
            written.left_out[entry.path] = "a pointer of Git LFS, whose file git does not hold"
        else:
            _write(directory / entry.path, content, entry.path)
    written.left_out.update(_make_links(directory, links))
    return written


def _write(path: Path, content: bytes, name: str) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with os.fdopen(
            os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600), "wb"
        ) as file:
            file.write(content)
    except OSError as error:
        raise LabError(f"{name}: the revision's file cannot be written: {error.strerror}") from None


def _make_links(directory: Path, links: Mapping[str, str]) -> dict[str, str]:
    """Make the links that stay inside of a directory; return why others are left out."""
    left_out: dict[str, str] = {}
    made: dict[str, Path] = {}
    for path, target in links.items():
        place = directory / path
        try:
            place.parent.mkdir(parents=True, exist_ok=True)
            place.symlink_to(target)
            made[path] = place
        except (OSError, ValueError) as error:
            left_out[path] = f"a symbolic link that cannot be made: {error}"
    # One link may lead over another, so all are there before the first is judged.
    while leaving := [path for path, place in made.items() if not _stays(place, directory)]:
        for path in leaving:
            made.pop(path).unlink()
            left_out[path] = "a symbolic link that leads out of the repository"
    return left_out


def _stays(link: Path, directory: Path) -> bool:
    end = Path(os.path.realpath(link))
    return end.is_relative_to(directory) and not end.is_symlink()  # as it is in a circle
