"""Plain KEY=VALUE files, as shells and kustomize have them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from meshlab.errors import LabError
from meshlab.named_files import read_text

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["read_env_file"]


def read_env_file(path: Path) -> dict[str, str]:
    """Read a KEY=VALUE file: everything after the first `=` of a line is the value.

    Raises:
        LabError: It cannot be read, or a line is not KEY=VALUE.
    """
    values = {}
    for number, line in enumerate(read_text(path).splitlines(), start=1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        key, equals, value = line.partition("=")
        if not equals or not key.isidentifier():
            raise LabError(f"{path}:{number}: expected KEY=VALUE")
        values[key] = value
    return values
