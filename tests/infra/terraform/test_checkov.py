"""checkov finds nothing in infra/terraform but what skips.toml gives a reason for."""

from __future__ import annotations

import re

import pytest

from tests.infra.terraform.checkov_scan import (
    REQUIREMENTS,
    TERRAFORM,
    Finding,
    is_installed,
    problems,
    scan,
    skips,
)


def test_checkov_finds_nothing_but_what_has_a_reason_and_every_reason_is_needed() -> None:
    if not is_installed():
        pytest.skip("checkov is not installed (make checkov): whether its rules find something is not shown")
    assert problems(scan(), skips()) == []


def test_each_skip_names_a_resource_that_is_there_and_gives_one_sentence() -> None:
    text = "\n".join(file.read_text() for file in TERRAFORM.rglob("*.tf"))
    for skip, reason in skips().items():
        kind, name = skip.resource.split(".")
        assert f'resource "{kind}" "{name}"' in text, skip
        assert re.fullmatch(r"[A-Z][^.]*( [a-z]+\.[a-z]+[^.]*)*\.", reason), reason


def test_a_finding_without_a_reason_and_a_reason_without_a_finding_are_reported() -> None:
    found, kept = {Finding("A", "x.y"): "f.tf:1: why"}, {Finding("B", "x.y"): "Because."}
    assert problems(found, kept) == [
        "A x.y: f.tf:1: why",
        "B x.y: is no finding any more; take it out of skips.toml",
    ]
    assert problems(found, {Finding("A", "x.y"): "Because."}) == []


def test_checkov_is_pinned_with_hashes() -> None:
    pinned = re.findall(r"^([\w.-]+)==\S+ \\\n +--hash=sha256:", REQUIREMENTS.read_text(), re.MULTILINE)
    assert "checkov" in pinned
    assert len(pinned) == len(re.findall(r"^[\w.-]+==", REQUIREMENTS.read_text(), re.MULTILINE))
