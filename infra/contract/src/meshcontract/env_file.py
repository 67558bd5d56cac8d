"""Reading of a contract: plain ``KEY=VALUE`` lines that a shell, kustomize and Python read alike."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from meshcontract.errors import ContractError

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["parse"]


def parse(path: Path) -> tuple[dict[str, str], list[str]]:
    """Return the file's keys and values as written, and what is wrong with its lines.

    Quotes are refused because kustomize would keep them as part of the value where a shell drops them.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ContractError(f"cannot read the contract {path}: {error}") from error
    values: dict[str, str] = {}
    wrong: list[str] = []
    for number, line in enumerate(text.splitlines(), start=1):
        if not line.strip() or line.startswith("#"):
            continue
        key, equals, value = line.partition("=")
        if not equals or not re.fullmatch(r"[A-Z][A-Z0-9_]*", key):
            wrong.append(f"line {number}: is not KEY=VALUE")
        elif key in values:
            wrong.append(f"line {number}: {key} is written a second time")
        elif value != value.strip() or value[:1] in {"'", '"'}:
            wrong.append(f"line {number}: {key} has quotes or spaces around its value; write the value bare")
        else:
            values[key] = value
    return values, wrong
