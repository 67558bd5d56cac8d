"""Writes the table of docs/istio-coverage.md from the code: `python docs/istio_coverage.py`. A test compares them."""

from __future__ import annotations

import re
from pathlib import Path

from meshlab.bench.read_fields import coverage_rows, markdown_table

PAGE = Path(__file__).with_name("istio-coverage.md")
_BEGIN = "<!-- written by docs/istio_coverage.py -->"
_END = "<!-- end of what docs/istio_coverage.py writes -->"


def page() -> str:
    """Return the page with the table of today."""
    table = f"{_BEGIN}\n\n{markdown_table(coverage_rows())}\n{_END}"
    between = re.compile(f"{re.escape(_BEGIN)}.*{re.escape(_END)}", re.DOTALL)
    return between.sub(lambda _: table, PAGE.read_text(encoding="utf-8"), count=1)


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
