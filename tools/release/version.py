"""Version of the project, which stands in several files: read, compared and set in all of them at once.

The root's ``pyproject.toml`` counts. The others repeat it because each package is built from its own folder alone.
"""

from __future__ import annotations

import re
import tomllib
from typing import TYPE_CHECKING

from tools import ROOT
from tools.release.packages import LOCKS, OWN_NAMES, PROJECTS

if TYPE_CHECKING:
    from pathlib import Path

RELEASE = re.compile(r"(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)")
"""Form of a version: three numbers of Semantic Versioning, and no suffix."""

_OWN = "|".join(re.escape(name) for name in OWN_NAMES)
_PIN = re.compile(rf'(?<=")((?:{_OWN})(?:\[[\w,]+\])?==)([^",;\s]+)')
_STATUS = re.compile(r"^(Version )(\d+\.\d+\.\d+)\b", re.MULTILINE)
_VERSION_LINE = re.compile(r'^(version = ")([^"]+)(?=")', re.MULTILINE)
_LOCKED = re.compile(rf'^(name = "(?:{_OWN})"\nversion = ")([^"]+)(?=")', re.MULTILINE)


def current(root: Path = ROOT) -> str:
    """Return the version that counts."""
    text = (root / "pyproject.toml").read_text(encoding="utf-8")
    return str(tomllib.loads(text)["project"]["version"])


def differences(root: Path = ROOT) -> list[str]:
    """Return the places that have another version than the root, one sentence each."""
    wanted = current(root)
    found = [
        (path, match[2])
        for path, patterns in _places(root).items()
        for pattern in patterns
        for match in pattern.finditer(path.read_text(encoding="utf-8"))
    ]
    return [
        f"{path.relative_to(root)} has {version} where pyproject.toml has {wanted}"
        for path, version in found
        if version != wanted
    ]


def write(version: str, root: Path = ROOT) -> list[Path]:
    """Set the version in all places, and return the files that changed.

    Args:
        version: three numbers, such as ``0.2.0``.
        root: the top of the repository.

    Raises:
        ValueError: the version has another form.
    """
    if not RELEASE.fullmatch(version):
        raise ValueError(f"{version!r} is no version; write three numbers, such as 0.2.0")
    changed = []
    for path, patterns in _places(root).items():
        text = old = path.read_text(encoding="utf-8")
        for pattern in patterns:
            text = pattern.sub(rf"\g<1>{version}", text)
        if text != old:
            path.write_text(text, encoding="utf-8")
            changed.append(path)
    return changed


def _places(root: Path) -> dict[Path, tuple[re.Pattern[str], ...]]:
    projects = {root / folder / "pyproject.toml": (_VERSION_LINE, _PIN) for folder in PROJECTS}
    locks = {root / lock: (_LOCKED,) for lock in LOCKS}
    return {**projects, **locks, root / "README.md": (_STATUS,)}
