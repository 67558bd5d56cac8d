"""YAML as `kubectl` reads it, with the line of every key.

What YAML 1.1 and YAML 1.2 readers disagree on is never guessed. `parse_yaml` refuses it; `parse_located` marks it as
`Ambiguous`, so that it is refused only where it is used.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import yaml

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

__all__ = [
    "AMBIGUOUS",
    "Ambiguous",
    "LocatedDict",
    "LocatedList",
    "StrictLoader",
    "YamlError",
    "parse_located",
    "parse_strict",
    "too_deep_at",
]


class YamlError(Exception):
    """A text is not YAML that can be read.

    Attributes:
        line: Where, from 1; 0 where the reader cannot say.
    """

    def __init__(self, problem: str, line: int = 0) -> None:
        super().__init__(problem)
        self.line = line


class Ambiguous(str):
    """A scalar that different YAML readers read differently, such as `yes`, `1_000` or `0o17`."""

    __slots__ = ()


class LocatedDict(dict[str, Any]):
    """A mapping that knows the line of each key, and of each key that stands in it twice."""

    lines: Mapping[str, int]
    duplicates: Mapping[str, int]


class LocatedList(list[Any]):
    """A sequence that knows the line of each item."""

    lines: Mapping[int, int]


def parse_strict(text: str) -> list[object]:
    """Read every document of a YAML text; refuse duplicate keys, keys that are no strings, and ambiguous scalars.

    Raises:
        YamlError: There is one, or the text is not YAML.
    """
    return [document for document, _ in _load(text, StrictLoader)]


def parse_located(text: str) -> list[tuple[object, int]]:
    """Read every document of a YAML text as `kubectl` does, each with the line of its beginning.

    Mappings are `LocatedDict`, sequences `LocatedList`. Keys become strings as in JSON. Merge keys are resolved. Where
    a key stands twice the last one counts and `duplicates` holds it.

    Raises:
        YamlError: The text is not YAML.
    """
    return _load(text, _LocatedLoader)


_MAX_DEPTH = 100


def too_deep_at(text: str, limit: int = _MAX_DEPTH) -> int:
    """Return the line where lists and mappings are nested deeper than a limit, 0 where they are not.

    libyaml composes by recursion in C without a limit of its own, so a text must be looked at before it is loaded.

    Raises:
        yaml.YAMLError: The text is not YAML.
    """
    depth = 0
    for event in yaml.parse(text, Loader=StrictLoader):
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
            if depth > limit:
                return event.start_mark.line + 1 if event.start_mark else 1
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1
    return 0


def _may_be_deep(text: str) -> bool:
    """Return whether a text could nest deeper than the limit: each level takes a bracket or a column of a line."""
    brackets = text.count("[") + text.count("{")
    return brackets + max(map(len, text.splitlines()), default=0) > _MAX_DEPTH


def _load(text: str, kind: type[yaml.CSafeLoader]) -> list[tuple[object, int]]:
    try:
        if _may_be_deep(text) and (line := too_deep_at(text)):
            raise YamlError("lists or mappings are nested too deeply", line)
        return list(_documents(kind(text)))
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 0
        raise YamlError(f"{error.problem}", line) from None
    except yaml.YAMLError as error:
        raise YamlError(f"not YAML: {error}") from None
    except RecursionError:
        raise YamlError("it is nested too deeply") from None


def _documents(loader: yaml.CSafeLoader) -> Iterator[tuple[object, int]]:
    try:
        while loader.check_node():
            node = loader.get_node()
            if node is None:
                break
            _refuse_bombs(node)
            yield loader.construct_document(node), node.start_mark.line + 1
    finally:
        loader.dispose()


_MAX_NODES = 2_000_000


def _refuse_bombs(node: yaml.Node) -> None:
    """Refuse aliases that unfold to more values than any manifest has."""
    sizes: dict[int, int] = {}

    def size(node: yaml.Node) -> int:
        if id(node) not in sizes:
            sizes[id(node)] = 0  # an alias to a parent
            children = node.value if isinstance(node, yaml.CollectionNode) else ()
            pairs = (
                [part for pair in children for part in pair]
                if isinstance(node, yaml.MappingNode)
                else children
            )
            sizes[id(node)] = 1 + sum(map(size, pairs))
        return sizes[id(node)]

    if size(node) > _MAX_NODES:
        raise yaml.constructor.ConstructorError(None, None, "its aliases unfold to too much", node.start_mark)


class StrictLoader(yaml.CSafeLoader):
    """Safe YAML with Kubernetes' types, unique string keys, and no scalar that two readers read differently."""

    yaml_implicit_resolvers: dict[str, list[tuple[str, re.Pattern[str]]]] = {}  # noqa: RUF012 - PyYAML's API


def _resolve(tag: str, pattern: str, first: str) -> None:
    StrictLoader.add_implicit_resolver(tag, re.compile(rf"^(?:{pattern})$"), list(first) or [""])


AMBIGUOUS = "!ambiguous"
"""The tag of a scalar that YAML 1.1 and YAML 1.2 readers take for different values."""

