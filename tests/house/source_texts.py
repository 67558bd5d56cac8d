"""Names and texts of the project's files, each with its line: what the rules of language are checked against."""

from __future__ import annotations

import ast
import io
import re
import subprocess
import tokenize
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[2]

_COMMENTED = {".yaml", ".yml", ".toml", ".tf", ".sh", ".env", ".sql"}
_CODE_SPAN = re.compile(r"``[^`]+``|`[^`\n]+`")
_FENCE = re.compile(r"^```.*?^```$", re.DOTALL | re.MULTILINE)
_COMMENT = re.compile(r"(?:^|\s)(?:#|--) ?(.*)$")


def tracked(*folders: str) -> list[str]:
    """Return the project's files below folders, or all of them; paths are relative to the root."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", "--", *folders],
        cwd=ROOT, capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip
    return sorted(name for name in listed.split("\0") if name and (ROOT / name).is_file())


def words(name: str) -> list[str]:
    """Return the words of a name in snake case or camel case, in lower case."""
    return [word.lower() for word in re.findall(r"[A-Z]?[a-z0-9]+|[A-Z]+(?![a-z])", name)]


def names(source: str) -> Iterator[tuple[int, str]]:
    """Return the names that a Python module gives: of classes, functions, arguments, variables and attributes."""
    for node in ast.walk(ast.parse(source)):
        match node:
            case ast.ClassDef(name=name) | ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name):
                yield node.lineno, name
            case ast.arg(arg=name) | ast.Name(id=name, ctx=ast.Store()):
                yield node.lineno, name
            case ast.Attribute(attr=name, ctx=ast.Store()) | ast.ExceptHandler(name=str(name)):
                yield node.lineno, name


def texts(path: str, source: str) -> Iterator[tuple[int, str]]:
    """Return the texts of a file that a person reads; code in backquotes is taken out.

    Of Python: docstrings, comments and messages. A string without a space is data, not a text. Of a page: all but
    fenced blocks. Of configuration: comments.
    """
    if path.endswith(".py"):
        found = _texts_of_python(source)
    elif path.endswith(".md"):
        found = _paragraphs(_FENCE.sub(lambda block: "\n" * block[0].count("\n"), source))
    elif Path(path).suffix in _COMMENTED or Path(path).name == "Makefile":
        found = (
            (number, comment[1])
            for number, line in enumerate(source.splitlines(), start=1)
            if (comment := _COMMENT.search(line))
        )
    else:
        found = iter(())
    for line, text in found:
        yield line, _CODE_SPAN.sub("x", " ".join(text.split()))


def _paragraphs(page: str) -> Iterator[tuple[int, str]]:
    began, lines = 1, list[str]()
    for number, line in enumerate([*page.splitlines(), ""], start=1):
        if line.strip():
            began = began if lines else number
            lines.append(line)
        elif lines:
            yield began, " ".join(lines)
            lines = []


def _texts_of_python(source: str) -> Iterator[tuple[int, str]]:
    tree = ast.parse(source)
    parts = {id(part) for node in ast.walk(tree) if isinstance(node, ast.JoinedStr) for part in node.values}
    for node in ast.walk(tree):
        text = ""
        if not isinstance(node, ast.expr):
            continue
        if isinstance(node, ast.JoinedStr):
            text = "".join(str(part.value) if isinstance(part, ast.Constant) else "x" for part in node.values)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in parts:
            text = node.value
        if " " in text.strip():
            yield node.lineno, text
    block: list[str] = []
    began = last = 0
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.COMMENT:
            if token.start[0] != last + 1 or not token.line.lstrip().startswith("#"):
                if block:
                    yield began, " ".join(block)
                block, began = [], token.start[0]
            block.append(token.string.lstrip("# "))
            last = token.start[0]
    if block:
        yield began, " ".join(block)
