"""Every kind of finding: its id, its weight, why it matters and what to do. The words are in ``findings.toml``."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import TYPE_CHECKING

from .finding import Kind, Severity

if TYPE_CHECKING:
    from collections.abc import Mapping

_FILE = Path(__file__).with_name("findings.toml")


def _read() -> dict[str, Kind]:
    rows = tomllib.loads(_FILE.read_text(encoding="utf-8"))
    return {
        name: Kind(name, Severity(row["severity"]), row["group"], row["title"], row["why"], row["action"])
        for name, row in rows.items()
    }


KINDS: Mapping[str, Kind] = _read()
"""Kinds by their id, in the order of the documentation."""
