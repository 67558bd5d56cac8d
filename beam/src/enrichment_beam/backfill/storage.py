"""Files on this machine or in a bucket, replaced as a whole."""

import os
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import IO, Any


def is_remote(path: str) -> bool:
    """Return whether a path is one of a bucket rather than of this machine."""
    return "://" in path


def join(folder: str, *names: str) -> str:
    """Return the path of something below a folder."""
    if is_remote(folder):
        return "/".join((folder.rstrip("/"), *names))
    return str(Path(folder, *names))


def read(path: str) -> bytes | None:
    """Return a file's content; None where there is none.

    Raises:
        OSError: It cannot be read.
    """
    if not is_remote(path):
        try:
            return Path(path).read_bytes()
        except FileNotFoundError:
            return None
    from apache_beam.io.filesystems import FileSystems

    if not FileSystems.exists(path):
        return None
    with open_plain(path) as file:
        content: bytes = file.read()
        return content


def write(path: str, content: bytes) -> None:
    """Replace a file: a reader finds the old content or the new, and after a crash one of them is there.

    Raises:
        OSError: It cannot be written.
    """
    if is_remote(path):
        from apache_beam.io.filesystem import CompressionTypes
        from apache_beam.io.filesystems import FileSystems

        with FileSystems.create(path, compression_type=CompressionTypes.UNCOMPRESSED) as file:
            file.write(content)  # an object of a bucket appears when it is closed
        return
    target = Path(path)
    target.parent.mkdir(parents=True, exist_ok=True)
    descriptor, name = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.")
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        Path(name).replace(target)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
    folder = os.open(target.parent, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def remove(paths: Iterable[str]) -> None:
    """Remove files.

    Raises:
        OSError: One cannot be removed.
    """
    found = list(paths)
    if remote := [path for path in found if is_remote(path)]:
        from apache_beam.io.filesystems import FileSystems

        FileSystems.delete(remote)
    for path in found:
        if not is_remote(path):
            Path(path).unlink(missing_ok=True)


def open_plain(path: str) -> IO[Any]:
    """Open a file for reading, its bytes as they are.

    Raises:
        OSError: It cannot be opened.
    """
    if not is_remote(path):
        return Path(path).open("rb")
    from apache_beam.io.filesystem import CompressionTypes
    from apache_beam.io.filesystems import FileSystems

    opened: IO[Any] = FileSystems.open(path, compression_type=CompressionTypes.UNCOMPRESSED)
    return opened


def match(pattern: str) -> Iterator[tuple[str, int, float]]:
    """Give the files that match a glob, with size in bytes and the time of their last change.

    Raises:
        OSError: The place cannot be listed.
    """
    if is_remote(pattern):
        from apache_beam.io.filesystems import FileSystems

        for found in FileSystems.match([pattern]):
            for entry in found.metadata_list:
                yield entry.path, entry.size_in_bytes, entry.last_updated_in_seconds or 0.0
        return
    import glob

    for name in glob.glob(pattern, recursive=True):  # noqa: PTH207 - the pattern may be absolute
        path = Path(name)
        if path.is_file():
            status = path.stat()
            yield str(path.resolve()), status.st_size, status.st_mtime
