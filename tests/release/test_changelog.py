"""CHANGELOG.md keeps the form of Keep a Changelog, and a release closes it."""

from __future__ import annotations

import pytest

from tools import ROOT
from tools.release import changelog, version

GOOD = """\
# Changes

## [Unreleased]

### Added

- a thing

## [0.1.0] - 2026-01-02

### Fixed

- the first

[Unreleased]: https://example.com/x/compare/v0.1.0...HEAD
[0.1.0]: https://example.com/x/releases/tag/v0.1.0
"""


def test_the_changelog_of_the_project_has_the_form_and_the_version() -> None:
    assert changelog.problems((ROOT / "CHANGELOG.md").read_text(), version.current()) == []


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        ("## [Unreleased]", "## [0.2.0] - 2026-03-01", "must begin with the section [Unreleased]"),
        ("## [0.1.0] - 2026-01-02", "## 0.1.0", "must be `## [X.Y.Z] - YYYY-MM-DD`"),
        ("2026-01-02", "2026-13-02", "2026-13-02 in CHANGELOG.md is no day"),
        ("## [0.1.0]", "## [0.0.9]", "has no section for version 0.1.0"),
        ("[0.1.0]: https", "[0.1.1]: https", "has no link for [0.1.0]"),
        ("### Added", "### News", "has News; allowed"),
        ("### Added", "### Fixed\n\n- b\n\n### Added", "has Fixed, Added; allowed"),
        ("[Unreleased]: ", "## [0.2.0] - 2026-03-01\n\n[0.2.0]: https://x\n[Unreleased]: ", "out of order"),
        ("[Unreleased]: ", "## [0.1.0] - 2026-01-02\n\n[Unreleased]: ", "has two sections 0.1.0"),
    ],
)
def test_another_form_is_found(old: str, new: str, problem: str) -> None:
    assert changelog.problems(GOOD, "0.1.0") == []
    assert problem in "\n".join(changelog.problems(GOOD.replace(old, new, 1), "0.1.0"))


def test_a_release_closes_what_is_unreleased() -> None:
    closed = changelog.close(GOOD, "0.2.0", "2026-03-01")
    assert changelog.problems(closed, "0.2.0") == []
    assert [section.version for section in changelog.sections(closed)] == ["Unreleased", "0.2.0", "0.1.0"]
    assert changelog.notes(closed, "0.2.0") == "### Added\n\n- a thing\n"
    assert "[Unreleased]: https://example.com/x/compare/v0.2.0...HEAD" in closed
    assert "[0.2.0]: https://example.com/x/compare/v0.1.0...v0.2.0" in closed


def test_nothing_to_release_and_a_version_that_exists_are_refused() -> None:
    with pytest.raises(ValueError, match="nothing is under"):
        changelog.close(GOOD.replace("### Added\n\n- a thing\n", ""), "0.2.0", "2026-03-01")
    with pytest.raises(ValueError, match="has a section for version"):
        changelog.close(GOOD, "0.1.0", "2026-03-01")
    with pytest.raises(ValueError, match="no section for version"):
        changelog.notes(GOOD, "9.9.9")
