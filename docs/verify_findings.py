"""Writes the tables of findings into docs/verify.md: `python docs/verify_findings.py`. A test holds it to them."""

from __future__ import annotations

import re
import sys
from itertools import groupby
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from deploy.steps.verify.known_findings import KINDS  # noqa: E402

PAGE = ROOT / "docs" / "verify.md"
_TABLES = re.compile(r"(?P<begin><!-- findings -->\n).*?(?P<end><!-- end of the findings -->)", re.DOTALL)


def written(page: str) -> str:
    """Return the page with its tables as `deploy/verify` has the findings.

    Args:
        page: The page's text.
    """
    return _TABLES.sub(lambda found: f"{found['begin']}\n{tables()}\n{found['end']}", page)


def tables() -> str:
    """Return one table for each part of a deployment."""
    return "\n".join(
        f"### {group}\n\n| finding | weight | what is found, why it matters, what to do |\n| --- | --- | --- |\n"
        + "".join(
            f"| `{kind.name}` | {kind.severity.value} | **{_sentence(kind.title)}** {kind.why} *{kind.action}* |\n"
            for kind in kinds
        )
        for group, kinds in groupby(KINDS.values(), key=lambda kind: kind.group)
    )


def _sentence(title: str) -> str:
    return f"{title[0].upper()}{title[1:]}."


if __name__ == "__main__":
    PAGE.write_text(written(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
