"""The command `meshgen`: write what follows from the descriptions, or say what is out of date."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from meshlab.errors import LabError

from meshgen.generated import stale, write
from meshgen.plan import directories, generate
from meshgen.sources import DescriptionError

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["main"]

_EPILOG = (
    "exit code: 0 done or nothing to do, 1 --check found files that are out of date, 2 a description is wrong"
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code."""
    parser = argparse.ArgumentParser(prog="meshgen", description=__doc__, epilog=_EPILOG)
    parser.add_argument(
        "--project",
        type=Path,
        default=Path(),
        metavar="DIR",
        help="top directory of the project (default: here)",
    )
    parser.add_argument("--check", action="store_true", help="write nothing; name what is out of date")
    options = parser.parse_args(arguments)
    root: Path = options.project
    if not (root / "infra/mesh").is_dir():
        print(
            f"meshgen: {root} holds no infra/mesh: name the project's top directory with --project",
            file=sys.stderr,
        )
        return 2
    try:
        files = generate(root)
    except (DescriptionError, LabError) as error:
        print(error, file=sys.stderr)
        return 2
    if options.check:
        return _report_stale(stale(files, directories(root)))
    changed = write(files, directories(root))
    for path in changed:
        print(f"{'wrote' if path.exists() else 'removed'} {path}")
    if not changed:
        print(f"{len(files)} generated files are up to date")
    return 0


def _report_stale(paths: Sequence[Path]) -> int:
    for path in paths:
        print(f"{path} is out of date: run `make manifests`", file=sys.stderr)
    return 1 if paths else 0