_MERGE = "tag:yaml.org,2002:merge"
_resolve("tag:yaml.org,2002:null", "~|null|Null|NULL|", "~nN")
StrictLoader.add_implicit_resolver("tag:yaml.org,2002:null", re.compile("^$"), [""])
_resolve("tag:yaml.org,2002:bool", "true|True|TRUE|false|False|FALSE", "tTfF")
# A leading zero means octal to Kubernetes, as in defaultMode: 0440.
_resolve("tag:yaml.org,2002:int", "[-+]?(?:0|[1-9][0-9]*|0[0-7]+|0x[0-9a-fA-F]+)", "-+0123456789")
_resolve("tag:yaml.org,2002:float", r"[-+]?(?:[0-9]+\.[0-9]*|\.[0-9]+)(?:[eE][-+]?[0-9]+)?", "-+.0123456789")
_resolve(AMBIGUOUS, "y|Y|yes|Yes|YES|n|N|no|No|NO|on|On|ON|off|Off|OFF", "yYnNoO")
_resolve(AMBIGUOUS, r"[-+]?(?:0[0-9]*[89][0-9]*|0o[0-7]+|0b[01_]+|[0-9][0-9_]*_[0-9_]*)", "-+0123456789")
_resolve(AMBIGUOUS, r"[-+]?[0-9]+[eE][-+]?[0-9]+|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)", "-+.0123456789")
_resolve(_MERGE, "<<", "<")


class _LocatedLoader(StrictLoader):
    """The same types, for manifests of other people: ambiguous scalars are marked, merge keys are resolved."""


def _refuse_ambiguous(loader: StrictLoader, node: yaml.ScalarNode) -> object:
    raise yaml.constructor.ConstructorError(
        None, None, f"{node.value} is read differently by different YAML readers; quote it", node.start_mark
    )


def _unique_mapping(loader: StrictLoader, node: yaml.MappingNode) -> dict[str, object]:
    found: dict[str, object] = {}
    for key_node, value_node in node.value:
        if key_node.tag == _MERGE:
            problem = "the merge key << is not read; write the fields out"
            raise yaml.constructor.ConstructorError(None, None, problem, key_node.start_mark)
        key = loader.construct_object(key_node, deep=True)
        if not isinstance(key, str):
            problem = f"the key {key!r} is not a string; quote it"
            raise yaml.constructor.ConstructorError(None, None, problem, key_node.start_mark)
        if key in found:
            problem = f"the key {key} stands here twice; the first would be lost"
            raise yaml.constructor.ConstructorError(None, None, problem, key_node.start_mark)
        found[key] = loader.construct_object(value_node, deep=True)
    return found


def _located_mapping(loader: _LocatedLoader, node: yaml.MappingNode) -> LocatedDict:
    found = LocatedDict()
    lines: dict[str, int] = {}
    duplicates: dict[str, int] = {}
    for key_node, value_node in node.value:
        if key_node.tag == _MERGE:
            for source in value_node.value if isinstance(value_node, yaml.SequenceNode) else [value_node]:
                merged = loader.construct_object(source, deep=True)
                for key, value in merged.items() if isinstance(merged, dict) else ():
                    if key not in found:
                        found[key] = value
                        lines[key] = key_node.start_mark.line + 1
            continue
        if not isinstance(key_node, yaml.ScalarNode):
            raise yaml.constructor.ConstructorError(None, None, "a key is no scalar", key_node.start_mark)
        key = _json_key(loader.construct_object(key_node, deep=True))
        line = key_node.start_mark.line + 1
        if key in duplicates or (key in found and _written_here(node, key, loader)):
            duplicates[key] = line
        found[key] = loader.construct_object(value_node, deep=True)
        lines[key] = line
    found.lines, found.duplicates = lines, duplicates
    return found


def _written_here(node: yaml.MappingNode, key: str, loader: _LocatedLoader) -> bool:
    """Return whether the mapping itself holds the key more than once, and not only a mapping that is merged into it."""
    own = [name for name, _ in node.value if name.tag != _MERGE]
    return sum(_json_key(loader.construct_object(name, deep=True)) == key for name in own) > 1


def _located_sequence(loader: _LocatedLoader, node: yaml.SequenceNode) -> LocatedList:
    found = LocatedList(loader.construct_object(item, deep=True) for item in node.value)
    found.lines = {index: item.start_mark.line + 1 for index, item in enumerate(node.value)}
    return found


def _json_key(key: object) -> str:
    if isinstance(key, bool):
        return "true" if key else "false"
    return "null" if key is None else str(key)


StrictLoader.add_constructor(AMBIGUOUS, _refuse_ambiguous)
StrictLoader.add_constructor("tag:yaml.org,2002:map", _unique_mapping)
_LocatedLoader.add_constructor(AMBIGUOUS, lambda _, node: Ambiguous(node.value))
_LocatedLoader.add_constructor("tag:yaml.org,2002:map", _located_mapping)
_LocatedLoader.add_constructor("tag:yaml.org,2002:seq", _located_sequence)
