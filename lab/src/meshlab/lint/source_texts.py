"""Texts of the files that findings are in, for the comments in them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from meshlab.named_files import STANDARD_INPUT

if TYPE_CHECKING:
    from collections.abc import Callable

    from meshlab.inputs import Inputs

__all__ = ["text_of", "texts_of"]


def texts_of(inputs: Inputs) -> Callable[[str], str | None]:
    """Return what reads the text of a file or of standard input."""
    return lambda source: inputs.standard_input if source == STANDARD_INPUT else text_of(source)


def text_of(source: str) -> str | None:
    """Return the text of a file; `None` where it is none or cannot be read."""
    try:
        return Path(source).read_text("utf-8-sig")
    except (OSError, ValueError):
        return None
