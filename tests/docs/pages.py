"""The project's Markdown pages: their fenced blocks, links and headings."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[2]
PAGES = sorted(
    {
        path.relative_to(ROOT).as_posix()
        for pattern in ("*.md", "docs/**/*.md", "*/README.md", "examples/*/README.md")
        for path in ROOT.glob(pattern)
    }
)

_FENCE = re.compile(r"^```(\w*)\s*$")
_MARK = re.compile(r"^<!-- (not run|prints)(?:: (.+?))? -->$")
_LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)\)|<(?:img|a)\b[^>]*?(?:src|href)=\"([^\"]+)\"")
_HEADING = re.compile(r"^#{1,6} +(.*?)\s*$")


@dataclass(frozen=True)
class Block:
    """A fenced block.

    Attributes:
        where: Page and line, as an editor takes them.
        language: The word behind the fence; empty for a picture or plain output.
        text: What is inside.
        not_run: Why it is not run, if it says so.
        printed: Whether it shows what the block before it prints.
    """

    where: str
    language: str
    text: str
    not_run: str = ""
    printed: bool = False


def read(page: str) -> str:
    """A page's text."""
    return (ROOT / page).read_text(encoding="utf-8")


def blocks(page: str) -> list[Block]:
    """Every fenced block of a page, each with the mark in the comment right above it."""
    found: list[Block] = []
    mark, opened, inside = "", None, list[str]()
    for number, line in enumerate(read(page).splitlines(), start=1):
        if opened is None and (fence := _FENCE.match(line)):
            opened, inside = (number, fence[1]), []
        elif opened and line == "```":
            kind = _MARK.match(mark)
            reason = (kind[2] or "") if kind and kind[1] == "not run" else ""
            text = "".join(f"{part}\n" for part in inside)
            printed = bool(kind and kind[1] == "prints")
            found.append(Block(f"{page}:{opened[0]}", opened[1], text, reason, printed))
            mark, opened = "", None
        elif opened:
            inside.append(line)
        else:
            mark = line
    assert opened is None, f"{page}: the block of line {opened and opened[0]} is never closed"
    return found


def prose(page: str) -> str:
    """A page without its fenced blocks."""
    return re.sub(r"^```.*?^```$", "", read(page), flags=re.DOTALL | re.MULTILINE)


def links(page: str) -> Iterator[str]:
    """Every target of a link or picture."""
    for inline, attribute in _LINK.findall(re.sub(r"`[^`\n]*`", "", prose(page))):
        yield inline or attribute


def anchors(page: str) -> set[str]:
    """The anchors that GitHub gives to a page's headings."""
    seen: Counter[str] = Counter()
    found = set()
    for line in prose(page).splitlines():
        if heading := _HEADING.match(line):
            words = re.sub(r"[^\w\- ]", "", heading[1].lower()).replace(" ", "-")
            found.add(f"{words}-{seen[words]}" if seen[words] else words)
            seen[words] += 1
    return found
