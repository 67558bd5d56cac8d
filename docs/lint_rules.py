"""Writes the table of docs/lint.md from the rules: `python docs/lint_rules.py`. A test compares them."""

from __future__ import annotations

import re
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING

from meshlab.lint.rules import RULES

if TYPE_CHECKING:
    from meshlab.lint.rule import Rule

PAGE = Path(__file__).with_name("lint.md")
_BEGIN = "<!-- written by docs/lint_rules.py -->"
_END = "<!-- end of what docs/lint_rules.py writes -->"
_TOPICS = {
    "0": "Reading and comments",
    "1": "Gateways",
    "2": "Routes",
    "3": "Policies and tokens",
    "4": "DestinationRules and ServiceEntries",
    "5": "Workloads and Services",
    "6": "NetworkPolicies",
}
"""The hundreds of a code to their topic."""


def page() -> str:
    """Return the page with the table of today."""
    between = re.compile(f"{re.escape(_BEGIN)}.*{re.escape(_END)}", re.DOTALL)
    table = f"{_BEGIN}\n\n{_tables()}\n{_END}"
    return between.sub(lambda _: table, PAGE.read_text(encoding="utf-8"), count=1)


def _tables() -> str:
    parts = []
    for topic, rules in groupby(RULES, key=lambda rule: rule.code[2]):
        rows = [_row(rule) for rule in rules]
        head = [
            "| rule | severity | what is found, and why it matters | what to do |",
            "| --- | --- | --- | --- |",
        ]
        parts.append("\n".join([f"### {_TOPICS[topic]}", "", *head, *rows, ""]))
    return "\n".join(parts)


def _row(rule: Rule) -> str:
    summary = f"{rule.summary[0].upper()}{rule.summary[1:]}"
    cells = (f"`{rule.code}` {rule.name}", rule.severity.value, f"**{summary}.** {rule.why}", rule.fix)
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
