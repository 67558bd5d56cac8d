"""The command `meshgen`: write what follows from the descriptions, or say what is out of date."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from meshlab.errors import LabError

from meshgen.generated import stale, write
from meshgen.google_keys import ADDRESS, GoogleKeysError, refresh
from meshgen.plan import directories, generate
from meshgen.sources import DescriptionError

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["main"]

_GOOGLE_KEYS = "google-keys"
_MORE = f"`meshgen {_GOOGLE_KEYS}` writes Google's public keys into an overlay; see its own --help."
_EPILOG = (
    "exit code: 0 done or nothing to do, 1 --check found files that are out of date, 2 a description is wrong"
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    if words[:1] == [_GOOGLE_KEYS]:
        return _google_keys(words[1:])
    parser = argparse.ArgumentParser(prog="meshgen", description=f"{__doc__} {_MORE}", epilog=_EPILOG)
    parser.add_argument(
        "--project",
        type=Path,
        default=Path(),
        metavar="DIR",
        help="top directory of the project (default: here)",
    )
    parser.add_argument("--check", action="store_true", help="write nothing; name what is out of date")
    options = parser.parse_args(words)
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


def _google_keys(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(
        prog=f"meshgen {_GOOGLE_KEYS}",
        description=f"Write Google's public keys for ID tokens to a file. They are fetched from {ADDRESS}.",
        epilog="exit code: 0 the keys are those of before, 1 they changed, 2 an error, and the file is as it was",
    )
    parser.add_argument(
        "--out",
        type=Path,
        required=True,
        metavar="FILE",
        help="such as infra/mesh/overlays/NAME/keys/google.json",
    )
    parser.add_argument(
        "--from",
        dest="source",
        type=Path,
        metavar="FILE",
        help="read the keys from this file, and fetch nothing",
    )
    parser.add_argument("--check", action="store_true", help="write nothing; say what would change")
    options = parser.parse_args(arguments)
    try:
        change = refresh(options.out, options.source, check=options.check)
    except GoogleKeysError as error:
        for problem in error.problems:
            print(f"meshgen {_GOOGLE_KEYS}: {problem}", file=sys.stderr)
        return 2
    for word, kids in (("added", change.added), ("removed", change.removed)):
        for kid in kids:
            print(f"{word} {kid}")
    changed = bool(change.added or change.removed)
    what = ("would change" if options.check else "wrote") if changed else "unchanged"
    print(f"{options.out}: {what}, {change.count} key{'' if change.count == 1 else 's'}")
    if change.is_late:
        print(
            "None of the keys of before is left, so the mesh refuses Google's tokens until these are applied."
            " Run this more often.",
            file=sys.stderr,
        )
    return 1 if changed else 0


def _report_stale(paths: Sequence[Path]) -> int:
    for path in paths:
        print(f"{path} is out of date: run `make manifests`", file=sys.stderr)
    return 1 if paths else 0
