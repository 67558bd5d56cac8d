"""The colours of a report, as its style sheet states them: text can be read in light and in dark."""

from __future__ import annotations

import re
from importlib.resources import files

import pytest
from meshlab.html_report.report import TONES

CSS = files("meshlab").joinpath("data/html_report/report.css").read_text(encoding="utf-8")
SCHEMES = ("light", "dark")
TEXT = 4.5
"""The least contrast of text (WCAG 2.2, 1.4.3)."""
GRAPHIC = 3.0
"""The least contrast of lines and frames that carry a meaning (WCAG 2.2, 1.4.11)."""


def colours(scheme: str) -> dict[str, str]:
    """The variables of a colour scheme."""
    roots = re.findall(r":root \{(.*?)\}", CSS, re.DOTALL)
    found = dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6});", roots[0]))
    if scheme == "dark":
        found |= dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6});", roots[1]))
    return found


def luminance(colour: str) -> float:
    """The relative luminance of a colour (WCAG 2.2)."""
    parts = [int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)]
    red, green, blue = (
        part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts
    )
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: str, other: str) -> float:
    light, dark = sorted((luminance(one), luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def test_contrast_is_computed_as_the_guideline_says() -> None:
    assert round(contrast("#000000", "#ffffff"), 2) == 21
    assert round(contrast("#777777", "#ffffff"), 2) == 4.48


@pytest.mark.parametrize("scheme", SCHEMES)
def test_every_text_has_enough_contrast(scheme: str) -> None:
    found = colours(scheme)
    pairs = [(name, name.replace("-ink", "-paper")) for name in found if name.endswith("-ink")]
    pairs += [(text, under) for text in ("ink", "soft", "accent") for under in ("paper", "card")]
    pairs += [(name, "card") for name in found if name.endswith("-ink")]
    assert len(pairs) >= 18
    low = {pair: round(contrast(found[pair[0]], found[pair[1]]), 2) for pair in pairs}
    assert {pair: value for pair, value in low.items() if value < TEXT} == {}


@pytest.mark.parametrize("scheme", SCHEMES)
def test_every_line_and_frame_has_enough_contrast(scheme: str) -> None:
    found = colours(scheme)
    assert {under for under in ("paper", "card") if contrast(found["edge"], found[under]) < GRAPHIC} == set()


def test_both_schemes_have_every_colour() -> None:
    assert set(re.findall(r"--([\w-]+): #", CSS.split("prefers-color-scheme: dark")[1].split("}")[0])) == set(
        colours("light")
    )


def test_every_tone_has_its_colours() -> None:
    assert [name for name in TONES if not re.search(rf"\.{name}\b[^{{}}]*\{{[^}}]*--tone-ink", CSS)] == []
