"""Places in a YAML text: each value with its line.

PyYAML's nodes are read instead of values, because values do not know their lines. What YAML 1.1 and YAML 1.2 readers
disagree on is refused, as in manifests.
"""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, TypeVar

import yaml

from meshlab.bench.case import CasePlace
from meshlab.bench.case_file.format_words import MISNOMERS
from meshlab.bench.case_file.problems import CaseProblem, near_miss
from meshlab.quick_dataclass import dataclass
from meshlab.yaml_reader import AMBIGUOUS, StrictLoader, too_deep_at

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from meshlab.bench.case_file.problems import Kind

__all__ = ["Cursor", "Problems", "ReadError", "compose"]

_T = TypeVar("_T")
_TAG = "tag:yaml.org,2002:"
_NAMES = {
    f"{_TAG}map": "a mapping",
    f"{_TAG}seq": "a list",
    f"{_TAG}str": "text",
    f"{_TAG}int": "a whole number",
    f"{_TAG}float": "a number",
    f"{_TAG}bool": "true or false",
    f"{_TAG}null": "nothing",
    AMBIGUOUS: "text",
}
_MAX_DEPTH = 50
_MAX_NODES = 1_000_000


class ReadError(Exception):
    """What is read cannot be used; carries the problem to the next collector."""

    def __init__(self, problem: CaseProblem) -> None:
        self.problem = problem
        super().__init__(str(problem))


class Problems:
    """Collects problems while reading goes on."""

    def __init__(self) -> None:
        self.found: list[CaseProblem] = []

    def add(self, where: Cursor, message: str, kind: Kind = "shape") -> None:
        """Record a problem."""
        self.found.append(CaseProblem(where.place, message, kind))

    def attempt(self, read: Callable[[Cursor], _T], where: Cursor | None, otherwise: _T) -> _T:
        """Read what stands there; record its problem and return `otherwise` where it cannot be read or is absent."""
        if where is None:
            return otherwise
        try:
            return read(where)
        except ReadError as error:
            self.found.append(error.problem)
            return otherwise


