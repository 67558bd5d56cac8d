"""State of the repository between releases: one version everywhere, a changelog in form, one licence text."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from deploy.steps import RefusalError, run_script
from tools import ROOT
from tools.release import changelog, version
from tools.release.packages import PROJECTS

if TYPE_CHECKING:
    from collections.abc import Sequence


def problems() -> list[str]:
    """Return what is wrong, one sentence each; empty for a state from which a release can be made."""
    text = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    licence = (ROOT / "LICENSE").read_bytes()
    found = version.differences() + changelog.problems(text, version.current())
    for folder in PROJECTS:
        copy = ROOT / folder / "LICENSE"
        if folder and (not copy.is_file() or copy.read_bytes() != licence):
            found.append(f"{folder}/LICENSE is not the same as LICENSE; copy it")
    return found


def main(_arguments: Sequence[str]) -> None:
    """Refuse a state that has problems."""
    if found := problems():
        raise RefusalError("\n  ".join(["the versions or CHANGELOG.md must be mended:", *found]))


if __name__ == "__main__":
    sys.exit(run_script("tools.release.state", main))
