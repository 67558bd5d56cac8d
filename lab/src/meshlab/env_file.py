"""Plain KEY=VALUE files, as shells and kustomize have them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from meshlab.env_schema import schema_of, schema_problems
from meshlab.errors import LabError
from meshlab.named_files import read_text

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

__all__ = ["merge_env_files", "read_env_file"]


def read_env_file(path: Path) -> dict[str, str]:
    """Read a KEY=VALUE file: everything after the first `=` of a line is the value.

    Where `NAME.schema.json` lies beside `NAME.env`, the values are checked against it.

    Raises:
        LabError: It cannot be read, a line is not KEY=VALUE, a key occurs twice, or the schema beside it refuses
            a value.
    """
    values = {}
    # Only a line feed ends a line, as for a shell and kustomize; `splitlines` knows ten other line ends.
    for number, line in enumerate(read_text(path).split("\n"), start=1):
        line = line.removesuffix("\r")
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        key, equals, value = line.partition("=")
        if not equals or not (key.isidentifier() and key.isascii()):
            raise LabError(f"{path}:{number}: expected KEY=VALUE")
        if key in values:
            raise LabError(f"{path}:{number}: {key} is written a second time. Keep one.")
        values[key] = value
    _check(path, values)
    return values


def merge_env_files(paths: Iterable[Path]) -> dict[str, str]:
    """Read several files as `read_env_file` does; of a key that several have, the last file's value holds.

    Raises:
        LabError: As `read_env_file`.
    """
    return {name: value for path in paths for name, value in read_env_file(path).items()}


def _check(path: Path, values: dict[str, str]) -> None:
    schema = schema_of(path)
    if schema is None:
        return
    try:
        problems = schema_problems(read_text(schema), values)
    except ValueError as error:
        raise LabError(f"{schema}: {error}.") from None
    if problems:
        raise LabError("\n".join(f"{path}: {problem}" for problem in problems))
