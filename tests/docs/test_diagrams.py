"""Diagrams are texts that anybody can edit, and the pictures follow from them."""

from __future__ import annotations

import pytest

from docs.diagram_pictures import PICTURES, TEXTS, DiagramError, drawn

NAMES = sorted(path.stem for path in TEXTS.glob("*.txt"))
HEAD = "# Title\nWhat it shows.\nsize 200x100\n"


def test_there_are_diagrams() -> None:
    assert {"event", "packages", "checks", "network-path", "egress", "lambda-bridge"} <= set(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_the_picture_is_what_the_text_says(name: str) -> None:
    text = (TEXTS / f"{name}.txt").read_text(encoding="utf-8")
    picture = (PICTURES / f"{name}.svg").read_text(encoding="utf-8")
    assert drawn(text) == picture, "Run `python docs/diagram_pictures.py`."


def test_words_with_a_meaning_in_svg_stay_words() -> None:
    picture = drawn(f"{HEAD}box 0,0 100x50: <b> & co | below")
    assert "&lt;b&gt; &amp; co" in picture
    assert "<b>" not in picture


def test_an_arrow_goes_through_its_points() -> None:
    assert '<polyline class="way back" points="1,2 3,4"/>' in drawn(f"{HEAD}back 1,2 3,4")


@pytest.mark.parametrize("line", ["circle 1,2 3x4", "way 1,2", "note 1,2: words"])
def test_a_line_that_is_not_known_is_named(line: str) -> None:
    with pytest.raises(DiagramError, match=line):
        drawn(HEAD + line)
