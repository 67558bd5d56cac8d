"""Draw the diagrams of the pages: each text in `docs/diagrams` becomes a picture in `docs/images`.

Run it from the top of a checkout after a change: `python docs/diagram_pictures.py`. A text is read line by line:

    # Title of the picture
    What a reader who does not see it gets.
    size 1000x400
    zone 20,20 520x360: words in its corner
    box 190,80 120x60: Name | a line below | another
    way 150,110 188,110          an arrow through these points
    back 368,125 312,125         a dashed one
    note 340,92 middle: words    at a place; start, middle or end

Places and sizes are pixels, x before y. `box` is a part of ours, `proxy` an Envoy, `good` an end that is wanted and
`bad` one that is not.
"""

from __future__ import annotations

import re
from html import escape
from pathlib import Path

TEXTS = Path(__file__).with_name("diagrams")
PICTURES = Path(__file__).with_name("images")
_LINE_PX = 16
_STYLE = """
    text { font: 13px "DejaVu Sans", Verdana, Arial, sans-serif; fill: #1f2933; }
    .name { font-weight: bold; }
    .small { font-size: 11px; fill: #52606d; }
    .ground { fill: #ffffff; }
    .zone { fill: #f5f7fa; stroke: #9aa5b1; stroke-dasharray: 5 4; }
    .box { fill: #ffffff; stroke: #3e4c59; }
    .proxy { fill: #e6f0ff; stroke: #1d4ed8; }
    .good { fill: #e8f7ec; stroke: #15803d; }
    .bad { fill: #fff4e5; stroke: #b45309; }
    .way { fill: none; stroke: #3e4c59; stroke-width: 1.5; marker-end: url(#tip); }
    .tip { fill: #3e4c59; }
    .back { stroke-dasharray: 4 3; }
    @media (prefers-color-scheme: dark) {
      text { fill: #e4e7eb; }
      .small { fill: #b8c2cc; }
      .ground { fill: #14181d; }
      .zone { fill: #1b2127; stroke: #616e7c; }
      .box { fill: #242b33; stroke: #9aa5b1; }
      .proxy { fill: #172a4d; stroke: #79a8ff; }
      .good { fill: #12321d; stroke: #4ade80; }
      .bad { fill: #3b2708; stroke: #f0a848; }
      .way { stroke: #b8c2cc; }
      .tip { fill: #b8c2cc; }
    }
"""
_DEFINITIONS = (
    '<defs><marker id="tip" viewBox="0 0 10 10" refX="9" refY="5" markerWidth="8" markerHeight="8" '
    'orient="auto-start-reverse"><path class="tip" d="M0 0 10 5 0 10z"/></marker></defs>'
)
_SIZE = re.compile(r"size (\d+)x(\d+)")
_SHAPE = re.compile(r"(zone|box|proxy|good|bad) (\d+),(\d+) (\d+)x(\d+)(?:: (.*))?")
_ARROW = re.compile(r"(way|back)((?: \d+,\d+){2,})")
_NOTE = re.compile(r"note (\d+),(\d+) (start|middle|end): (.+)")


class DiagramError(Exception):
    """A line that is no part of a diagram."""


def drawn(text: str) -> str:
    """Return the picture of a text as SVG.

    Raises:
        DiagramError: A line is none of those that are known; the message names it.
    """
    title, description, size, *lines = [line for line in text.splitlines() if line.strip()]
    measured = _SIZE.fullmatch(size)
    if measured is None:
        raise DiagramError(f"line 3 is {size!r}. Write the size there, such as `size 1000x400`.")
    width, height = measured.groups()
    measures = f'viewBox="0 0 {width} {height}" width="{width}" height="{height}"'
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" {measures} role="img" aria-labelledby="title desc">',
        f'<title id="title">{escape(title.removeprefix("# "))}</title>',
        f'<desc id="desc">{escape(description)}</desc>',
        f"<style>{_STYLE}</style>",
        _DEFINITIONS,
        f'<rect class="ground" width="{width}" height="{height}" rx="8"/>',
    ]
    for line in lines:
        parts += _element(line)
    return "\n".join([*parts, "</svg>", ""])


def _element(line: str) -> list[str]:
    if shape := _SHAPE.fullmatch(line):
        kind, *numbers, words = shape.groups()
        x, y, width, height = map(int, numbers)
        rectangle = f'<rect class="{kind}" x="{x}" y="{y}" width="{width}" height="{height}" rx="6"/>'
        if kind == "zone":
            return [rectangle, *([_text("small", x + 10, y + 17, "start", words)] if words else [])]
        labels = [label.strip() for label in words.split("|")] if words else []
        first = y + height / 2 + 5 - (len(labels) - 1) * _LINE_PX / 2
        return [
            rectangle,
            *(
                _text(
                    "small" if number else "name", x + width / 2, first + number * _LINE_PX, "middle", label
                )
                for number, label in enumerate(labels)
                if label
            ),
        ]
    if arrow := _ARROW.fullmatch(line):
        style = "way back" if arrow[1] == "back" else "way"
        return [f'<polyline class="{style}" points="{arrow[2].strip()}"/>']
    if note := _NOTE.fullmatch(line):
        return [_text("small", int(note[1]), int(note[2]), note[3], note[4])]
    raise DiagramError(
        f"{line!r} is no part of a diagram. The lines that are known stand in docs/diagram_pictures.py."
    )


def _text(style: str, x: float, y: float, anchor: str, words: str) -> str:
    return f'<text class="{style}" x="{x:g}" y="{y:g}" text-anchor="{anchor}">{escape(words, quote=False)}</text>'


def main() -> None:
    """Draw every text."""
    for text in sorted(TEXTS.glob("*.txt")):
        (PICTURES / f"{text.stem}.svg").write_text(drawn(text.read_text(encoding="utf-8")), encoding="utf-8")


if __name__ == "__main__":
    main()
