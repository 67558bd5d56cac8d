"""Each example runs as its README says, with a running lab in the place of the reader's."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.docs.pages import PAGES, ROOT, links, read
from tests.examples.conftest import EXAMPLES, NAMES
from tests.examples.readme import play

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


@pytest.mark.parametrize("name", NAMES)
def test_an_example_runs_as_its_readme_says(
    name: str, copied: Callable[[str], Path], environment: dict[str, str]
) -> None:
    play(f"examples/{name}/README.md", copied(name), environment)


def test_there_are_the_eight_examples_and_each_has_the_same_parts() -> None:
    assert len(NAMES) == 8
    for name in NAMES:
        page = f"examples/{name}/README.md"
        assert page in PAGES
        text = read(page)
        assert [part for part in ("## What you need", "## Make it yours") if part not in text] == [], page


@pytest.mark.parametrize("page", ["examples/README.md", "docs/examples.md"])
def test_every_example_is_in_the_table(page: str) -> None:
    linked = {(ROOT / page).parent.joinpath(target.partition("#")[0]).resolve() for target in links(page)}
    folders = [folder for folder in EXAMPLES.iterdir() if folder.is_dir() and folder.name != "__pycache__"]
    missing = [
        folder.name
        for folder in folders
        if folder not in linked and folder / "README.md" not in linked and folder.name != "event-shapes"
    ]
    assert missing == []
    assert len(folders) == len(NAMES) + 1
