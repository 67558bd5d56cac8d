"""Digits of numbers with a point or an exponent, where a double does not hold them and their column does.

JSON is read with doubles, which hold about 16 digits. NUMERIC has 38 of them. So the digits of a long number are
taken from the text that it stands in.
"""

from typing import TYPE_CHECKING

from enrichment.settings.model import Column, TableField

if TYPE_CHECKING:
    from enrichment.documents.long_numbers import LongNumbers

_EXACT_BELOW = 2.0**52  # units of the last digit: below it, any two of them are two doubles
_SCALES = {"INTEGER": 0, "NUMERIC": 9, "BIGNUMERIC": 38, "STRING": 38}


class TwoNumbersError(ValueError):
    """Two numbers differ beyond what a double holds, so that it is not known which of them a value was."""


def may_be_lost(column: Column | TableField, value: object) -> bool:
    """Return whether a value has a number for such a column that a double may not hold."""
    if isinstance(value, list):
        return any(may_be_lost(column, item) for item in value)
    if column.type == "RECORD":
        return isinstance(value, dict) and any(
            may_be_lost(field, value.get(field.name)) for field in column.fields
        )
    scale = _SCALES.get(column.type)
    return scale is not None and isinstance(value, float) and abs(value) * 10.0**scale >= _EXACT_BELOW


def restored(column: Column | TableField, value: object, numbers: "LongNumbers") -> object:
    """Return a value with all digits of its numbers for such a column.

    Args:
        column: The column, or the field of a record.
        value: What there is for it.
        numbers: The long numbers of the event and of what was looked up for it.

    Raises:
        TwoNumbersError: It is not known which digits a number has.
    """
    if not may_be_lost(column, value):
        return value
    if isinstance(value, list):
        return [restored(column, item, numbers) for item in value]
    if isinstance(value, dict):
        fields = {field.name: field for field in column.fields}
        return {
            key: restored(fields[key], inner, numbers) if key in fields else inner
            for key, inner in value.items()
        }
    if not isinstance(value, float) or value not in numbers:
        return value
    digits = numbers[value]
    if digits is None:
        raise TwoNumbersError
    return digits
