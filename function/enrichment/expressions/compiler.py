"""Expressions, compiled once when `pipeline.toml` is read.

Plain dotted paths, such as `event.order.total`, are most of what pipelines hold. They are read and walked here: that
takes well below a microsecond, and JMESPath is not imported for it.
"""

import json
import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from functools import partial

from enrichment.documents.walk import value_at
from enrichment.expressions.errors import ExpressionError
from enrichment.expressions.scope import EVENT, MESSAGE, Scope
from enrichment.settings.toml_section import suggestion

MAX_LENGTH = 4_096
"""Longest expression, in characters."""


_ATTRIBUTES = "attributes"
_MESSAGE_KEYS = ("id", "publish_time", "ordering_key", _ATTRIBUTES)
_JSON_WORDS = frozenset({"null", "true", "false"})
_INSIDE: Mapping[str, tuple[str, ...]] = {
    MESSAGE: _MESSAGE_KEYS,
    "trace": ("id",),
    "row": ("id",),
    "now": (),
    "index": (),
}
_SPECIAL = re.compile(r"""[\s\[\]{}()|&!=<>*?@,:"'`]""")  # what only JMESPath gives a meaning to
_NUMBER = re.compile(r"-?\d+(\.\d+)?")


@dataclass(frozen=True, slots=True)
class Expression:
    """An expression that was read and checked.

    Args:
        text: As it stands in the file.
        path: Root and keys where it is a plain path; empty where it is not.
        paths: The paths that it begins with. A plain path has one, `event.a || event.b` has two, a constant none.
        kinds: The JSON types that it can have beside null; empty where that is not known.
        functions: The functions that it calls.
        record_keys: The keys of the records that it makes, `{KEY: ...}`.
        evaluate: Gives the value in a scope, None for null. Raises `EvaluationError`.
        always_has_value: Says whether it is known never to give null, given which paths always have a value that
            counts as true.
    """

    text: str
    path: tuple[str, ...]
    paths: tuple[tuple[str, ...], ...]
    kinds: frozenset[str]
    functions: frozenset[str]
    record_keys: frozenset[str]
    evaluate: Callable[[Scope], object] = field(repr=False, compare=False)
    always_has_value: Callable[[Callable[[tuple[str, ...]], bool]], bool] = field(repr=False, compare=False)

    @property
    def is_plain(self) -> bool:
        """Whether it is a plain path, walked without JMESPath."""
        return bool(self.path)

    @property
    def roots(self) -> frozenset[str]:
        """The roots that it needs."""
        return frozenset(path[0] for path in self.paths)

    def is_true(self, scope: Scope) -> bool:
        """Evaluate it as a condition: null, false, and empty texts, arrays and objects are false (JMESPath)."""
        value = self.evaluate(scope)
        return not (value is None or value is False or value in ("", [], {}))


def compile_expression(text: str, roots: Collection[str]) -> Expression:
    """Read an expression.

    Args:
        text: A plain path such as `event.order.total`, or JMESPath.
        roots: The names that it can begin with, such as `event` and `profile`.

    Returns:
        The expression.

    Raises:
        ExpressionError: It is wrong; the message is one sentence, or two with advice.
    """
    if len(text) > MAX_LENGTH:
        raise ExpressionError(f"it is longer than {MAX_LENGTH} characters")
    path = _plain_path(text)
    if path is not None:
        check_root(path[0], roots)
        check_path(path)
        none: frozenset[str] = frozenset()
        return Expression(
            text, path, (path,), none, none, none, _walker(path), lambda is_there: is_there(path)
        )
    from enrichment.expressions import lint, query  # imports jmespath, which plain paths do without

    tree = query.parse(text, roots)
    return Expression(
        text,
        (),
        tuple(lint.paths(tree)),
        lint.result_kinds(tree),
        lint.functions(tree),
        lint.record_keys(tree),
        query.evaluator(tree),
        partial(lint.always_has_value, tree),
    )


def check_root(name: str, roots: Collection[str]) -> None:
    """Check the first name of a path.

    Raises:
        ExpressionError: There is no such root.
    """
    if name in roots:
        return
    advice = suggestion(name, roots)
    if name in _JSON_WORDS:  # JMESPath takes them for names of fields
        advice = f" To mean the constant, write `{name}` in back quotes."
    elif name == "$":  # JSONPath
        advice = f" A path begins with a name: {EVENT}.KEY."
    elif not advice and name.isidentifier():
        advice = f" To mean the event's field, write {EVENT}.{name}; to mean the text, write '{name}'."
    raise ExpressionError(f"{shown(name)} is none of {', '.join(roots)}.{advice}")


def check_path(path: tuple[str, ...]) -> None:
    """Check the keys below a root whose keys are known.

    Raises:
        ExpressionError: The root has no such key, or none at all.
    """
    root = path[0]
    if root not in _INSIDE:
        return
    known = _INSIDE[root]
    if len(path) == 1:
        if root in ("trace", "row"):
            raise ExpressionError(f"{root} is no value; write {root}.id")
    elif not known:
        raise ExpressionError(f"{root} has nothing inside")
    elif path[1] not in known:
        names = [f"{root}.{key}" for key in known]
        meant = suggestion(".".join(path[:2]), names)
        raise ExpressionError(f"{root} has no {shown(path[1])}, it has {', '.join(names)}.{meant}")
    elif len(path) > 2 and path[1] != _ATTRIBUTES:
        raise ExpressionError(f"{root}.{path[1]} has nothing inside")


def shown(name: str) -> str:
    """Return a name as it is quoted in a sentence: on one line, and short."""
    return name if name.isidentifier() and len(name) <= 80 else json.dumps(name[:80])


def _plain_path(text: str) -> tuple[str, ...] | None:
    """Read a plain path.

    Args:
        text: `ROOT.KEY.KEY`. For a message's attribute, everything after `message.attributes.` is its name.

    Returns:
        The root and the keys; None where the text is no plain path and JMESPath must read it.

    Raises:
        ExpressionError: A key is empty, or has a character that cannot be seen.
    """
    if _SPECIAL.search(text) or _NUMBER.fullmatch(text):
        return None
    if not text.isprintable():
        raise ExpressionError("it has a character that cannot be seen")
    attributes = f"{MESSAGE}.{_ATTRIBUTES}."
    if text.startswith(attributes) and text != attributes:
        return MESSAGE, _ATTRIBUTES, text.removeprefix(attributes)
    path = tuple(text.split("."))
    if not all(path):
        raise ExpressionError("a key between its dots is empty" if text else "it is empty")
    return path


def _walker(path: tuple[str, ...]) -> Callable[[Scope], object]:
    """Return the function that finds a path's value in a scope, None where there is none."""
    root, keys = path[0], path[1:]
    if not keys:
        return lambda scope: scope.roots.get(root)
    if root == EVENT:
        return _in_event(keys)
    return lambda scope: value_at(scope.roots.get(root), keys)


def _in_event(keys: tuple[str, ...]) -> Callable[[Scope], object]:
    # A declared field has its checked value, its default included. So has what stands inside of one.
    prefixes = [(".".join(keys[:length]), keys[length:]) for length in range(len(keys), 0, -1)]

    def find(scope: Scope) -> object:
        declared = scope.declared
        for prefix, rest in prefixes:
            if prefix in declared:
                return value_at(declared[prefix], rest)
        return value_at(scope.roots.get(EVENT), keys)

    return find
