"""Links of a page, each led to where its target is on the site, and what else MkDocs reads differently."""

from __future__ import annotations

import posixpath
import re
from typing import TYPE_CHECKING
from urllib.parse import unquote

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["plain_pipes", "rewritten"]

# A fenced block, or code within a line. What stands there is no link.
_CODE = re.compile(r"^(?P<fence>```+).*?^(?P=fence)$|`[^`\n]+`", re.DOTALL | re.MULTILINE)
# Only the target is looked for, because a link's text may hold code or a picture.
_LINK = re.compile(r"(?P<before>\]\(|<(?:img|a)\b[^>]*?(?:src|href)=\")(?P<target>[^)\s\"]+)")
_EXTERNAL = re.compile(r"[a-z][a-z+.-]*:")


def rewritten(text: str, page: str, place: Callable[[str], str], site_page: str) -> str:
    """Return the text of a page with its links as they are on the site.

    Args:
        text: The page.
        page: Its path in the repository.
        place: Takes a path of the repository, and returns a path of the site or a URL.
        site_page: The page's path on the site.
    """

    def change(found: re.Match[str]) -> str:
        target, mark, anchor = found["target"].partition("#")
        if not target or _EXTERNAL.match(target):
            return found[0]
        path = posixpath.normpath(posixpath.join(posixpath.dirname(page), unquote(target)))
        placed = place(path)
        if not _EXTERNAL.match(placed):
            placed = _relative(placed, site_page)
        return f"{found['before']}{placed}{mark}{anchor}"

    return _outside_code(text, lambda part: _LINK.sub(change, part))


def plain_pipes(text: str) -> str:
    """Return the text with the pipes in code of tables plain: MkDocs wants no backslash there, and GitHub wants one."""
    return "\n".join(
        re.sub(r"`[^`]+`", lambda code: code[0].replace(r"\|", "|"), line) if line.startswith("|") else line
        for line in text.split("\n")
    )


def _relative(path: str, site_page: str) -> str:
    """Return how a page of the site names a path of the site."""
    return posixpath.relpath(path, posixpath.dirname(site_page) or ".")


def _outside_code(text: str, change: Callable[[str], str]) -> str:
    """Return the text with everything changed that is not code.

    A link's text may hold code, so the parts between pieces of code are changed one by one.
    """
    parts, end = [], 0
    for code in _CODE.finditer(text):
        parts += [change(text[end : code.start()]), code[0]]
        end = code.end()
    return "".join([*parts, change(text[end:])])
