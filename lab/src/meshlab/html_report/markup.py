"""HTML that is put together from texts, each of which is escaped."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from html import escape

from meshlab.visible_text import visible

__all__ = ["Attributes", "Markup", "element", "joined"]

Attributes = Mapping[str, str | float | bool | None]
_WITHOUT_END = frozenset({"br", "col", "hr", "input", "link", "meta"})


class Markup(str):
    """A text that is HTML already. Every other text is escaped before it becomes a part of a document."""

    __slots__ = ()


def element(tag: str, attributes: Attributes | None = None, *children: str) -> Markup:
    """Return an element.

    Args:
        tag: Its name. It is written by this package and never by a manifest.
        attributes: Names to values: `True` stands for a name without a value, `None` and `False` leave it out.
        children: Texts, which are escaped, and markup.
    """
    head = "".join(_attribute(name, value) for name, value in (attributes or {}).items())
    if tag in _WITHOUT_END:
        return Markup(f"<{tag}{head}>")
    return Markup(f"<{tag}{head}>{joined(children)}</{tag}>")


def joined(parts: Iterable[str]) -> Markup:
    """Return texts, which are escaped, and markup in a row."""
    return Markup("".join(part if isinstance(part, Markup) else escape(visible(part)) for part in parts))


def _attribute(name: str, value: str | float | bool | None) -> str:
    if value is None or value is False:
        return ""
    if value is True:
        return f" {name}"
    text = f"{value:g}" if isinstance(value, float) else str(value)
    return f' {name}="{escape(visible(text))}"'
