"""Numbers in JSON texts that have more digits than the double that JSON's reader makes of them."""

import re
from collections.abc import Iterable, Mapping
from decimal import Decimal

from enrichment.documents.strict_json import without_strings

_LONG = re.compile(
    r"-?\d[\d.]{15,}(?:[eE][+-]?\d+)?"
)  # a double holds 15 digits, and most numbers of 16 and 17
_NUMBER = re.compile(r"-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?")

LongNumbers = Mapping[float, Decimal | None]
"""The numbers by their double; None where the texts have two that differ beyond it."""


def in_texts(texts: Iterable[str]) -> LongNumbers:
    """Return the long numbers that stand in JSON texts."""
    bare = [without_strings(text) for text in texts]
    found: dict[float, Decimal | None] = {
        float(long[0]): Decimal(long[0]) for text in bare for long in _LONG.finditer(text)
    }
    if found:
        for text in bare:
            for number in _NUMBER.finditer(text):
                value = float(number[0])
                if value in found and found[value] != Decimal(number[0]):
                    found[value] = None
    return found


def merged(one: LongNumbers, other: LongNumbers) -> LongNumbers:
    """Return the long numbers of both."""
    both = {**one, **other}
    return both | {value: None for value in one.keys() & other.keys() if one[value] != other[value]}
