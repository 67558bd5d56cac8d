"""Conditions on texts, as policies and routes write them: whether a text meets one, and texts that almost do."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, Literal

from meshlab.battery.expressions import ExpressionError, expression
from meshlab.quick_dataclass import dataclass

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["Kind", "Pattern", "joined", "wildcard"]

Kind = Literal["exact", "prefix", "suffix", "present", "regex", "template"]

_ANY, _SOME = "{**}", "{*}"


@dataclass(frozen=True)
class Pattern:
    """A condition on a text.

    Attributes:
        kind: How the text is compared. `template` has `{*}` for one segment of a path and `{**}` for any number.
        value: The text, the expression or the template.
        ignore_case: Whether capital letters count as small ones.
        segments: For a prefix, whether it ends at a slash, as in the Gateway API.
    """

    kind: Kind
    value: str = ""
    ignore_case: bool = False
    segments: bool = False

    def meets(self, text: str) -> bool:
        """Return whether a text meets the condition.

        Raises:
            ExpressionError: It is an expression that cannot be taken apart.
        """
        value = self.value
        if self.ignore_case and self.kind != "regex":
            text, value = text.lower(), value.lower()
        match self.kind:
            case "exact":
                return text == value
            case "prefix":
                if self.segments:
                    stem = value.removesuffix("/")
                    return text == stem or text.startswith(f"{stem}/")
                return text.startswith(value)
            case "suffix":
                return text.endswith(value)
            case "present":
                return text != ""
            case "regex":
                return expression(f"(?i){value}" if self.ignore_case else value).matches(text)
            case "template":
                return _fits(value.split("/"), text.split("/"))

    def readable(self) -> bool:
        """Return whether the condition can be decided here at all."""
        try:
            self.meets("/")
        except ExpressionError:
            return False
        return True

    def members(self, filling: str = "1") -> tuple[str, ...]:
        """Return texts that meet the condition, the plainest first.

        Args:
            filling: What stands for the part that may be anything.
        """
        match self.kind:
            case "exact":
                return (self.value,)
            case "prefix":
                if self.segments:
                    stem = self.value.removesuffix("/")
                    return (f"{stem}/{filling}", stem or "/")
                return (f"{self.value}{filling}", self.value)
            case "suffix":
                return (f"{filling}{self.value}",)
            case "present":
                return (filling,)
            case "regex":
                return expression(self.value).samples() if self.readable() else ()
            case "template":
                one = self.value.replace(_ANY, filling).replace(_SOME, filling)
                more = self.value.replace(_ANY, f"{filling}/{filling}").replace(_SOME, filling)
                return tuple(dict.fromkeys((one, more)))

    def near_misses(self, filling: str = "1") -> tuple[str, ...]:
        """Return texts that look like members and need not be any, those that mislead most first."""
        found: list[str] = []
        for member in self.members(filling)[:2]:
            found += [f"{member}x", f"x{member}", member[:-1], member.swapcase()]
        if self.kind == "regex":
            borders = expression(self.value).borders() if self.readable() else ()
            found = [*self._with_excluded(), *borders, *found]
        if self.kind == "template":
            found = [*self._other_segments(), *found]
        if self.kind == "prefix":
            found.insert(0, self.value[:-1])
        if self.kind == "suffix":
            found.insert(0, self.value[1:])
        return tuple(dict.fromkeys(text for text in found if text))

    def _other_segments(self) -> list[str]:
        """Return members with another segment than the usual one, and paths without what a template stands for."""
        other = self.value.replace(_ANY, "other").replace(_SOME, "other")
        return [other, self.value.replace(f"/{_ANY}", "").replace(_SOME, "1") or "/"]

    def _with_excluded(self) -> list[str]:
        """Return members with a character in each segment that the expression leaves out."""
        chars = expression(self.value).excluded() if self.readable() else ()
        return [
            "/".join((*segments[:at], f"{segment}{char}", *segments[at + 1 :]))
            for segments in (member.split("/") for member in self.members()[:1])
            for at, segment in enumerate(segments)
            if segment
            for char in chars
        ]


def wildcard(value: str, *, ignore_case: bool = False) -> Pattern:
    """Return the condition that a value of a policy is: `*` any text, `x*` and `*x` its ends, else exactly."""
    if value == "*":
        return Pattern("present")
    if value.startswith("*"):
        return Pattern("suffix", value[1:], ignore_case)
    if value.endswith("*"):
        return Pattern("prefix", value[:-1], ignore_case)
    return Pattern("exact", value, ignore_case)


def joined(patterns: Sequence[Pattern], limit: int) -> tuple[str, ...]:
    """Return texts that meet a suffix and a prefix or a template, the shortest of each pair and one with more between.

    `shop.` and `.example` give `shop.example` and `shop.x.example`. A rule that asks for the one and leaves out the
    other is decided by such a text. The shortest one may be what a third condition names exactly.

    Args:
        patterns: The conditions.
        limit: How many pairs there are at most.
    """
    prefixes = [pattern for pattern in patterns if pattern.kind == "prefix"]
    templates = [pattern for pattern in patterns if pattern.kind == "template"]
    suffixes = [pattern for pattern in patterns if pattern.kind == "suffix"]
    found = (
        text
        for other in (*prefixes, *templates[:limit])
        for suffix in suffixes
        for text in _both(other.members()[-1], suffix.value)
        if suffix.meets(text) and other.meets(text)
    )
    return tuple(dict.fromkeys(islice(found, 2 * limit)))


def _both(beginning: str, end: str) -> tuple[str, str]:
    """Return the shortest text with a beginning and an end, and one with a part of its own between them."""
    between = "x" if end[:1] in ("", "/", ".") else "x/"
    return _overlapping(beginning, end), f"{beginning}{between}{end}"


def _overlapping(beginning: str, end: str) -> str:
    """Return the shortest text with a beginning and an end."""
    sizes = range(min(len(beginning), len(end)), -1, -1)
    shared = next(size for size in sizes if beginning.endswith(end[:size]))
    return f"{beginning}{end[shared:]}"


def _fits(template: list[str], segments: list[str]) -> bool:
    """Return whether a path's segments fit a template (Envoy's `uri_template`): `{*}` is never empty, `{**}` may be."""
    for index, wanted in enumerate(template):
        if wanted == _ANY:
            # istiod lets nothing but text follow; what follows is compared from the end.
            after = template[index + 1 :]
            rest = segments[index:]
            return len(rest) >= len(after) and (not after or _fits(after, rest[len(rest) - len(after) :]))
        if index >= len(segments):
            return False
        if wanted == _SOME and not segments[index]:
            return False
        if wanted not in (_SOME, segments[index]):
            return False
    return len(template) == len(segments)
