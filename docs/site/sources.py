"""Pages of the repository, and the place of each on the site."""

from __future__ import annotations

import subprocess
from pathlib import Path, PurePosixPath

__all__ = ["HOME", "RECORDS", "ROOT", "document_of", "pages", "tracked"]

ROOT = Path(__file__).parents[2]
HOME = "docs/README.md"
"""The page that becomes the site's `index.html`."""
RECORDS = "docs/decisions/README.md"
"""The page that lists the decision records."""

_TOP = ("README.md", "CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md")


def tracked(root: Path = ROOT) -> list[str]:
    """Return the paths of all files that git tracks or would track, sorted."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, cwd=root, capture_output=True, text=True, check=True)  # noqa: S603 - no input
    return sorted(name for name in listed.stdout.split("\0") if name and (root / name).is_file())


def pages(files: list[str]) -> list[str]:
    """Return the files that are pages: all Markdown of `docs/`, the READMEs of packages, and the root's pages."""
    return [name for name in files if name.endswith(".md") and _is_page(PurePosixPath(name))]


def _is_page(path: PurePosixPath) -> bool:
    if path.parts[0] == "docs":
        return True
    hidden = any(part.startswith(".") for part in path.parts)
    return str(path) in _TOP or (path.name == "README.md" and path.parts[0] != "tests" and not hidden)


def document_of(page: str) -> str:
    """Return the name of a page on the site, without its suffix; `docs/` is the site's top.

    READMEs of other folders keep their paths, so `sdk/README.md` and `docs/sdk.md` are two pages.
    """
    if page == HOME:
        return "index"
    if page == "README.md":
        return "repository"  # MkDocs would make it another index of the top
    return page.removeprefix("docs/").removesuffix(".md")
