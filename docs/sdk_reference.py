"""Writes docs/sdk-reference.md from the docstrings: `python docs/sdk_reference.py`. A test holds the page to them."""

from __future__ import annotations

import enum
import importlib
import inspect
import re
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

PACKAGES = ("meshpass", "meshpass.keys", "meshpass.testing")
PAGE = Path(__file__).with_name("sdk-reference.md")
_SECTIONS = ("Args", "Attributes", "Returns", "Yields", "Raises")
_WIDTH = 100
# How httpx asks its `auth`; no other code calls them.
_NOT_SHOWN = frozenset({"sync_auth_flow", "async_auth_flow"})


def page() -> str:
    """Return the whole page."""
    parts = ["# The SDK, name by name\n", "Written from the docstrings by `python docs/sdk_reference.py`.\n"]
    shown: dict[object, str] = {}
    for package in PACKAGES:
        module = importlib.import_module(package)
        parts += [f"## {package}\n", *_prose(_doc(module))]
        for name in module.__all__:
            parts += entry(package, name, getattr(module, name), shown)
        if package == "meshpass":
            tree = _doc(importlib.import_module("meshpass._errors"))
            parts += [
                "**The tree of errors**\n",
                "```text\n" + tree.partition("\n\n")[2].partition("\n\n")[0] + "\n```\n",
            ]
    return "\n".join(parts)


def entry(package: str, name: str, value: object, shown: dict[object, str]) -> Iterator[str]:
    """Return a public name as Markdown: heading, signature, meaning and members. `shown` has what stands elsewhere."""
    yield f"### {package}.{name}\n"
    if isinstance(value, type) and issubclass(value, Exception):
        yield from _prose(_doc(value))
        yield f"Code `{getattr(value, 'code', '')}`; base `{value.__bases__[0].__name__}`.\n"
        return
    if not isinstance(value, type) and not inspect.isfunction(value):
        yield (
            f"`{name} = {value!r}`\n"
            if isinstance(value, str | int | float)
            else f"`{name} = {_plain(str(value))}`\n"
        )
        return
    if (
        isinstance(value, type)
        and value.__name__ != name
        and hasattr(module := importlib.import_module(package), value.__name__)
    ):
        yield f"Another name of `{module.__name__}.{value.__name__}`.\n"
        return
    is_protocol = getattr(value, "_is_protocol", False)
    if isinstance(value, type) and issubclass(value, enum.Enum):
        # Its signature is that of its base, which each version of Python writes in another way.
        yield ", ".join(f"`{name}.{member.name}` is `{member.value!r}`" for member in value) + ".\n"
    elif not is_protocol:
        yield _signature(name, value)
    yield from _prose(_doc(value))
    if isinstance(value, type):
        yield from _members(value, shown)


def _members(cls: type, shown: dict[object, str]) -> Iterator[str]:
    again: dict[str, list[str]] = {}
    for name, member in inspect.getmembers_static(cls):
        owner = next((base for base in cls.__mro__ if name in vars(base)), object)
        if (
            name.startswith("_")
            or name in _NOT_SHOWN
            or not owner.__module__.startswith(("meshpass", "meshlab"))
        ):
            continue
        function = member.__func__ if isinstance(member, staticmethod | classmethod) else member
        if isinstance(member, property):
            yield f"**`{cls.__name__}.{name}`** · {_first_paragraph(member)}\n"
        elif not inspect.isfunction(function):
            continue
        elif function in shown:
            again.setdefault(shown[function], []).append(f"`{name}`")
        else:
            shown[function] = cls.__name__
            yield f"**`{cls.__name__}.{name}`**\n"
            yield _signature(("async " if inspect.iscoroutinefunction(function) else "") + name, function)
            yield from _prose(_doc(function))
    for other, names in again.items():
        yield f"{', '.join(names)}: as in `{other}`.\n"


def _signature(name: str, value: Callable[..., object]) -> str:
    signature = inspect.signature(value)
    shown: list[str] = []
    for parameter in signature.parameters.values():
        if parameter.name in ("self", "cls"):
            continue
        if parameter.kind is parameter.KEYWORD_ONLY and "*" not in shown:
            shown.append("*")
        shown.append(_parameter(parameter))
    result = signature.return_annotation
    arrow = "" if isinstance(value, type) or result is signature.empty else f" -> {_annotation(result)}"
    line = f"{name}({', '.join(shown)}){arrow}"
    if len(line) > _WIDTH:
        line = f"{name}(\n    " + ",\n    ".join(shown) + f",\n){arrow}"
    return f"```text\n{line}\n```\n"


def _parameter(parameter: inspect.Parameter) -> str:
    shown = f"**{parameter.name}" if parameter.kind is parameter.VAR_KEYWORD else parameter.name
    if parameter.annotation is not parameter.empty:
        shown += f": {_annotation(parameter.annotation)}"
    if parameter.default is not parameter.empty:
        # What is made or called at run time has no name that says more than its type.
        default = parameter.default
        plain = default is None or isinstance(default, str | int | float | tuple | frozenset)
        shown += f" = {default!r}" if plain else " = ..."
    return shown


def _annotation(annotation: object) -> str:
    return _plain(annotation if isinstance(annotation, str) else inspect.formatannotation(annotation))


def _plain(annotation: str) -> str:
    """Return an annotation without modules, quotes, and the way in which Python writes an unpacked dictionary."""
    quotes = "" if "Literal[" in annotation else "['\"]|"
    short = re.sub(rf"{quotes}\b(?:[a-z_][a-z_0-9]*\.)+(?=[A-Z])|\+(?=[A-Z])", "", annotation)
    return re.sub(r"\*<class (\w+)>", r"Unpack[\1]", short)


def _doc(value: object) -> str:
    return inspect.getdoc(value) or ""


def _first_paragraph(value: object) -> str:
    return " ".join(_doc(value).partition("\n\n")[0].split())


def _prose(doc: str) -> Iterator[str]:
    """Return a docstring in Google's style as Markdown: prose as it is, its sections as lists."""
    section = re.compile(rf"^({'|'.join(_SECTIONS)}):$", re.MULTILINE)
    text, *rest = section.split(doc)
    if text.strip():
        yield f"{_fenced(text.strip())}\n"
    for title, body in zip(rest[::2], rest[1::2], strict=True):
        items, after = _items(body)
        listed = "\n".join(f"- {item}" for item in items)
        yield f"*{title}*\n\n{listed}\n"
        if after:
            yield f"{after}\n"


def _fenced(text: str) -> str:
    """Drawings and examples, which docstrings indent by four, as blocks of their own."""
    paragraphs = text.split("\n\n")
    return "\n\n".join(
        f"```text\n{inspect.cleandoc(paragraph)}\n```" if paragraph.startswith("    ") else paragraph
        for paragraph in paragraphs
    )


def _items(body: str) -> tuple[list[str], str]:
    """Return the entries of a section, and the prose that follows it."""
    lines = body.strip("\n").split("\n")
    inside = []
    while lines and (not lines[0].strip() or lines[0].startswith("    ")):
        inside.append(lines.pop(0)[4:])
    items: list[str] = []
    for line in inside:
        if line.startswith(" ") and items:
            items[-1] += f" {line.strip()}"
        elif line.strip():
            items.append(line.strip())
    named = [re.sub(r"^(\*{0,2}\w+): ", r"`\1`: ", item) for item in items]
    return named, "\n".join(lines).strip()


if __name__ == "__main__":
    PAGE.write_text(page())
