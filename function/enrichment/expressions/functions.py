"""Functions that expressions have beyond those of JMESPath.

Each gives null for null, so that a missing field needs no condition around it.
"""

import base64
import hashlib
import re
from collections.abc import Callable, Mapping
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

import msgspec

from enrichment.documents import strict_json
from enrichment.documents.instant import from_unix, parse_in_form, parse_timestamp, rfc3339
from enrichment.expressions.errors import EvaluationError
from enrichment.expressions.pseudonyms import pseudonym

_PYTHON: Mapping[str, tuple[type, ...]] = {
    "string": (str,),
    "number": (int, float),
    "object": (dict,),
    "array": (list,),
}


@dataclass(frozen=True, slots=True)
class Function:
    """One function.

    Args:
        call: What it does with its arguments, none of them null.
        parameters: Name and JSON type of each argument; types are separated by `|`.
        returns: The JSON type of its result, empty where it depends on the argument.
        about: What it gives, in a few words.
    """

    call: Callable[..., object]
    parameters: tuple[tuple[str, str], ...]
    returns: str
    about: str

    def checked_call(self, name: str, arguments: list[Any]) -> object:
        """Call the function.

        Raises:
            EvaluationError: An argument has the wrong type, or nothing can be made of it.
        """
        if arguments and arguments[0] is None:
            return None
        for (parameter, types), argument in zip(self.parameters, arguments, strict=True):
            wanted = types.split("|")
            if isinstance(argument, bool) or not any(isinstance(argument, _PYTHON[kind]) for kind in wanted):
                raise EvaluationError(
                    f"calls {name}() with {kind_of(argument)} as {parameter}, which must be {' or '.join(wanted)}"
                )
        try:
            return self.call(*arguments)
        except EvaluationError:
            raise
        except (ValueError, ArithmeticError) as error:
            raise EvaluationError(f"calls {name}(), and {error}") from None


def kind_of(value: object) -> str:
    """Return the JSON type of a value."""
    match value:
        case None:
            return "null"
        case bool():
            return "boolean"
        case int() | float():
            return "number"
        case str():
            return "string"
        case list():
            return "array"
        case dict():
            return "object"
    return "expression"


_PARSED: ContextVar[list[str] | None] = ContextVar("parsed", default=None)


def texts_parsed_by(evaluate: Callable[[], object]) -> list[str]:
    """Return the texts that `from_json` reads during an evaluation.

    JSON is read with doubles, and a column of another type needs the digits that a number was written with.

    Args:
        evaluate: Evaluates an expression.
    """
    texts: list[str] = []
    token = _PARSED.set(texts)
    try:
        evaluate()
    finally:
        _PARSED.reset(token)
    return texts


def _from_json(text: str) -> object:
    if (texts := _PARSED.get()) is not None:
        texts.append(text)
    try:
        return strict_json.parse(text.encode())
    except (strict_json.NotJsonError, strict_json.NotValidError) as error:
        raise EvaluationError(f"calls from_json() with a text that is not JSON: {error}") from None


def _from_unix(unit: str) -> Callable[[int | float], str]:
    return lambda number: rfc3339(from_unix(number, unit))


def _date(text: str) -> str:
    return parse_timestamp(text).date().isoformat()


_MAX_TIME_LENGTH = 200


def _parse_time(text: str, form: str) -> str:
    if len(text) > _MAX_TIME_LENGTH:
        raise ValueError("the text is too long for a time")
    return rfc3339(parse_in_form(text, form))


_MAX_PARTS = 100_000  # an event of 10 MB could ask for a list of ten million


def _split(text: str, separator: str) -> list[str]:
    if not separator:
        raise ValueError("the separator is empty")
    if text.count(separator) >= _MAX_PARTS:
        raise ValueError(f"the text has more than {_MAX_PARTS} parts")
    return text.split(separator)


