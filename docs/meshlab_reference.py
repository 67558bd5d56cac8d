"""Write docs/meshlab-reference.md: the help of each command of `meshlab`, and the names that Python programs use.

Run it from the top of a checkout: `python docs/meshlab_reference.py`. A test compares the page with the code.
"""

from __future__ import annotations

import importlib
from pathlib import Path

from meshlab.cli._app import app
from sdk_reference import entry
from typer.main import get_command
from typer.testing import CliRunner

PAGE = Path(__file__).with_name("meshlab-reference.md")
NAMES = {
    "meshlab.lab.project": ("Project",),
    "meshlab.lab.stack": ("Lab", "OwnPipeline", "Started", "Driver"),
    "meshlab.cloud.bigquery.faults": ("Faults",),
    "meshlab.cloud.bigquery.control": ("order_faults", "stats"),
    "meshlab.cloud.pubsub": (
        "fail_publish",
        "fail_pull",
        "PullFaults",
        "end_streams",
        "backlog",
        "pull_counts",
    ),
}
"""What pages show to users, by its module."""
_COLUMNS = "100"
_INTRODUCTION = """# meshlab, name by name

Written from the code by `python docs/meshlab_reference.py`. [Test a mesh](policy-testing.md) and [the lab](lab.md)
explain what to do with it; the options of the pytest plugin are in [Check a mesh in CI](ci.md).

## The command
"""


def page() -> str:
    """Return the whole page."""
    parts = [_INTRODUCTION, f"```text\n{_help()}\n```\n"]
    commands = getattr(get_command(app), "commands", {})
    parts += [f"### meshlab {name}\n\n```text\n{_help(name)}\n```\n" for name in commands]
    parts.append("## From Python\n\nThese need the extra `lab`, and a checkout of this project.\n")
    shown: dict[object, str] = {}
    for module, names in NAMES.items():
        for name in names:
            parts += entry(module, name, getattr(importlib.import_module(module), name), shown)
    return "\n".join(parts)


def _help(*command: str) -> str:
    done = CliRunner().invoke(app, [*command, "--help"], prog_name="meshlab", env={"COLUMNS": _COLUMNS})
    return "\n".join(line.rstrip() for line in done.stdout.strip().splitlines())


if __name__ == "__main__":
    PAGE.write_text(page())
