"""``make release VERSION=X.Y.Z``: check that a release can be made, make its commit and its tag, and push nothing."""

from __future__ import annotations

import argparse
import datetime
import sys
from typing import TYPE_CHECKING

from deploy.steps import RefusalError, run_script
from tools import ROOT
from tools.release import changelog, git, version

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

_PLACEHOLDER = "github.com/OWNER/"
_NEXT = """\
Made the commit and the tag {tag}; nothing was pushed. Look at them, and check the artefacts:
  git show --stat {tag}
  make dist
Then publish, which cannot be taken back on PyPI:
  git push origin main {tag}
"""


def problems(wanted: str, root: Path = ROOT) -> list[str]:
    """Return why this version cannot be released now, one sentence each.

    Args:
        wanted: the new version.
        root: the top of the repository.
    """
    form = version.RELEASE.fullmatch(wanted)
    if not form:
        return [f"{wanted!r} is no version; write three numbers, such as 0.2.0"]
    now = version.current(root)
    text = (root / "CHANGELOG.md").read_text(encoding="utf-8")
    found = version.differences(root) + changelog.problems(text, now)
    if tuple(map(int, wanted.split("."))) <= tuple(map(int, now.split("."))):
        found.append(f"{wanted} is not newer than {now}")
    if git.run(root, "branch", "--show-current") != "main":
        found.append("the branch is not main")
    if git.run(root, "status", "--porcelain"):
        found.append("there are changes without a commit")
    if git.succeeds(root, "rev-parse", "--verify", "--quiet", f"refs/tags/v{wanted}"):
        found.append(f"the tag v{wanted} exists")
    if _PLACEHOLDER in text:
        found.append("the repository's address is still OWNER/meshpass; docs/release.md says how to set it")
    if not changelog.sections(text)[0].body:
        found.append("nothing is under [Unreleased] in CHANGELOG.md")
    return found


def release(wanted: str, date: str, root: Path = ROOT) -> str:
    """Set the version, close the changelog, commit and tag.

    Args:
        wanted: the new version.
        date: the day of the release, ``YYYY-MM-DD``.
        root: the top of the repository.

    Returns:
        The tag.

    Raises:
        RefusalError: the version cannot be released now, or git failed. Before the commit nothing is left changed.
    """
    if found := problems(wanted, root):
        raise RefusalError("\n  ".join([f"{wanted} cannot be released now:", *found]))
    file = root / "CHANGELOG.md"
    text = changelog.close(file.read_text(encoding="utf-8"), wanted, date)
    tag = f"v{wanted}"
    try:
        changed = version.write(wanted, root)
        file.write_text(text, encoding="utf-8")
        git.run(root, "commit", "--quiet", f"--message=Release {wanted}", "--", *map(str, [*changed, file]))
    except (RefusalError, OSError, KeyboardInterrupt):
        git.run(root, "checkout", "--quiet", "HEAD", "--", ".")
        raise
    git.run(root, "tag", "--annotate", f"--message=Release {wanted}", tag)
    return tag


def main(arguments: Sequence[str]) -> None:
    """Make a release's commit and tag; see ``--help``."""
    parser = argparse.ArgumentParser(prog="make release", description=__doc__)
    parser.add_argument("version", help="the new version, such as 0.2.0")
    parser.add_argument("--dry-run", action="store_true", help="check, and change nothing")
    options = parser.parse_args(arguments)
    if options.dry_run:
        if found := problems(options.version):
            raise RefusalError("\n  ".join([f"{options.version} cannot be released now:", *found]))
        return
    day = datetime.datetime.now(datetime.UTC).date().isoformat()
    sys.stdout.write(_NEXT.format(tag=release(options.version, day)))


if __name__ == "__main__":
    sys.exit(run_script("make release", main))
