"""The built site as data: what each page loads, where it links to, and which anchors it has."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from html.parser import HTMLParser
from typing import TYPE_CHECKING
from urllib.parse import unquote

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["BuiltPage", "is_external", "read_site", "within"]

_LOADED = {"link": "href", "script": "src", "img": "src", "source": "src", "iframe": "src", "image": "href"}
_NOT_LOADED = frozenset({"canonical", "next", "prev", "alternate"})


@dataclass
class BuiltPage:
    """One HTML page.

    Attributes:
        loaded: What the browser asks for by itself.
        links: Where a reader can go.
        anchors: The ids of the page.
    """

    loaded: list[str] = field(default_factory=list)
    links: list[str] = field(default_factory=list)
    anchors: set[str] = field(default_factory=set)


class _Reader(HTMLParser):
    def __init__(self, page: BuiltPage) -> None:
        super().__init__()
        self._page = page

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        if "id" in given:
            self._page.anchors.add(given["id"])
        if tag == "a" and "href" in given:
            self._page.links.append(given["href"])
        name = _LOADED.get(tag)
        if name and name in given and given.get("rel") not in _NOT_LOADED:
            self._page.loaded.append(given[name])


def read_site(site: Path) -> dict[str, BuiltPage]:
    """Return every page of a built site by its path; the page for unknown addresses is left out."""
    found = {}
    for path in sorted(site.rglob("*.html")):
        name = path.relative_to(site).as_posix()
        if name != "404.html":
            found[name] = BuiltPage()
            _Reader(found[name]).feed(path.read_text(encoding="utf-8"))
    return found


def is_external(target: str) -> bool:
    """Say whether a link or a resource leaves the site."""
    return bool(re.match(r"[a-z][a-z+.-]*:|//", target))


def within(page: str, target: str) -> tuple[str, str]:
    """Return the path and the anchor that a link on a page leads to."""
    path, _, anchor = target.partition("#")
    parts = page.split("/")[:-1]
    for part in unquote(path).split("/") if path else []:
        if part == "..":
            parts.pop()
        elif part not in ("", "."):
            parts.append(part)
    return ("/".join(parts) if path else page), unquote(anchor)
