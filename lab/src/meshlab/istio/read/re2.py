r"""Syntax check of regular expressions: what Istio and Envoy (both RE2) refuse is refused here, too.

Python's own expressions differ both ways: they have lookarounds and backreferences, RE2 has `\pN` and `\z`.
So the syntax is read by hand (https://github.com/google/re2/wiki/Syntax).
"""

from __future__ import annotations

import re

__all__ = ["quoted", "regex_problem"]

_MAX_LENGTH = 1024
_MAX_REPEAT = 1000
_ESCAPABLE = frozenset("aftnrvAbBzdDsSwWC")
_GROUP = re.compile(r"\?(?:P?<[A-Za-z0-9_]+>|[imsU]*(?:-[imsU]+)?[:)])")
_COUNT = re.compile(r"\{(\d+)(?:(,)(\d*))?\}")
_HEX = re.compile(r"x(?:[0-9A-Fa-f]{2}|\{[0-9A-Fa-f]+\})")
_UNICODE_CLASS = re.compile(r"[pP](?:[A-Za-z]|\{\^?[A-Za-z_]+\})")
_OCTAL = re.compile("0[0-7]{0,2}|[1-7][0-7]{1,2}")


def regex_problem(pattern: str) -> str | None:
    """Return what is wrong with a regular expression, `None` where Istio's validation accepts it.

    Follows `pkg/config/validation/validation.go#validateStringRegexp`: not empty, at most 1024 bytes, RE2's syntax.
    """
    if not pattern:
        return "an empty regular expression is refused by Istio; write one, or leave the field out."
    if len(pattern.encode()) > _MAX_LENGTH:
        return f"the regular expression is longer than {_MAX_LENGTH} bytes; Istio refuses it."
    try:
        _Scanner(pattern).scan()
    except ValueError as error:
        return f"{pattern!r} is not a regular expression of RE2: {error}."
    return None


def quoted(text: str) -> str:
    """Return an expression that matches a text alone (Go's `regexp.QuoteMeta`)."""
    return re.sub(r"([\\.+*?()|\[\]{}^$])", r"\\\1", text)


class _Scanner:
    def __init__(self, pattern: str) -> None:
        self._text, self._at = pattern, 0
        # Whether something stands here that may be repeated, and whether it is repeated already.
        self._operand = self._repeated = False
        self._depth = 0

    def scan(self) -> None:
        while self._at < len(self._text):
            self._step(self._text[self._at])
        if self._depth:
            raise ValueError("a parenthesis is not closed")

    def _step(self, char: str) -> None:
        match char:
            case "\\":
                self._at += 1
                self._escape(in_class=False)
                self._operand, self._repeated = True, False
            case "[":
                self._class()
                self._operand, self._repeated = True, False
            case "(":
                self._open()
            case ")":
                self._at += 1
                self._depth -= 1
                if self._depth < 0:
                    raise ValueError("a parenthesis is closed that was not opened")
                self._operand, self._repeated = True, False
            case "|":
                self._at += 1
                self._operand = self._repeated = False
            case "*" | "+" | "?":
                self._repeat(1)
            case "{" if count := _COUNT.match(self._text, self._at):
                low, comma, high = count.groups()
                numbers = [int(low), int(high) if comma and high else int(low)]
                if max(numbers) > _MAX_REPEAT or numbers[0] > numbers[1]:
                    raise ValueError(f"{count.group()} is not a count from 0 to {_MAX_REPEAT}")
                self._repeat(len(count.group()))
            case _:
                self._at += 1
                self._operand, self._repeated = True, False

    def _repeat(self, length: int) -> None:
        operator = self._text[self._at : self._at + length]
        if not self._operand:
            raise ValueError(f"nothing stands before {operator} that it could repeat")
        if self._repeated:
            raise ValueError(f"{operator} repeats what is repeated already")
        self._at += length
        if self._text[self._at : self._at + 1] == "?":
            self._at += 1
        self._repeated = True

    def _open(self) -> None:
        self._at += 1
        self._operand = self._repeated = False
        if self._text[self._at : self._at + 1] != "?":
            self._depth += 1
            return
        group = _GROUP.match(self._text, self._at)
        if not group:
            start = self._text[self._at - 1 : self._at + 3]
            raise ValueError(f"{start} is unknown to it; RE2 has no lookaround")
        self._at = group.end()
        if not group.group().endswith(")"):
            self._depth += 1

    def _escape(self, *, in_class: bool) -> None:
        rest = self._text[self._at :]
        if not rest:
            raise ValueError("it ends with a backslash")
        for longer in (_HEX, _UNICODE_CLASS, _OCTAL):
            if found := longer.match(rest):
                self._at += found.end()
                return
        char = rest[0]
        if char == "Q" and not in_class:
            end = rest.find("\\E")
            self._at += len(rest) if end < 0 else end + 2
            return
        if char.isdigit():
            raise ValueError(f"\\{char} is a backreference, which RE2 does not have")
        if (char.isalnum() or ord(char) > 127) and char not in _ESCAPABLE:
            raise ValueError(f"\\{char} is unknown to it")
        self._at += 1

    def _class(self) -> None:
        self._at += 1
        if self._text[self._at : self._at + 1] == "^":
            self._at += 1
        start = self._at
        while self._at < len(self._text):
            char = self._text[self._at]
            if char == "]" and self._at > start:
                self._at += 1
                return
            if char == "[" and (named := re.compile(r"\[:\^?[a-z]+:\]").match(self._text, self._at)):
                self._at = named.end()
            elif char == "\\":
                self._at += 1
                self._escape(in_class=True)
            else:
                self._at += 1
                low, high = char, self._text[self._at + 1 : self._at + 2]
                is_range = self._text[self._at : self._at + 1] == "-" and high not in ("", "]", "\\", "[")
                if is_range and low > high:
                    raise ValueError(f"the range {low}-{high} is backwards")
        raise ValueError("a bracket is not closed")
