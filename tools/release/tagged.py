"""Check that a tag is one from which a release may be built: it names the version, and its commit is on main."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from deploy.steps import RefusalError, run_script
from tools import ROOT
from tools.release import git, state, version

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

_MAIN = ("origin/main", "main")


def problems(tag: str, root: Path = ROOT) -> list[str]:
    """Return why no release may be built from a tag, one sentence each.

    A tag can be pushed at any commit. One that is not on main was reviewed by no person.
    """
    found = []
    if tag != f"v{version.current(root)}":
        found.append(f"the tag is {tag}, and pyproject.toml has version {version.current(root)}")
    main = next(
        (name for name in _MAIN if git.succeeds(root, "rev-parse", "--verify", "--quiet", name)), None
    )
    if main is None or not git.succeeds(root, "merge-base", "--is-ancestor", "HEAD", main):
        found.append("the commit is not on main")
    return found


def main(arguments: Sequence[str]) -> None:
    """Refuse a tag that has problems."""
    if len(arguments) != 1:
        raise RefusalError("takes one tag, such as v0.2.0")
    if found := problems(arguments[0]) + state.problems():
        raise RefusalError("\n  ".join(["no release may be built from this tag:", *found]))


if __name__ == "__main__":
    sys.exit(run_script("tools.release.tagged", main))
