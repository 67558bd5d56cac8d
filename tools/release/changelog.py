"""CHANGELOG.md in the form of Keep a Changelog: checked, and closed for a version.

https://keepachangelog.com/en/1.1.0/
"""

from __future__ import annotations

import datetime
import re
from dataclasses import dataclass

KINDS = ("Added", "Changed", "Deprecated", "Removed", "Fixed", "Security")
"""Kinds of change, in their order."""

_HEADING = re.compile(r"^## (.*)$", re.MULTILINE)
_RELEASED = re.compile(r"\[(\d+\.\d+\.\d+)\] - (\d{4}-\d{2}-\d{2})")
_LINK = re.compile(r"^\[([^]]+)\]: (\S+)$", re.MULTILINE)
_UNRELEASED = "Unreleased"


@dataclass(frozen=True)
class Section:
    """What changed in one version.

    Attributes:
        version: the version, or ``Unreleased``.
        date: the day of the release, empty for what is not released.
        body: the text below the heading.
    """

    version: str
    date: str
    body: str


def sections(text: str) -> list[Section]:
    """Return the sections in the order of the file; a heading of another form keeps its text as the version."""
    headings = list(_HEADING.finditer(text))
    ends = [*(heading.start() for heading in headings[1:]), len(text)]
    found = []
    for heading, end in zip(headings, ends, strict=True):
        body = _LINK.sub("", text[heading.end() : end]).strip()
        released = _RELEASED.fullmatch(heading[1])
        version, date = (released[1], released[2]) if released else (heading[1].strip("[]"), "")
        found.append(Section(version, date, body))
    return found


def problems(text: str, version: str) -> list[str]:
    """Return what is wrong with a changelog, one sentence each.

    Args:
        text: the changelog.
        version: the version of the project, which must have a section.
    """
    found = sections(text)
    links = dict(_LINK.findall(text))
    names = [section.version for section in found]
    wrong = [
        f"CHANGELOG.md has two sections {name}" for name in sorted({n for n in names if names.count(n) > 1})
    ]
    if names[:1] != [_UNRELEASED]:
        wrong.append("CHANGELOG.md must begin with the section [Unreleased]")
    if version not in names:
        wrong.append(f"CHANGELOG.md has no section for version {version}")
    for section in found:
        if section.version != _UNRELEASED:
            wrong += _heading_problems(section)
        if section.version not in links:
            wrong.append(f"CHANGELOG.md has no link for [{section.version}] at its end")
        wrong += _kind_problems(section)
    released = [section for section in found if _is_date(section.date)]
    order = [(tuple(map(int, section.version.split("."))), section.date) for section in released]
    if order != sorted(order, reverse=True):
        wrong.append("CHANGELOG.md has its versions or days out of order; the newest is first")
    return wrong


def close(text: str, version: str, date: str) -> str:
    """Return the changelog with what is unreleased as the section of a version.

    Args:
        text: a changelog without problems.
        version: the new version.
        date: the day of the release, ``YYYY-MM-DD``.

    Raises:
        ValueError: nothing is unreleased, or the version has a section already.
    """
    unreleased, *older = sections(text)
    if not unreleased.body:
        raise ValueError("nothing is under [Unreleased] in CHANGELOG.md; there is nothing to release")
    if version in [section.version for section in older]:
        raise ValueError(f"CHANGELOG.md has a section for version {version} already")
    compare = dict(_LINK.findall(text))[_UNRELEASED]
    base, _, span = compare.rpartition("/compare/")
    previous = span.partition("...")[0]
    links = (
        f"[{_UNRELEASED}]: {base}/compare/v{version}...HEAD\n"
        f"[{version}]: {base}/compare/{previous}...v{version}"
    )
    closed = text.replace(f"## [{_UNRELEASED}]", f"## [{_UNRELEASED}]\n\n## [{version}] - {date}", 1)
    return closed.replace(f"[{_UNRELEASED}]: {compare}", links, 1)


def notes(text: str, version: str) -> str:
    """Return what changed in a version, for the page of its release.

    Raises:
        ValueError: the changelog has no such version.
    """
    for section in sections(text):
        if section.version == version:
            return section.body + "\n"
    raise ValueError(f"CHANGELOG.md has no section for version {version}")


def _heading_problems(section: Section) -> list[str]:
    if not section.date:
        return [f"the heading of {section.version!r} in CHANGELOG.md must be `## [X.Y.Z] - YYYY-MM-DD`"]
    return [] if _is_date(section.date) else [f"{section.date} in CHANGELOG.md is no day"]


def _kind_problems(section: Section) -> list[str]:
    kinds = re.findall(r"^### (.+)$", section.body, re.MULTILINE)
    if kinds == [kind for kind in KINDS if kind in kinds]:
        return []
    allowed = ", ".join(KINDS)
    return [
        f"{section.version} in CHANGELOG.md has {', '.join(kinds)}; allowed, once each, in this order: {allowed}"
    ]


def _is_date(text: str) -> bool:
    try:
        datetime.date.fromisoformat(text)
    except ValueError:
        return False
    return True
