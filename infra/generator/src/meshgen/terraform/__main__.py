"""The command `python -m meshgen.terraform`: write the tables of Terraform modules, or say which are out of date."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from meshlab.errors import LabError

from meshgen.terraform.tables import rewritten

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["main"]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code: 0 done, 1 `--check` found a stale table, 2 a file is wrong."""
    parser = argparse.ArgumentParser(prog="python -m meshgen.terraform", description=__doc__)
    parser.add_argument(
        "--project", type=Path, default=Path(), metavar="DIR", help="top directory (default: here)"
    )
    parser.add_argument("--check", action="store_true", help="write nothing; name what is out of date")
    options = parser.parse_args(arguments)
    readmes = [
        path
        for path in sorted((options.project / "infra/terraform").rglob("README.md"))
        if ".terraform" not in path.parts
    ]
    try:
        texts = {path: text for path in readmes if (text := rewritten(path)) is not None}
    except LabError as error:
        print(error, file=sys.stderr)
        return 2
    stale = [path for path, text in texts.items() if path.read_text() != text]
    for path in stale:
        if options.check:
            print(f"{path} is out of date: run `make manifests`", file=sys.stderr)
        else:
            path.write_text(texts[path])
            print(f"wrote {path}")
    return 1 if stale and options.check else 0


if __name__ == "__main__":
    sys.exit(main())
