"""Draw `docs/images/demo.svg`: `make demo` as a terminal shows it.

Run it from the top of a checkout after the demo has changed: `python docs/demo_picture.py`. With a file as its argument
it draws that output of `meshlab demo`.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from terminal_picture import drawn

PICTURE = Path(__file__).with_name("images") / "demo.svg"
COLUMNS = 118
_TITLE = (
    "make demo: the parts that start, 244 messages of which none is lost, dead letters by reason, rows read back, "
    "and a table of who gets into the mesh"
)
# Notes on the manifests fill a screen and say nothing about the run.
_NOTE = "only a cluster enforces"


def main() -> None:
    """Run the demo, and draw what it prints."""
    output = Path(sys.argv[1]).read_text() if len(sys.argv) > 1 else _run()
    PICTURE.write_text(drawn("make demo", without_notes(output), title=_TITLE))


def without_notes(output: str) -> list[str]:
    """Return the lines of the output without the notes on manifests, which go on up to an empty line."""
    lines: list[str] = []
    note = False
    for line in (each.rstrip() for each in output.splitlines()):
        note = line.startswith(_NOTE) or (note and bool(line))
        if not note:
            lines.append(line)
    return lines


def _run() -> str:
    meshlab = Path(sys.executable).with_name("meshlab")
    environment = os.environ | {"COLUMNS": str(COLUMNS), "NO_COLOR": "1"}
    command = [str(meshlab), "demo"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)  # noqa: S603 - our own
    return done.stdout


if __name__ == "__main__":
    main()
