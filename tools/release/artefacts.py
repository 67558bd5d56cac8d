"""Wheels and source distributions: built from pinned tools, so that the same sources give the same bytes."""

from __future__ import annotations

import hashlib
import tarfile
import tempfile
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from deploy.steps import RefusalError, uv
from tools import ROOT

if TYPE_CHECKING:
    from tools.release.packages import Package

_CONSTRAINTS = ROOT / "deploy" / "build-constraints.txt"


@dataclass(frozen=True)
class Built:
    """What was built of one package.

    Attributes:
        package: the package.
        wheel: its wheel, which was built from the source distribution.
        sdist: its source distribution.
    """

    package: Package
    wheel: Path
    sdist: Path


def build(package: Package, into: Path) -> Built:
    """Build the source distribution of a package, and the wheel from that.

    Raises:
        RefusalError: the build failed, or uv is missing; the message has the tool's own.
    """
    _uv_build(package.path, into)
    stem = f"{package.file_stem}-*"
    (wheel,), (sdist,) = into.glob(f"{stem}.whl"), into.glob(f"{stem}.tar.gz")
    return Built(package, wheel, sdist)


def differences(built: Built) -> list[str]:
    """Build once more, the wheel from the sources themselves, and return what differs; empty for the same bytes.

    This shows that the source distribution has all that the wheel needs, and that a build is reproducible.
    """
    with tempfile.TemporaryDirectory() as scratch:
        again = Path(scratch)
        _uv_build(built.package.path, again, "--sdist", "--wheel")
        return [
            f"{artefact.name} has other bytes when it is built again"
            for artefact in (built.wheel, built.sdist)
            if digest(artefact) != digest(again / artefact.name)
        ]


def files(artefact: Path) -> dict[str, bytes]:
    """Return the files of a wheel or a source distribution by name, without the folder that the latter has."""
    if artefact.suffix == ".whl":
        with zipfile.ZipFile(artefact) as archive:
            return {name: archive.read(name) for name in archive.namelist()}
    with tarfile.open(artefact) as archive:
        opened = ((member.name.partition("/")[2], archive.extractfile(member)) for member in archive)
        return {name: file.read() for name, file in opened if file is not None}


def digest(file: Path) -> str:
    """Return the SHA-256 of a file in hexadecimal."""
    return hashlib.sha256(file.read_bytes()).hexdigest()


def _uv_build(folder: Path, into: Path, *kinds: str) -> None:
    done = uv.attempt(
        "build", str(folder), *kinds, f"--out-dir={into}", f"--build-constraints={_CONSTRAINTS}",
        "--require-hashes", "--no-create-gitignore",
    )  # fmt: skip
    if done.returncode != 0:
        raise RefusalError(f"{folder.relative_to(ROOT)} cannot be built:\n{done.stderr.strip()}")
