"""Git repository whose revisions are read without a checkout: neither the working tree nor the index is touched.

A repository from elsewhere is not trusted. Git reads objects only (`rev-parse`, `merge-base`, `ls-tree`, `cat-file`),
so that no hook, filter, text conversion, attribute (`export-ignore`, `export-subst`), pager or monitor has a say. A
partial clone fetches nothing, as its remote could be any command.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

from meshlab.errors import LabError
from meshlab.named_files import MAX_BYTES
from meshlab.quick_dataclass import dataclass

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

__all__ = ["LINK", "Entry", "Repository"]

LINK = "120000"
"""Git's mode of a symbolic link."""

_TIMEOUT_S = 60
_NO_NAMES = ("", ".", "..", ".git")
"""What no file or directory of a revision can be called; an absolute path begins with an empty name."""
_OPTIONS = (
    "--no-pager",
    "--no-replace-objects",
    "--literal-pathspecs",
    "-c", "core.hooksPath=/dev/null",
    "-c", "core.fsmonitor=false",
    "-c", "protocol.allow=never",
)  # fmt: skip
_ENVIRONMENT = {
    "GIT_ALLOW_PROTOCOL": "none",
    "GIT_NO_LAZY_FETCH": "1",
    "GIT_OPTIONAL_LOCKS": "0",
    "GIT_TERMINAL_PROMPT": "0",
    "LC_ALL": "C",
}


@dataclass(frozen=True)
class Entry:
    """A file, link or submodule of a revision.

    Attributes:
        mode: Git's mode, such as `100644`.
        oid: The name of its object.
        size: Its size in bytes; 0 for a submodule.
        path: Its path from the root of the repository.
    """

    mode: str
    oid: str
    size: int
    path: str


@dataclass(frozen=True)
class Repository:
    """A git repository.

    Attributes:
        root: The top directory of its working tree.
    """

    root: Path

    @classmethod
    def of(cls, directory: Path) -> Repository:
        """Return the repository that a directory is in.

        Raises:
            LabError: There is no git, or the directory is in no repository.
        """
        done = _git(directory, ["rev-parse", "--show-toplevel"])
        if done.returncode != 0:
            raise LabError(
                f"{directory}: git finds no working tree there: {_words(done)}. "
                "Name a path in a repository, or two paths without a revision"
            )
        return cls(Path(os.fsdecode(done.stdout.removesuffix(b"\n"))))

    def tree(self, revision: str) -> str:
        """Return the name of the tree of a revision.

        Raises:
            LabError: There is no such revision.
        """
        return self._verified(revision, "tree")

    def merge_base(self, one: str, other: str) -> str:
        """Return the commit at which two revisions parted.

        Raises:
            LabError: There is no such revision, or they have nothing in common.
        """
        commits = [self._verified(revision, "commit") for revision in (one, other)]
        done = _git(self.root, ["merge-base", *commits])
        if done.returncode != 0:
            raise LabError(
                f"{one}...{other}: the revisions have no commit in common in {self.root}. {_SHALLOW}"
            )
        return done.stdout.decode().strip()

    def entries(self, tree: str) -> list[Entry]:
        """Return everything in a tree.

        Raises:
            LabError: Git cannot read it, or a path in it would leave a directory that it is written to.
        """
        done = _git(self.root, ["ls-tree", "-r", "-z", "-l", "--full-tree", tree])
        if done.returncode != 0:
            raise LabError(f"{self.root}: git cannot list the revision: {_words(done)}")
        return [_entry(line) for line in done.stdout.split(b"\0") if line]

    def contents(self, entries: Sequence[Entry]) -> Iterator[tuple[Entry, bytes]]:
        """Yield files and links with what their objects hold, in their order.

        Raises:
            LabError: Git does not hold one.
        """
        for group in _groups(entries):
            asked = "".join(f"{entry.oid}\n" for entry in group).encode()
            done = _git(self.root, ["cat-file", "--batch"], asked)
            position = 0
            for entry in group:
                end = done.stdout.find(b"\n", position)
                head = done.stdout[position:end].split() if end >= 0 else []
                if len(head) != 3 or head[1] != b"blob" or done.returncode != 0:
                    raise LabError(
                        f"{self.root}: git does not hold the content of {entry.path}: {_words(done)}. "
                        "A partial clone has to fetch it first, for instance with `git checkout`"
                    )
                size = int(head[2])
                yield entry, done.stdout[end + 1 : end + 1 + size]
                position = end + 1 + size + 1

    def _verified(self, revision: str, kind: str) -> str:
        if revision.startswith("-") or not revision or "\0" in revision:
            raise LabError(f"{revision!r} is no revision: it is empty or begins with -")
        # What follows in the text cannot be an option: git says so for a name that begins with -, too.
        done = _git(
            self.root, ["rev-parse", "--verify", "--quiet", "--end-of-options", f"{revision}^{{{kind}}}"]
        )
        name = done.stdout.decode(errors="replace").strip()
        if done.returncode != 0 or not name.isalnum():
            raise LabError(f"{revision}: the repository {self.root} has no such revision. {_SHALLOW}")
        return name


_SHALLOW = (
    "Check its spelling, or fetch it with its history: in CI a clone often holds the newest commit alone"
)


def _git(directory: Path, arguments: Sequence[str], asked: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    program = shutil.which("git")
    if program is None:
        raise LabError("there is no git on the PATH. Install it, or name files and directories")
    environment = {name: value for name, value in os.environ.items() if not name.upper().startswith("GIT_")}
    try:
        return subprocess.run(  # noqa: S603 - a program of this machine, without a shell
            [os.path.abspath(program), *_OPTIONS, *arguments],  # noqa: PTH100 - PATH may hold a relative directory
            cwd=directory,
            input=asked,
            capture_output=True,
            check=False,
            timeout=_TIMEOUT_S,
            env=environment | _ENVIRONMENT,
        )
    except subprocess.TimeoutExpired:
        raise LabError(f"{directory}: git {arguments[0]} took longer than {_TIMEOUT_S} s") from None
    except OSError as error:
        raise LabError(f"{directory}: git cannot be run there: {error.strerror}") from None


def _words(done: subprocess.CompletedProcess[bytes]) -> str:
    return " ".join(done.stderr.decode(errors="replace").split()) or f"exit status {done.returncode}"


def _entry(line: bytes) -> Entry:
    """Read `MODE TYPE OID SIZE<tab>PATH`."""
    head, _, name = line.partition(b"\t")
    mode, _, oid, size = head.decode().split()
    path = os.fsdecode(name)
    if any(part in _NO_NAMES for part in path.split("/")):
        raise LabError(f"the revision holds a file with the name {path!r}, which would be written elsewhere")
    # A submodule has no size here, and an object that git lacks has the size BAD.
    return Entry(mode, oid, int(size) if size.isdecimal() else 0, path)


def _groups(entries: Sequence[Entry]) -> Iterator[list[Entry]]:
    """Yield entries in groups of a size that fits into memory."""
    group: list[Entry] = []
    size = 0
    for entry in entries:
        if group and size + entry.size > MAX_BYTES:
            yield group
            group, size = [], 0
        group.append(entry)
        size += entry.size
    if group:
        yield group
