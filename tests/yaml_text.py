"""YAML of tests, read and written by libyaml.

`yaml.safe_load` and `yaml.safe_dump` do the same in Python, and take ten times as long.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import yaml

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator


def read(text: str) -> Any:  # noqa: ANN401 - what a document holds
    """Return the one document of a text."""
    return yaml.load(text, Loader=yaml.CSafeLoader)


def read_all(text: str) -> Iterator[Any]:
    """Return the documents of a text."""
    return yaml.load_all(text, Loader=yaml.CSafeLoader)


def write(document: object) -> str:
    """Return a document as text, its keys in alphabetical order."""
    text: str = yaml.dump(document, Dumper=yaml.CSafeDumper)
    return text


def write_all(documents: Iterable[object], *, sort_keys: bool = True) -> str:
    """Return documents as one text."""
    text: str = yaml.dump_all(documents, Dumper=yaml.CSafeDumper, sort_keys=sort_keys)
    return text
