"""Entry of the flex template: makes the pipeline's command line of the template's parameters, and runs it.

The pipeline takes most parameters as they are (`metadata-*.json` beside this file describe them). Two have another form
there: a parameter has one value, and a flag has none. This file uses the standard library and what the image has.
"""

from __future__ import annotations

import argparse
import sys
from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence


def command_line(arguments: Sequence[str]) -> list[str]:
    """Return the pipeline's command line.

    Args:
        arguments: the template's parameters as Dataflow gives them, ``--NAME=VALUE``.
    """
    parser = argparse.ArgumentParser(allow_abbrev=False)
    parser.add_argument("--mode", required=True, choices=("stream", "backfill"))
    parser.add_argument("--files", default="")
    parser.add_argument("--dry_run", default="false", choices=("true", "false", ""))
    ours, others = parser.parse_known_args(arguments)
    files = [f"--files={pattern}" for pattern in ours.files.split()]
    counts = ["--dry-run"] if ours.dry_run == "true" else []
    return [ours.mode, *files, *counts, *others]


def main(arguments: Sequence[str]) -> int | None:
    """Run the pipeline's command."""
    # By name: the package is in the image, and in no environment that checks this file.
    code: int | None = import_module("enrichment_beam.command").main(command_line(arguments))
    return code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
