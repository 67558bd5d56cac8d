r"""Types of the contract's values: what a value may be, why one is refused, and what to write in its place.

A pattern is read alike by Python, by ECMAScript (JSON Schema) and by RE2 (Terraform): no look-around, no `\d` and `\w`.
The function imports this module at its start, so it needs little beside `re`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = [
    "ACK_DEADLINE_S",
    "FULL_TOPIC",
    "FUNCTION_TIMEOUT_S",
    "OCTET",
    "PORT",
    "PRIVATE_START",
    "PROJECT_ID",
    "PROJECT_OR_NUMBER",
    "PUBSUB_NAME",
    "PUBSUB_RESERVED",
    "RECREATED_HOLD_S",
    "SUCCESS_SAMPLE",
    "TABLE",
    "Type",
    "choice",
    "joined",
    "list_of",
    "private_range",
    "shown",
    "whole",
]

_LONGEST_SHOWN = 120


@dataclass(frozen=True)
class Type:
    """What a value may be.

    Attributes:
        noun: What the value is, with its article: "a region".
        form: What to write, to follow "Write": "a region, such as europe-west1".
        pattern: What the whole value matches.
        hidden: Patterns that no value may begin with, each with why.
        longest: The longest value that is taken, in characters; 0 for no limit.
        least: The least number; with `most`, the value is a whole number.
        most: The greatest number.
        check: Returns why a value is refused although it may match; empty for nothing.
        terraform: Terraform's type of the variable.
        conditions: Further conditions of Terraform, with `VALUE` in place of the variable.
    """

    noun: str
    form: str
    pattern: str
    hidden: tuple[tuple[str, str], ...] = ()
    longest: int = 0
    least: int = 0
    most: int = 0
    check: Callable[[str], str] | None = None
    terraform: Literal["string", "number", "list(string)"] = "string"
    conditions: tuple[str, ...] = ()

    def problem(self, value: str) -> str:
        """Return what is wrong with a value, as `is 'x', which is no region. Write ...`; empty for nothing.

        Args:
            value: The value, which is not empty.
        """
        why = self._why(value)
        return f"is {shown(value)}{why}. Write {self.form}." if why else ""

    def reason(self, value: str) -> str:
        """Return what `problem` does where there is a reason beyond the pattern; else empty."""
        why = self._reason(value)
        return f"is {shown(value)}: {why}. Write {self.form}." if why else ""

    def takes(self, value: str) -> bool:
        """Return whether a value is of this type."""
        return not self._why(value)

    def _why(self, value: str) -> str:
        if why := self._reason(value):
            return f": {why}"
        if self.longest and len(value) > self.longest:
            return f": it has {len(value)} characters, and {self.longest} are the most"
        return "" if re.fullmatch(self.pattern, value) else f", which is not {self.noun}"

    def _reason(self, value: str) -> str:
        if self.check is not None and (why := self.check(value)):
            return why
        return next((why for start, why in self.hidden if re.match(start, value)), "")


def shown(value: str) -> str:
    """Return a value as an error message quotes it: on one line, and not too long."""
    return ascii(value if len(value) <= _LONGEST_SHOWN else f"{value[:_LONGEST_SHOWN]}...")


def choice(*values: str) -> Type:
    """Return the type of a value that is one of a few words."""
    words = f"{', '.join(values[:-1])} or {values[-1]}"
    return Type(f"one of {', '.join(values)}", words, "|".join(value.replace(".", "[.]") for value in values))


def whole(least: int, most: int, unit: str, whose: str = "") -> Type:
    """Return the type of a whole number.

    Args:
        least: The least number.
        most: The greatest number.
        unit: What is counted, such as "seconds".
        whose: Whose limits these are, such as "Pub/Sub's"; empty for none worth naming.
    """
    limits = f" ({whose} limits)" if whose else ""
    return Type(
        f"a whole number of {unit} from {least} to {most}{limits}",
        f"a whole number of {unit} from {least} to {most}",
        _numbers(least, most),
        least=least,
        most=most,
        terraform="number",
    )


def list_of(item: Type, noun: str, form: str) -> Type:
    """Return the type of several values that are separated by commas.

    Args:
        item: The type of each.
        noun: What they are, with the article.
        form: What to write.
    """

    def check(value: str) -> str:
        for number, part in enumerate(value.split(","), start=1):
            if not item.takes(part):
                return f"number {number}, {shown(part)}, is not {item.noun}"
        return ""

    return Type(
        noun, form, f"(?:{item.pattern})(?:,(?:{item.pattern}))*", check=check, terraform="list(string)"
    )


def joined(*types: Type, noun: str, form: str) -> Type:
    """Return the type of a value that is of one of several types."""
    return Type(noun, form, "|".join(f"(?:{each.pattern})" for each in types))


def private_range(widest: int, narrowest: int, stands_for: str) -> Type:
    """Return the type of a range of private addresses.

    Args:
        widest: The shortest prefix that is taken.
        narrowest: The longest prefix that is taken.
        stands_for: What the range stands for, in words.
    """

    def check(value: str) -> str:
        from meshcontract.ranges import private_range_problem, too_narrow

        if not re.fullmatch("[0-9.]+/[0-9]+", value):
            return ""  # the pattern says it
        problem = private_range_problem(value, widest, stands_for) or too_narrow(value, narrowest)
        # What to name instead stands in the form.
        return problem.partition(";")[0].rstrip(".").replace(f"{value} ", "it ", 1)

    lengths = "|".join(str(length) for length in range(widest, narrowest + 1))
    return Type(
        "a range of private addresses",
        f"the range of {stands_for}, such as 10.8.0.0/{max(widest, min(26, narrowest))}",
        rf"{PRIVATE_START}(?:[.]{OCTET}){{2}}/(?:{lengths})",
        check=check,
        # `cidrsubnet` gives the range with its host bits cleared.
        conditions=("try(cidrsubnet(VALUE, 0, 0) == VALUE, false)",),
    )


def _numbers(least: int, most: int) -> str:
    """Return a pattern for the whole numbers of a range, without leading zeros.

    The range is cut where the number of digits changes, and then at powers of ten, until each part is a row of digit
    classes.
    """
    parts: list[str] = []
    low = least
    while low <= most:
        # The largest power of ten that divides `low`: every number below `low + size` has the same digits before it.
        size = 1
        while len(str(size * 10)) <= len(str(low)) and low % (size * 10) == 0 and low + size * 10 - 1 <= most:
            size *= 10
        digit = low // size % 10
        count = max(1, min(9 - digit + 1, (most + 1 - low) // size))
        before = str(low // (size * 10)) if low >= size * 10 else ""
        digits = str(digit) if count == 1 else f"[{digit}-{digit + count - 1}]"
        parts.append(f"{before}{digits}{'[0-9]' * (len(str(size)) - 1)}")
        low += size * count
    return "|".join(parts)


# One number of an IPv4 address, without leading zeros: some programs read those as octal.
OCTET = f"(?:{_numbers(0, 255)})"
PORT = f"(?:{_numbers(1, 65535)})"
# RFC 1918, RFC 6598, RFC 2544 and RFC 1112 (class E): what a VPC of Google takes as private IPv4 addresses. 255.0.0.0/8
# is left out, because its last address is the broadcast address.
# https://docs.cloud.google.com/vpc/docs/subnets#valid-ranges
PRIVATE_START = (
    f"(?:10[.]{OCTET}|172[.](?:1[6-9]|2[0-9]|3[01])|192[.]168|100[.](?:6[4-9]|[7-9][0-9]|1[01][0-9]|12[0-7])"
    f"|198[.]1[89]|(?:24[0-9]|25[0-4])[.]{OCTET})"
)

# Types that the function checks at each of its starts are here, so that it loads no other module of this package.

# https://cloud.google.com/resource-manager/docs/creating-managing-projects
PROJECT_ID = "[a-z][a-z0-9-]{4,28}[a-z0-9]"
PROJECT_OR_NUMBER = f"(?:{PROJECT_ID}|[0-9]{{6,19}})"
# https://cloud.google.com/pubsub/docs/pubsub-basics#resource_names; without `~`, which a shell may replace.
PUBSUB_NAME = "[A-Za-z][A-Za-z0-9_.+%-]{2,254}"
PUBSUB_RESERVED = (("(?:.*/topics/)?goog", "names that begin with goog are Google's own"),)
FULL_TOPIC = Type(
    "the full name of a topic",
    "projects/PROJECT/topics/TOPIC, with the project's id (6 to 30 characters) or number, and a name of 3 to 255 "
    "characters",
    f"projects/{PROJECT_OR_NUMBER}/topics/{PUBSUB_NAME}",
    hidden=PUBSUB_RESERVED,
)
TABLE = Type(
    "the full name of a table",
    "PROJECT.DATASET.TABLE, with the project's id (6 to 30 characters)",
    f"{PROJECT_ID}[.][A-Za-z0-9_]+[.][A-Za-z0-9_-]+",
    # https://cloud.google.com/bigquery/docs/datasets#dataset-naming: 30, 1024 and 1024 characters, and the dots.
    longest=30 + 1 + 1024 + 1 + 1024,
)


# https://cloud.google.com/pubsub/docs/reference/rest/v1/projects.subscriptions
ACK_DEADLINE_S = whole(10, 600, "seconds", "Pub/Sub's")
# https://docs.cloud.google.com/run/docs/configuring/request-timeout
FUNCTION_TIMEOUT_S = whole(1, 3600, "seconds", "Cloud Run's")
SUCCESS_SAMPLE = whole(1, 1_000_000, "lines")
RECREATED_HOLD_S = whole(0, 3600, "seconds")
