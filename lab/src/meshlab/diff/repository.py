"""Files of a git revision, read without a checkout: neither the working tree nor the index is touched.

A repository from elsewhere is not trusted. Git reads objects only (`rev-parse`, `merge-base`, `ls-tree`, `cat-file`),
so that no hook, filter, text conversion, attribute (`export-ignore`, `export-subst`), pager or monitor has a say. A
partial clone fetches nothing, as its remote could be any command. Names of files are checked before they are written,
and links are made last, if they stay inside.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from meshlab.errors import LabError
from meshlab.named_files import MAX_BYTES

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

__all__ = ["Entry", "Repository", "Written"]

_TIMEOUT_S = 60
_MOST_BYTES = 2**30
"""The size of the largest revision that is read, 1 GiB."""
_LINK, _SUBMODULE = "120000", "160000"
_NO_NAMES = ("", ".", "..", ".git")
"""What no file or directory of a revision can be called; an absolute path begins with an empty name."""
_LFS_POINTER = b"version https://git-lfs.github.com/spec/"
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


@dataclass
class Written:
    """Files of a revision, written to a directory.

    Attributes:
        left_out: Path to the reason why it was not written.
    """

    left_out: dict[str, str] = field(default_factory=dict)


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
            raise LabError(f"{directory}: git finds no working tree there: {_words(done)}")
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

    def write(self, entries: Sequence[Entry], directory: Path) -> Written:
        """Write files to an empty directory, as they are in their objects.

        Args:
            entries: What to write.
            directory: Where to; nothing is written outside of it.

        Raises:
            LabError: They are too large, or git cannot read one.
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
                f"{self.root}: the revision holds {size / 2**30:.1f} GiB, more than the limit of 1 GiB. "
                "Check it out with `git worktree add`, and name directories"
            )
        names = {entry.path for entry in wanted if entry.mode == _LINK}
        links: dict[str, str] = {}
        for entry, content in self._contents(wanted):
            if any(str(parent) in names for parent in PurePosixPath(entry.path).parents):
                raise LabError(f"the revision holds {entry.path} below a link, which no checkout can hold")
            if entry.mode == _LINK:
                links[entry.path] = os.fsdecode(content)
            elif content.startswith(_LFS_POINTER):
                written.left_out[entry.path] = "a pointer of Git LFS, whose file git does not hold"
            else:
                _write(directory / entry.path, content, entry.path)
        written.left_out.update(_make_links(directory, links))
        return written

    def _contents(self, entries: Sequence[Entry]) -> Iterator[tuple[Entry, bytes]]:
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


_SHALLOW = "Fetch it first, with its history: in CI a clone often holds the newest commit alone"


def _git(directory: Path, arguments: Sequence[str], asked: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    program = shutil.which("git")
    if program is None:
        raise LabError("there is no git on the PATH. Install it, or name files and directories")
    environment = {name: value for name, value in os.environ.items() if not name.upper().startswith("GIT_")}
    try:
        return subprocess.run(  # noqa: S603 - a program of this machine, without a shell
            [program, *_OPTIONS, *arguments],
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
    try:
        return link.resolve().is_relative_to(directory)
    except (OSError, RuntimeError):
        return False  # a circle


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
