"""One browser for the tests of reports."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.lab.html_report.browser import NAMES, Browser, chromium

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="session")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    """Chromium; tests that ask for it are skipped where there is none."""
    program = chromium()
    if program is None:
        pytest.skip(f"none of {', '.join(NAMES)} is on the PATH: `apt-get install chromium` brings it")
    found = Browser(program, tmp_path_factory.mktemp("chromium"))
    yield found
    found.close()
