"""A terminal as an SVG that writes itself: one line after the other, light or dark as the reader's system is.

Nothing is loaded from elsewhere. Where motion is not wanted, and where a viewer knows no animation, all lines are
there.
"""

from __future__ import annotations

import re
import unicodedata
from html import escape, unescape
from itertools import chain

__all__ = ["drawn", "lines_of"]

_CELL_PX, _LINE_PX, _MARGIN_PX = 7.2, 16, 14
_SECONDS_A_LINE = 0.12
_RULES = frozenset("─━┃│┏┓┗┛┡┩┳┻╇└┘┴┬├┤┼ ")
_STYLE = """
  text { font: 12px ui-monospace, "DejaVu Sans Mono", Menlo, Consolas, monospace; fill: #1f2933; white-space: pre; }
  .ground { fill: #f6f8fa; stroke: #d0d7de; }
  .rule { fill: #9aa5b1; }
  .command { font-weight: bold; fill: #1d4ed8; }
  .title { font-weight: bold; }
  @media (prefers-color-scheme: dark) {
    text { fill: #d5dbe3; }
    .ground { fill: #161b22; stroke: #30363d; }
    .rule { fill: #57606a; }
    .command { fill: #79a8ff; }
  }
  @media (prefers-reduced-motion: no-preference) {
    .line { animation: shown 0.01s both; }
    @keyframes shown { from { opacity: 0; } to { opacity: 1; } }
  }
"""


def drawn(command: str, lines: list[str], *, title: str) -> str:
    """Return the picture.

    Args:
        command: What was typed, as the first line.
        lines: What it printed.
        title: What a reader who does not see it gets.
    """
    shown = [f"$ {command}", *lines]
    width = round(max(map(_cells, shown)) * _CELL_PX + 2 * _MARGIN_PX)
    height = len(shown) * _LINE_PX + 2 * _MARGIN_PX
    size = f'viewBox="0 0 {width} {height}" width="{width}" height="{height}"'
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" {size} role="img" aria-labelledby="title">',
        f'<title id="title">{escape(title)}</title>',
        f"<style>{_STYLE}</style>",
        f'<rect class="ground" x="0.5" y="0.5" width="{width - 1}" height="{height - 1}" rx="8"/>',
        *(_line(number, line) for number, line in enumerate(shown) if line.strip()),
        "</svg>",
    ]
    return "\n".join(parts) + "\n"


def lines_of(picture: str) -> list[str]:
    """Return the lines of text that a picture shows, without the rules of tables."""
    rows = re.findall(r'<g class="line"[^>]*>(.*?)</g>', picture)
    words = [re.sub(r"<[^>]*>", " ", re.sub(r'<text class="rule".*?</text>', "", row)) for row in rows]
    return [line for line in (" ".join(unescape(text).split()) for text in words) if line]


def _line(number: int, line: str) -> str:
    y = _MARGIN_PX + (number + 0.75) * _LINE_PX
    delay = f"{number * _SECONDS_A_LINE:.2f}s"
    kind = "command" if number == 0 else "" if "│" in line or "┃" in line else "title"
    column, pieces = 0, []
    for piece in _pieces(line):
        cells = _cells(piece)
        if piece.strip():
            style = "rule" if _RULES.issuperset(piece) else kind
            x, length = _MARGIN_PX + column * _CELL_PX, cells * _CELL_PX
            named = f' class="{style}"' if style else ""
            pieces.append(
                f'<text{named} x="{x:.1f}" y="{y:.0f}" textLength="{length:.1f}">{escape(piece)}</text>'
            )
        column += cells
    return f'<g class="line" style="animation-delay:{delay}">{"".join(pieces)}</g>'


def _pieces(line: str) -> list[str]:
    """Return the words and the rules of a line, and the spaces between them, in order."""
    by_rules = re.split(r"([─━┃│┏┓┗┛┡┩┳┻╇└┘┴┬├┤┼]+)", line)
    return list(chain.from_iterable(re.split(r"( {2,}|^ | $)", part) for part in by_rules))


def _cells(text: str) -> int:
    """Return how many columns of a terminal a text takes."""
    wide = sum(unicodedata.east_asian_width(character) in "WF" for character in text)
    return wide + sum(not unicodedata.combining(character) for character in text)
