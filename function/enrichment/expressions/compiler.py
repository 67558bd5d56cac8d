"""Expressions, compiled once when `pipeline.toml` is read."""

from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from functools import partial

from enrichment.expressions import lint, plain_path
from enrichment.expressions.errors import ExpressionError
from enrichment.expressions.scope import Scope

MAX_LENGTH = 4_096
"""Longest expression, in characters."""


@dataclass(frozen=True, slots=True)
class Expression:
    """An expression that was read and checked.

    Args:
        text: As it stands in the file.
        path: Root and keys where it is a plain path; empty where it is not.
        paths: The paths that it begins with. A plain path has one, `event.a || event.b` has two, a constant none.
        kinds: The JSON types that it can have beside null; empty where that is not known.
        evaluate: Gives the value in a scope, None for null. Raises `EvaluationError`.
        always_has_value: Says whether it is known never to give null, given which paths always have a value that
            counts as true.
    """

    text: str
    path: tuple[str, ...]
    paths: tuple[tuple[str, ...], ...]
    kinds: frozenset[str]
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
    path = plain_path.parse(text)
    if path is not None:
        lint.check_root(path[0], roots)
        lint.check_path(path)
        return Expression(
            text, path, (path,), frozenset(), plain_path.walker(path), lambda is_there: is_there(path)
        )
    from enrichment.expressions import query  # imports jmespath, which plain paths do without

    tree = query.parse(text, roots)
    return Expression(
        text,
        (),
        tuple(lint.paths(tree)),
        lint.result_kinds(tree),
        query.evaluator(tree),
        partial(lint.always_has_value, tree),
    )
