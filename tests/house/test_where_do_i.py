"""The tables of CONTRIBUTING.md lead to files that are there, and to names that stand in them."""

from __future__ import annotations

import re

import pytest

from tests.house.source_texts import ROOT

_PAGE = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")


def _rows(heading: str) -> list[tuple[str, str]]:
    """Return file and name of each row of a section's table."""
    section = _PAGE.partition(f"## {heading}\n")[2].partition("\n## ")[0]
    found = []
    for line in section.splitlines():
        if line.startswith("| ") and "/" in line:
            file = next(cell for cell in line.split("|") if re.search(r"`[\w.-]+/[\w./-]+\.\w+`", cell))
            name = line.split("|")[line.split("|").index(file) + 1]
            found.append((re.findall(r"`([^`]+)`", file)[0], name.strip().strip("`")))
    return found


TOUR = _rows("A tour of the code")
TASKS = _rows("Where do I ...?")


def test_the_tour_and_the_tasks_are_complete() -> None:
    assert len(TOUR) >= 15
    assert len(TASKS) >= 12
    assert len(set(TOUR)) == len(TOUR)
    assert len(set(TASKS)) == len(TASKS)


@pytest.mark.parametrize(("file", "name"), [*TOUR, *TASKS])
def test_a_table_leads_to_a_name_that_stands_in_its_file(file: str, name: str) -> None:
    text = (ROOT / file).read_text(encoding="utf-8")
    python = rf"^(?:(?:async )?def|class) {re.escape(name)}\b|^ *{re.escape(name)}\b(?:: [^=]+)?(?: =|:|,)"

    assert re.search(python, text, re.MULTILINE) or (not name.isidentifier() and name in text), (
        f"{file} has no {name}: mend the table of CONTRIBUTING.md"
    )
