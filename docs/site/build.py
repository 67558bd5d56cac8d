"""Build of the site: pages are written as MkDocs reads them, then MkDocs writes HTML."""

from __future__ import annotations

import logging
import os
import re
import shutil
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from docs.site.links import plain_pipes, rewritten
from docs.site.listings import Listings, SiteError
from docs.site.navigation import mkdocs_navigation, navigation
from docs.site.sources import HOME, ROOT, document_of, pages, tracked

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["REPOSITORY_VARIABLE", "SITE", "SiteError", "build", "write_sources"]

SITE = ROOT / "build/site"
REPOSITORY_VARIABLE = "DOCS_REPOSITORY_URL"
"""Names the address under which the repository's files are seen, such as `https://github.com/OWNER/NAME/blob/main`."""
_PICTURES = (".svg", ".png")
_CONFIGURATION = Path(__file__).with_name("mkdocs.yml")


def build(site: Path = SITE, *, root: Path = ROOT) -> None:
    """Build the site into a folder.

    Args:
        site: The folder. Its last build is replaced.
        root: The top of the checkout.

    Raises:
        SiteError: A link or an anchor leads nowhere, or MkDocs warns of something else. The message has all of it.
    """
    from mkdocs.commands import build as mkdocs
    from mkdocs.config import load_config

    sources = site.with_name(f"{site.name}-sources")
    write_sources(sources, root=root, repository=os.environ.get(REPOSITORY_VARIABLE, ""))
    found = pages(tracked(root))
    order = mkdocs_navigation(navigation((root / HOME).read_text(encoding="utf-8"), found), found)
    with _warnings() as warnings, _CONFIGURATION.open("rb") as configuration:
        config = load_config(
            configuration, docs_dir=str(sources), site_dir=str(site), nav=order, not_in_nav="/files/"
        )
        mkdocs.build(config)
    if warnings:
        raise SiteError("\n".join(warnings))


@contextmanager
def _warnings() -> Iterator[list[str]]:
    """Collect what MkDocs warns of. Its own strict mode counts warnings and does not show them here."""
    found: list[str] = []

    class Collect(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            found.append(record.getMessage())

    handler = Collect(logging.WARNING)
    logger = logging.getLogger("mkdocs")
    logger.addHandler(handler)
    try:
        yield found
    finally:
        logger.removeHandler(handler)


def write_sources(directory: Path, *, root: Path = ROOT, repository: str = "") -> None:
    """Write every page, with the site's links and navigation, and the pictures that they show.

    Args:
        directory: Where to. Its content is replaced.
        root: The top of the checkout.
        repository: The address of the repository's files; without one, linked files become pages.

    Raises:
        SiteError: A page links to a path that is not in the repository.
    """
    files = tracked(root)
    found = pages(files)
    listings = Listings(root, files)
    known = {page: f"{document_of(page)}.md" for page in found}
    shutil.rmtree(directory, ignore_errors=True)

    def place(path: str) -> str:
        if f"{path}/README.md" in known:
            return known[f"{path}/README.md"]
        if path in known:
            return known[path]
        if path.endswith(_PICTURES):
            return path.removeprefix("docs/")
        return f"{repository.rstrip('/')}/{path}" if repository else listings.page_of(path)

    for page, name in known.items():
        text = rewritten((root / page).read_text(encoding="utf-8"), page, place, name)
        _write(directory / name, plain_pipes(text))
    for name, text in listings.pages.items():
        _write(directory / name, text)
    shutil.copytree(Path(__file__).with_name("static"), directory / "static")
    for picture in files:
        if re.match(r"docs/.*\.(?:svg|png)$", picture):
            copy = directory / picture.removeprefix("docs/")
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(root / picture, copy)


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
