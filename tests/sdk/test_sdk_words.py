"""The SDK's names and texts use the field's words: response, cached token, single flight; no coined ones."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import meshpass
import pytest

_SOURCE = Path(meshpass.__file__).parent
_PAGES = Path(__file__).parents[2]

# Words that the SDK's own names once had, and the field's for them: client state, cached token, response, single
# flight, report, dead letter, disposition, transient error.
_COINED = {"home", "held", "answer", "answers", "flight", "flights", "surroundings", "tell", "told"} | {
    *("letter", "letters", "fate", "trouble", "strike", "pace", "whoever", "somebody", "nobody")
}
# "Answer" as a noun. As a verb it is plain English: "the gateway answered 503".
_ANSWER = re.compile(
    r"\b(?:an?|the|its|no|any|this|whose|every|each|complete|other|usable|HTTP|\w+'s) answer\b"
    r"|\b(?:the|its|no|these|other) answers\b",
    re.IGNORECASE,
)


def _words(name: str) -> set[str]:
    """Return the words of a name, in snake case or camel case."""
    return {word.lower() for word in re.findall(r"[A-Z]?[a-z0-9]+|[A-Z]+(?![a-z])", name)}


def _bound_names(tree: ast.AST) -> Iterator[str]:
    """Return the names that a module gives: of classes, functions, arguments, variables and attributes."""
    for node in ast.walk(tree):
        match node:
            case ast.ClassDef(name=name) | ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name):
                yield name
            case ast.arg(arg=name) | ast.Name(id=name, ctx=ast.Store()):
                yield name
            case ast.Attribute(attr=name, ctx=ast.Store()) | ast.ExceptHandler(name=str(name)):
                yield name


def _texts(tree: ast.AST) -> Iterator[str]:
    """Return the texts of a module, docstrings too; the parts of an f-string are joined."""
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr):
            yield "".join(str(part.value) if isinstance(part, ast.Constant) else "x" for part in node.values)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value


def _modules() -> list[Path]:
    return sorted(_SOURCE.rglob("*.py"))


def test_the_words_of_a_name_are_found_in_either_case() -> None:
    assert _words("_on_answer") == {"on", "answer"}
    assert _words("HeldToken") == {"held", "token"}
    assert _words("JWKSVerifier") == {"jwks", "verifier"}
    code = "class Home:\n  def tell(self, held):\n    self.flight = answer = 1\n"
    found = [name for name in _bound_names(ast.parse(code)) if _words(name) & _COINED]
    assert sorted(found) == ["Home", "answer", "flight", "held", "tell"]


@pytest.mark.parametrize("path", _modules(), ids=lambda path: str(path.relative_to(_SOURCE)))
def test_no_name_is_a_coined_word(path: Path) -> None:
    names = {*_bound_names(ast.parse(path.read_text())), path.stem}

    assert sorted(name for name in names if _words(name) & _COINED) == []


@pytest.mark.parametrize("path", _modules(), ids=lambda path: str(path.relative_to(_SOURCE)))
def test_no_text_calls_a_response_an_answer(path: Path) -> None:
    assert [text for text in _texts(ast.parse(path.read_text())) if _ANSWER.search(text)] == []


def test_no_page_of_the_sdk_calls_a_response_an_answer() -> None:
    pages = [(_PAGES / name).read_text() for name in ("sdk/README.md", "docs/sdk.md", "docs/sdk-adapters.md")]
    troubleshooting = (_PAGES / "docs/troubleshooting.md").read_text()
    pages.append(troubleshooting.partition("## A call through the mesh fails")[2].partition("## Settings")[0])

    assert [found for page in pages for found in _ANSWER.findall(page)] == []
