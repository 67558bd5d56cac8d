"""What is changed of a page on its way to the site, and what is not."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

import pytest

from docs.site.anchors import github_slug
from docs.site.build import write_sources
from docs.site.links import plain_pipes, rewritten
from docs.site.listings import SiteError
from docs.site.navigation import mkdocs_navigation, navigation
from docs.site.sources import pages, tracked
from tests.docs.pages import anchors

if TYPE_CHECKING:
    from pathlib import Path

HOME = """# Home

## I call a service

| page | for |
| --- | --- |
| [Keys](keys.md) | everybody |
| [Decisions](decisions/README.md) | everybody |
"""
KEYS = """# Keys

[a file](../infra/values.env), [a folder](../infra), [a package](../sdk), [a page](decisions/one.md#why),
[elsewhere](https://example.com/x), ![a picture](images/way.svg), `[code](../infra)`

```text
[code](../infra)
```
"""


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A small repository."""
    files = {
        "docs/README.md": HOME,
        "docs/keys.md": KEYS,
        "docs/decisions/README.md": "# Decisions\n",
        "docs/decisions/one.md": "# One\n\n## Why\n",
        "docs/images/way.svg": "<svg/>",
        "infra/values.env": "A=1\n",
        "sdk/README.md": "# SDK\n",
        "tests/README.md": "# No page of the site\n",
        "README.md": "# Top\n",
    }
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    subprocess.run(["git", "init", "-q", str(tmp_path)], check=True)
    return tmp_path


def sources(checkout: Path, repository: str = "") -> dict[str, str]:
    directory = checkout / "build/sources"
    (checkout / ".gitignore").write_text("build/\n")
    write_sources(directory, root=checkout, repository=repository)
    return {path.relative_to(directory).as_posix(): path.read_text() for path in directory.rglob("*.md")}


def test_links_lead_to_pages_of_the_site(checkout: Path) -> None:
    text = sources(checkout)["keys.md"]
    for link in (
        "[a file](files/infra/values.env.md)",
        "[a folder](files/infra.md)",
        "[a package](sdk/README.md)",
        "[a page](decisions/one.md#why)",
        "[elsewhere](https://example.com/x)",
        "![a picture](images/way.svg)",
    ):
        assert link in text


def test_code_stays_as_it_is(checkout: Path) -> None:
    assert sources(checkout)["keys.md"].count("[code](../infra)") == 2


def test_a_linked_file_is_shown_as_a_page(checkout: Path) -> None:
    assert "A=1" in sources(checkout)["files/infra/values.env.md"]


def test_with_the_address_of_the_repository_files_are_linked_there(checkout: Path) -> None:
    written = sources(checkout, repository="https://example.com/blob/main/")
    assert "[a file](https://example.com/blob/main/infra/values.env)" in written["keys.md"]
    assert not [name for name in written if name.startswith("files/")]


def test_a_link_to_nothing_is_an_error_that_names_it(checkout: Path) -> None:
    (checkout / "docs/keys.md").write_text("# Keys\n\n[gone](../infra/gone.env)\n")
    with pytest.raises(SiteError, match=r"infra/gone\.env is linked"):
        sources(checkout)


def test_the_navigation_is_that_of_the_home_page_and_has_every_other_page(checkout: Path) -> None:
    found = pages(tracked(checkout))
    assert mkdocs_navigation(navigation(HOME, found), found) == [
        {"Start": "index.md"},
        {
            "I call a service": [
                {"Keys": "keys.md"},
                {"Decisions": ["decisions/README.md", "decisions/one.md"]},
            ]
        },
        {"Beside the code": [{"sdk": "sdk/README.md"}]},
        {"The project": [{"README": "repository.md"}]},
    ]


def test_a_pipe_in_code_of_a_table_needs_no_backslash() -> None:
    assert plain_pipes("| `a \\|\\| b` | c |\n`a \\| b`") == "| `a || b` | c |\n`a \\| b`"


def test_a_link_keeps_its_anchor_and_its_text() -> None:
    changed = rewritten("[`x`](y.md#z)", "docs/a/b.md", lambda path: f"{path}!", "a/b.md")
    assert changed == "[`x`](../docs/a/y.md!#z)"


@pytest.mark.parametrize(
    "heading", ["The way of an event", "Coverage of the cases: test --coverage", "What's next?"]
)
def test_anchors_are_those_of_github(heading: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tests.docs.pages.read", lambda _: f"## {heading}\n")
    assert anchors("any") == {github_slug(heading, "-")}