@dataclass(frozen=True)
class Cursor:
    """A YAML node with its place.

    Attributes:
        node: The node.
        file: What to call the file.
        path: The keys that lead to it.
    """

    node: yaml.Node
    file: str
    path: str = ""

    @property
    def place(self) -> CasePlace:
        """Where it stands."""
        return CasePlace(self.file, self.node.start_mark.line + 1, self.path)

    @property
    def tag(self) -> str:
        """The node's type, such as `str`."""
        return self.node.tag.removeprefix(_TAG)

    @property
    def is_text(self) -> bool:
        """Whether it is a string."""
        return self.tag == "str"

    @property
    def is_mapping(self) -> bool:
        """Whether it is a mapping."""
        return isinstance(self.node, yaml.MappingNode)

    @property
    def is_list(self) -> bool:
        """Whether it is a list."""
        return isinstance(self.node, yaml.SequenceNode)

    @property
    def is_null(self) -> bool:
        """Whether nothing stands there, or `null`."""
        return self.tag == "null"

    @property
    def said(self) -> str:
        """What stands there, for messages: a scalar as written, else its type."""
        if isinstance(self.node, yaml.ScalarNode) and not self.is_null:
            text = str(self.node.value)
            return repr(text if len(text) <= 60 else f"{text[:59]}…")
        return _NAMES.get(self.node.tag, f"a {self.node.tag}")

    def error(self, message: str, kind: Kind = "shape") -> ReadError:
        """Return the error of this place."""
        return ReadError(CaseProblem(self.place, message, kind))

    def scalar(self, value: str | int, key: str = "") -> Cursor:
        """Return a scalar that a short form writes at this place."""
        tag = f"{_TAG}{'int' if isinstance(value, int) else 'str'}"
        node = yaml.ScalarNode(tag, str(value), self.node.start_mark, self.node.end_mark)
        return Cursor(node, self.file, f"{self.path}.{key}" if key else self.path)

    def entries(self) -> list[tuple[str, Cursor]]:
        """Return the keys and values of a mapping; keys that are no strings have been refused before.

        Raises:
            ReadError: It is no mapping.
        """
        if not isinstance(self.node, yaml.MappingNode):
            raise self.error(f"expected a mapping, found {self.said}")
        return [
            (str(key.value), Cursor(value, self.file, f"{self.path}.{key.value}".lstrip(".")))
            for key, value in self.node.value
            if isinstance(key, yaml.ScalarNode)
        ]

    def by_key(self) -> dict[str, Cursor]:
        """Return the values of a mapping by their keys.

        Raises:
            ReadError: It is no mapping.
        """
        return dict(self.entries())

    def key_cursors(self) -> list[Cursor]:
        """Return the keys of a mapping as places of their own, to report a key where it stands."""
        if not isinstance(self.node, yaml.MappingNode):
            return []
        return [
            Cursor(key, self.file, f"{self.path}.{key.value}".lstrip("."))
            for key, _ in self.node.value
            if isinstance(key, yaml.ScalarNode)
        ]

    def items(self) -> list[Cursor]:
        """Return the elements of a list.

        Raises:
            ReadError: It is no list.
        """
        if not isinstance(self.node, yaml.SequenceNode):
            raise self.error(f"expected a list, found {self.said}")
        return [
            Cursor(item, self.file, f"{self.path}[{index}]") for index, item in enumerate(self.node.value)
        ]

    def fields(self, problems: Problems, known: Sequence[str], what: str) -> dict[str, Cursor]:
        """Return the fields of a mapping; record every field that is not known.

        Raises:
            ReadError: It is no mapping.
        """
        entries = self.entries()
        problems.found += self.unknown(known, what)
        return {word: value for word, value in entries if word in known}

    def unknown(self, known: Sequence[str], what: str) -> list[CaseProblem]:
        """Return the problems of the fields that are not known."""
        found = []
        for key in self.key_cursors():
            word = str(key.node.value)
            if word not in known:
                hint = MISNOMERS.get(word) or near_miss(word, known) or f"; {what} knows {', '.join(known)}"
                found.append(CaseProblem(key.place, f"unknown word {word!r}{hint}"))
        return found

    def lacks(self, known: Sequence[str], what: str, message: str) -> ReadError:
        """Return the error of a word that is missing; where an unknown word stands, that is the error."""
        return next((ReadError(problem) for problem in self.unknown(known, what)), self.error(message))

    def text(self) -> str:
        """Return a string.

        Raises:
            ReadError: It is none.
        """
        if self.tag != "str":
            quote = "; quote it" if isinstance(self.node, yaml.ScalarNode) and not self.is_null else ""
            raise self.error(f"expected text, found {self._kind()}{quote}")
        return str(self.node.value)

    def word(self) -> str:
        """Return a string that is not empty.

        Raises:
            ReadError: It is none.
        """
        text = self.text()
        if not text.strip():
            raise self.error("expected text, found an empty string; write a value or remove the word")
        return text

    def number(self, low: int, high: int) -> int:
        """Return a whole number within limits.

        Raises:
            ReadError: It is none.
        """
        if self.tag != "int":
            raise self.error(f"expected a whole number, found {self._kind()}")
        value = _integer(str(self.node.value))
        if not low <= value <= high:
            raise self.error(f"{value} is out of range; write a number from {low} to {high}")
        return value

    def truth(self) -> bool:
        """Return true or false.

        Raises:
            ReadError: It is neither.
        """
        if self.tag != "bool":
            raise self.error(f"expected true or false, found {self._kind()}")
        return str(self.node.value).lower() == "true"

    def one_of(self, choices: Iterable[str]) -> str:
        """Return a string that is one of the choices.

        Raises:
            ReadError: It is none of them.
        """
        text, known = self.text(), list(choices)
        if text not in known:
            raise self.error(f"{text!r} is not one of {', '.join(known)}{near_miss(text, known)}")
        return text

    def value(self) -> object:
        """Return any JSON value.

        Raises:
            ReadError: A number is too large to be one.
        """
        if isinstance(self.node, yaml.MappingNode):
            return {word: value.value() for word, value in self.entries()}
        if isinstance(self.node, yaml.SequenceNode):
            return [item.value() for item in self.items()]
        text = str(self.node.value)
        match self.tag:
            case "null":
                return None
            case "bool":
                return text.lower() == "true"
            case "int":
                return _integer(text)
            case "float":
                return float(text)
        return text

    def _kind(self) -> str:
        name = _NAMES.get(self.node.tag, "something else")
        return (
            f"{name} ({self.said})" if isinstance(self.node, yaml.ScalarNode) and not self.is_null else name
        )


