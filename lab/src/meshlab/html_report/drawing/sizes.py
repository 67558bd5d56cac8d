"""How much room nodes need: the lines of their texts, and their boxes.

The drawing uses a monospaced font, so that the width of a text is known without a browser.
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from unicodedata import east_asian_width

from meshlab.html_report.texts import shortened
from meshlab.quick_dataclass import dataclass
from meshlab.visible_text import visible

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from meshlab.html_report.drawing.graph import Badge, Node

__all__ = [
    "CHARACTER",
    "TITLE_CHARACTER",
    "Placed",
    "Size",
    "fitted",
    "height_of",
    "texts_of",
    "wanted_width",
]

TITLE_CHARACTER = 8.0
"""Width of a character of a name, in the units of the drawing. Its font has a size of 13 units."""
CHARACTER = 7.0
"""Width of a character of every other text, whose font has a size of 11 units."""

_PADDING = 12.0
_TITLE = 19.0
_LINE = 16.0
_BADGE = 18.0
_BADGE_GAP = 6.0
_BADGE_PADDING = 6.0
_MAX_LINES = 5
_NARROWEST = 132.0
_WIDEST = 288.0

Size = tuple[float, float]


@dataclass(frozen=True)
class Placed:
    """A text in a node, from the left upper corner of the node.

    Attributes:
        x: Where the text begins.
        y: Its baseline.
        text: The text, as short as the node is wide.
        role: `name`, `detail`, or the tone of a badge.
        width: The width of the text, or of the badge around it.
    """

    x: float
    y: float
    text: str
    role: str
    width: float


def wanted_width(nodes: Iterable[Node]) -> float:
    """Return the width of a column of nodes, in which their texts fit as far as the widest column allows."""
    widths = [_NARROWEST]
    for node in nodes:
        widths.append(_width(node.name, TITLE_CHARACTER))
        widths += [_width(line, CHARACTER) for line in node.lines]
        widths += [_badge_width(badge) for badge in node.badges]
    return min(_WIDEST, max(widths) + 2 * _PADDING)


def height_of(node: Node, width: float) -> float:
    """Return the height of a node of that width."""
    return max(placed.y for placed in texts_of(node, width)) + _PADDING - 2


def texts_of(node: Node, width: float) -> list[Placed]:
    """Return the texts of a node of that width: its name, its lines and its badges."""
    room = width - 2 * _PADDING
    name = fitted(node.name, room, TITLE_CHARACTER)
    found = [Placed(_PADDING, _TITLE, name, "name", _width(name, TITLE_CHARACTER))]
    y = _TITLE
    for line in _lines(node):
        y += _LINE
        text = fitted(line, room, CHARACTER)
        found.append(Placed(_PADDING, y, text, "detail", _width(text, CHARACTER)))
    return [*found, *_badges(node.badges, y, room)]


def fitted(text: str, room: float, character: float) -> str:
    """Return a text that is not wider than the room."""
    text = " ".join(visible(text).split())
    most = max(3, int(room / character))
    while _width(text, character) > room and most >= 3:
        text, most = shortened(text, most), most - 1
    return text


def _lines(node: Node) -> Iterator[str]:
    if len(node.lines) <= _MAX_LINES:
        yield from node.lines
        return
    yield from node.lines[: _MAX_LINES - 1]
    yield f"and {len(node.lines) - _MAX_LINES + 1} more"


def _badges(badges: Iterable[Badge], y: float, room: float) -> Iterator[Placed]:
    x = _PADDING
    y += _BADGE + 4
    for badge in badges:
        width = _badge_width(badge)
        if x > _PADDING and x + width > _PADDING + room:
            x, y = _PADDING, y + _BADGE + _BADGE_GAP
        yield Placed(x, y, badge.text, badge.tone, width)
        x += width + _BADGE_GAP


def _badge_width(badge: Badge) -> float:
    return _width(badge.text, CHARACTER) + 2 * _BADGE_PADDING


def _width(text: str, character: float) -> float:
    return character * sum(2 if east_asian_width(one) in "WF" else 1 for one in text)