def _truncate(text: str, length: int | float) -> str:
    if length != int(length) or length < 0:
        raise ValueError("the length is no whole number from 0")
    return text[: int(length)]


def _omit(document: dict[str, object], names: list[object] | str) -> dict[str, object]:
    without = {names} if isinstance(names, str) else {name for name in names if isinstance(name, str)}
    return {key: value for key, value in document.items() if key not in without}


_URL_SAFE = str.maketrans("-_", "+/")


def _base64_decode(text: str) -> str:
    try:
        return base64.b64decode(text.translate(_URL_SAFE) + "=" * (-len(text) % 4), validate=True).decode()
    except UnicodeDecodeError:
        raise ValueError("what the base64 holds is no text in UTF-8") from None
    except ValueError:
        raise ValueError("the text is not base64") from None


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


_TEXT = (("text", "string"),)
_NUMBER = (("number", "number"),)

FUNCTIONS: Mapping[str, Function] = {
    "from_json": Function(_from_json, _TEXT, "", "the value that a JSON text holds"),
    "from_unix_s": Function(
        _from_unix("s"), _NUMBER, "string", "the time so many seconds after 1970, as text"
    ),
    "from_unix_ms": Function(_from_unix("ms"), _NUMBER, "string", "the same for milliseconds"),
    "from_unix_us": Function(_from_unix("us"), _NUMBER, "string", "the same for microseconds"),
    "from_unix_ns": Function(_from_unix("ns"), _NUMBER, "string", "the same for nanoseconds"),
    "date": Function(_date, _TEXT, "string", "the date of a time in UTC, `2026-03-01`"),
    "parse_time": Function(
        _parse_time,
        (*_TEXT, ("format", "string")),
        "string",
        "the time that a text holds in a form of Python's `strptime`, in UTC",
    ),
    "lower": Function(str.lower, _TEXT, "string", "the text in lower case"),
    "split": Function(
        _split, (*_TEXT, ("separator", "string")), "array", "the parts of a text between separators"
    ),
    "truncate": Function(
        _truncate, (*_TEXT, ("n", "number")), "string", "the first `n` characters of a text"
    ),
    "omit": Function(
        _omit,
        (("object", "object"), ("names", "array|string")),
        "object",
        "the object without the keys in `names`",
    ),
    "base64_decode": Function(_base64_decode, _TEXT, "string", "the text that a base64 text holds"),
    "sha256": Function(_sha256, _TEXT, "string", "the SHA-256 of a text, 64 hexadecimal digits"),
    "hmac_sha256": Function(
        pseudonym, _TEXT, "string", "the same, keyed: a pseudonym that only the key's owner can test"
    ),
}
"""The functions by name."""

_INTEGER = re.compile(r"-?\d{1,400}", re.ASCII)
_DECIMAL = re.compile(r"-?\d{1,400}(\.\d{1,400})?([eE][+-]?\d{1,4})?", re.ASCII)


def _to_string(value: object) -> str | None:
    """Return a text as it is, and anything else as JSON.

    JMESPath's own makes the text `null` out of null, which would fill a column with a word, and escapes what is not
    ASCII.
    """
    return value if value is None or isinstance(value, str) else msgspec.json.encode(value).decode()


def _to_number(value: object) -> int | float | None:
    """Return the number that a text holds in JSON's notation, None where it holds none.

    Takes the place of JMESPath's own, which also takes `nan`, `inf`, `1_000`, and digits without end.
    """
    if isinstance(value, int | float) and not isinstance(value, bool):
        return value
    if not isinstance(value, str):
        return None
    if _INTEGER.fullmatch(value):
        return int(value)
    if _DECIMAL.fullmatch(value) and abs(number := float(value)) != float("inf"):
        return number
    return None


REPLACED: Mapping[str, Callable[[Any], object]] = {"to_number": _to_number, "to_string": _to_string}
"""Functions of JMESPath that mean the same here with fewer surprises."""
