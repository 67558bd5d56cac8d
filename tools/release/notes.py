"""Print the section of CHANGELOG.md for a tag, as the text of its release."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from deploy.steps import RefusalError, run_script
from tools import ROOT
from tools.release import changelog

if TYPE_CHECKING:
    from collections.abc import Sequence


def main(arguments: Sequence[str]) -> None:
    """Print what changed in the version of a tag such as ``v0.2.0``."""
    if len(arguments) != 1:
        raise RefusalError("takes one tag, such as v0.2.0")
    text = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    try:
        sys.stdout.write(changelog.notes(text, arguments[0].removeprefix("v")))
    except ValueError as error:
        raise RefusalError(str(error)) from None


if __name__ == "__main__":
    sys.exit(run_script("tools.release.notes", main))