def compose(text: str, file: str) -> tuple[Cursor | None, list[CaseProblem]]:
    """Read the one document of a YAML text.

    Returns:
        The document (`None` where there is none) and what is wrong with it as YAML.
    """
    try:
        if deep := too_deep_at(text, _MAX_DEPTH):
            return None, [
                CaseProblem(CasePlace(file, deep), "lists or mappings are nested too deeply", "yaml")
            ]
        # The loader is PyYAML's safe one with fewer resolvers, and nodes construct nothing.
        nodes = list(yaml.compose_all(text, Loader=StrictLoader))
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        # What ends too early is reported behind the last line.
        line = min(mark.line + 1, max(1, len(text.splitlines()))) if mark else 1
        return None, [
            CaseProblem(CasePlace(file, line), f"not YAML: {error.problem or error.context}", "yaml")
        ]
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        message = (
            f"not YAML: the character {json.dumps(text[error.position : error.position + 1])} is not allowed"
        )
        return None, [CaseProblem(CasePlace(file, line), message, "yaml")]
    if len(nodes) > 1:
        line = nodes[1].start_mark.line + 1
        message = "a second YAML document begins here; put its cases into a file of their own"
        return None, [CaseProblem(CasePlace(file, line), message, "yaml")]
    if not nodes or nodes[0] is None or nodes[0].tag == f"{_TAG}null":
        return None, [
            CaseProblem(CasePlace(file, 1), "the file is empty; write `cases:` or `matrix:`", "shape")
        ]
    root = Cursor(nodes[0], file)
    try:
        _measure(root, (), {})
        return root, list(_lint(root))
    except ReadError as error:
        return None, [error.problem]


def _measure(where: Cursor, above: tuple[int, ...], known: dict[int, tuple[int, int]]) -> tuple[int, int]:
    """Return how many nodes the document has and how deep it is when aliases are written out.

    Raises:
        ReadError: It is too large or too deep, or an alias stands in what it refers to.
    """
    identity = id(where.node)
    if identity in known:
        return known[identity]
    if identity in above:
        raise where.error("an alias refers to what it stands in; write the value out", "yaml")
    children = (
        where.items()
        if where.is_list
        else [value for _, value in where.entries()]
        if where.is_mapping
        else []
    )
    measures = [_measure(child, (*above, identity), known) for child in children]
    size = 1 + sum(found for found, _ in measures)
    depth = 1 + max((found for _, found in measures), default=0)
    if size > _MAX_NODES or depth > _MAX_DEPTH:
        raise where.error("aliases make the file too large; write the values out", "yaml")
    known[identity] = size, depth
    return known[identity]


def _lint(where: Cursor) -> Iterator[CaseProblem]:
    """Report what is wrong with the whole document as YAML."""
    if where.node.tag not in _NAMES:
        yield CaseProblem(where.place, f"the tag {where.node.tag} is not read; remove it", "yaml")
    elif where.is_mapping:
        yield from _lint_keys(where)
        for _, value in where.entries():
            yield from _lint(value)
    elif where.is_list:
        for item in where.items():
            yield from _lint(item)
    elif where.node.tag == AMBIGUOUS:
        yield _ambiguous(where)


def _lint_keys(where: Cursor) -> Iterator[CaseProblem]:
    seen: set[str] = set()
    if isinstance(where.node, yaml.MappingNode):
        for key, _ in where.node.value:
            if not isinstance(key, yaml.ScalarNode):
                yield CaseProblem(replace(where, node=key).place, "a key is no text; quote it", "yaml")
    for key_at in where.key_cursors():
        word = str(key_at.node.value)
        if key_at.tag == "merge":
            yield CaseProblem(
                key_at.place, "the merge key << is not read; write `use:` or the words themselves", "yaml"
            )
        elif key_at.node.tag == AMBIGUOUS:
            yield _ambiguous(key_at)
        elif key_at.tag not in ("str", "int"):
            yield CaseProblem(key_at.place, f"the key {word!r} is no text; quote it", "yaml")
        elif word in seen:
            yield CaseProblem(key_at.place, f"{word!r} stands here twice; the first would be lost", "yaml")
        seen.add(word)


def _ambiguous(where: Cursor) -> CaseProblem:
    message = f"{where.node.value} is read differently by different YAML readers; quote it"
    return CaseProblem(where.place, message, "yaml")


def _integer(text: str) -> int:
    digits = text.lstrip("+-")
    sign = -1 if text.startswith("-") else 1
    if digits.startswith("0x"):
        return sign * int(digits, 16)
    return sign * int(digits, 8 if len(digits) > 1 and digits.startswith("0") else 10)
