"""Navigation of the site, read from the tables of `docs/README.md`.

So a page that is new needs a row there and nothing else.
"""

from __future__ import annotations

import posixpath
import re
from dataclasses import dataclass, field

from docs.site.sources import HOME, RECORDS, document_of

__all__ = ["Group", "mkdocs_navigation", "navigation"]

_CAPTION = re.compile(r"^(?:## +(?P<heading>.+)|\*\*(?P<bold>.+)\*\*)$")
_ROW = re.compile(r"^\| \[(?P<title>[^]]+)\]\((?P<target>[^)#]+\.md)\) \|")
_RECORDS_FOLDER = f"{posixpath.dirname(RECORDS)}/"


@dataclass
class Group:
    """Pages under one caption.

    Attributes:
        caption: The words above them.
        entries: Title and page of each, in order.
    """

    caption: str
    entries: list[tuple[str, str]] = field(default_factory=list)


def navigation(home: str, pages: list[str]) -> list[Group]:
    """Return the groups of the home page's tables, then the pages that no table has.

    Args:
        home: The text of `docs/README.md`.
        pages: Every page of the repository.
    """
    groups = [Group("Everything")]
    for line in home.splitlines():
        if caption := _CAPTION.match(line):
            groups.append(Group(caption["heading"] or caption["bold"]))
        elif row := _ROW.match(line):
            page = posixpath.normpath(posixpath.join(posixpath.dirname(HOME), row["target"]))
            if page == RECORDS or not page.startswith(_RECORDS_FOLDER):
                groups[-1].entries.append((row["title"], page))
    listed = {page for group in groups for _, page in group.entries} | {HOME}
    beside = [page for page in pages if page not in listed and not page.startswith("docs/")]
    groups.append(
        Group("Beside the code", [(posixpath.dirname(page), page) for page in beside if "/" in page])
    )
    own = {"README.md": "README", "CONTRIBUTING.md": "Contributing", "CHANGELOG.md": "Changes"}
    project = [
        (own.get(page, page.removesuffix(".md").capitalize()), page) for page in beside if "/" not in page
    ]
    groups.append(Group("The project", project))
    return [group for group in groups if group.entries]


def mkdocs_navigation(groups: list[Group], pages: list[str]) -> list[object]:
    """Return the groups as the `nav` of MkDocs, the decision records below the page that lists them."""
    records: list[object] = [f"{document_of(page)}.md" for page in pages if page.startswith(_RECORDS_FOLDER)]
    records.sort(key=lambda record: record != f"{document_of(RECORDS)}.md")
    result: list[object] = [{"Start": f"{document_of(HOME)}.md"}]
    for group in groups:
        entries: list[object] = [
            {title: records} if page == RECORDS else {title: f"{document_of(page)}.md"}
            for title, page in group.entries
        ]
        result.append({group.caption: entries})
    return result
