"""Expressions of Terraform's language, evaluated over the tree that python-hcl2 reads."""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Protocol

from hcl2.rules import (
    containers,
    expressions,
    for_expressions,
    functions,
    indexing,
    literal_rules,
    strings,
)

from tests.infra.terraform.evaluate.functions import FUNCTIONS
from tests.infra.terraform.evaluate.values import NotEvaluatedError, Reference

if TYPE_CHECKING:
    from collections.abc import Iterator

    from hcl2.rules.abstract import LarkElement

__all__ = ["Scope", "attribute", "expression", "known"]

Value = Any
"""A value of JSON, a `Reference`, or a `Scope` while a name is followed."""

_OPERATORS: dict[str, Callable[[Value, Value], Value]] = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "/": operator.truediv,
    "%": operator.mod,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
# Functions that look at a container alone, or at which of its elements are there.
_OF_CONTAINERS = frozenset(
    {
        "coalesce",
        "compact",
        "concat",
        "contains",
        "distinct",
        "element",
        "flatten",
        "keys",
        "length",
        "lookup",
    }
    | {"merge", "one", "reverse", "setproduct", "slice", "tolist", "tomap", "toset", "values", "zipmap"}
)
_ESCAPES = {r"\n": "\n", r"\t": "\t", r"\"": '"', r"\\": "\\", "$${": "${", "%%{": "%{"}


class Scope(Protocol):
    """Names that an expression may use."""

    def find(self, name: str) -> Value:
        """Return the value of a name, or raise NotEvaluatedError."""


class Names:
    """Names in front of those of another scope."""

    def __init__(self, values: Mapping[str, Value], outer: Scope) -> None:
        self._values = values
        self._outer = outer

    def find(self, name: str) -> Value:
        """Return the value of a name."""
        return self._values[name] if name in self._values else self._outer.find(name)


def known(value: Value) -> bool:
    """Return whether a value holds no reference."""
    if isinstance(value, Reference):
        return False
    if isinstance(value, dict):
        return all(map(known, value.values()))
    return all(map(known, value)) if isinstance(value, list) else True


def expression(node: LarkElement, scope: Scope) -> Value:
    """Evaluate one expression.

    Raises:
        NotEvaluatedError: It has something that is not known here.
    """
    for kind, evaluate in _KINDS.items():
        if isinstance(node, kind):
            return evaluate(node, scope)
    raise NotEvaluatedError(f"{type(node).__name__} is not known: {node}")


def attribute(value: Value, name: str) -> Value:
    """Return an attribute of an object, an element of a map, or an instance of a resource."""
    if isinstance(value, Reference):
        return Reference(f"{value.address}.{name}")
    if isinstance(value, Mapping):
        if name not in value:
            raise NotEvaluatedError(f"{name} is not in {sorted(value)}")
        return value[name]
    if hasattr(value, "find"):
        return value.find(name)
    raise NotEvaluatedError(f"{value!r} has no attribute {name}")


def _term(node: expressions.ExprTermRule, scope: Scope) -> Value:
    return expression(node.expression, scope)


def _literal(node: literal_rules.LiteralValueRule, scope: Scope) -> Value:
    return {"true": True, "false": False, "null": None}[str(node.token.value)]


def _number(node: literal_rules.TokenRule, scope: Scope) -> Value:
    return float(node.token.value) if "." in str(node.token.value) else int(node.token.value)


def _identifier(node: literal_rules.TokenRule, scope: Scope) -> Value:
    return scope.find(str(node.token.value))


def _string(node: strings.StringRule, scope: Scope) -> Value:
    parts = [_part(part, scope) for part in node.string_parts]
    if len(parts) == 1 and isinstance(node.string_parts[0].content, strings.InterpolationRule):
        return parts[0]
    if any(isinstance(part, Reference) for part in parts):
        return Reference(
            "".join(f"${{{part.address}}}" if isinstance(part, Reference) else _text(part) for part in parts)
        )
    return "".join(map(_text, parts))


def _part(node: strings.StringPartRule, scope: Scope) -> Value:
    content = node.content
    if isinstance(content, strings.InterpolationRule):
        return expression(content.expression, scope)
    return re.sub(r"\\[nt\"\\]|\$\$\{|%%\{", lambda found: _ESCAPES[found.group()], str(content.value))


def _text(value: Value) -> str:
    if not isinstance(value, str | int | float):
        raise NotEvaluatedError(f"{value!r} stands in a text")
    return str(value).lower() if isinstance(value, bool) else str(value)


def _heredoc(node: strings.HeredocTemplateRule, scope: Scope) -> Value:
    text = str(node.serialize()).strip('"')
    if "${" in text:
        raise NotEvaluatedError("an expression stands in a heredoc")
    return text


def _conditional(node: expressions.ConditionalRule, scope: Scope) -> Value:
    condition = expression(node.condition, scope)
    if not isinstance(condition, bool):
        raise NotEvaluatedError(f"a condition is {condition!r}")
    return expression(node.if_true if condition else node.if_false, scope)


def _binary(node: expressions.BinaryOpRule, scope: Scope) -> Value:
    sign = str(node.binary_term.binary_operator.token.value).strip()
    left = expression(node.expr_term, scope)
    if sign in ("&&", "||") and isinstance(left, bool) and left == (sign == "||"):
        return left
    right = expression(node.binary_term.expr_term, scope)
    if sign in ("&&", "||"):
        return right
    if sign in ("==", "!="):
        if not (known(left) and known(right)) and None not in (left, right):
            return Reference(f"{left} {sign} {right}")
        return (left == right) == (sign == "==")
    if not (known(left) and known(right)):
        return Reference(f"{left} {sign} {right}")
    return _OPERATORS[sign](left, right)


def _unary(node: expressions.UnaryOpRule, scope: Scope) -> Value:
    value = expression(node.expr_term, scope)
    if isinstance(value, Reference):
        return Reference(f"{node.operator}{value.address}")
    return not value if node.operator == "!" else -value


def _tuple(node: containers.TupleRule, scope: Scope) -> Value:
    return [expression(element, scope) for element in node.elements]


def _object(node: containers.ObjectRule, scope: Scope) -> Value:
    return {_key(element.key, scope): expression(element.expression, scope) for element in node.elements}


def _key(node: LarkElement, scope: Scope) -> str:
    if isinstance(node, containers.ObjectElemKeyExpressionRule):
        return str(expression(node.expression, scope))
    if isinstance(node, containers.ObjectElemKeyRule):
        if isinstance(node.value, literal_rules.IdentifierRule):
            return str(node.value.token.value)
        return str(expression(node.value, scope))
    raise NotEvaluatedError(f"{node} as a key")


def _call(node: functions.FunctionCallRule, scope: Scope) -> Value:
    name = "::".join(str(part.token.value) for part in node.identifiers)
    given = node.arguments.arguments if node.arguments else []
    if name in ("try", "can"):
        return _attempt(name, given, scope)
    values = [expression(argument, scope) for argument in given]
    if node.arguments and node.arguments.has_ellipsis:
        values = [*values[:-1], *values[-1]]
    if name not in FUNCTIONS:
        raise NotEvaluatedError(f"the function {name}")
    if not all(map(known, values)) and (
        name not in _OF_CONTAINERS
        or (
            any(isinstance(value, Reference) for value in values)
            and name not in ("coalesce", "contains", "lookup")
        )
    ):
        return Reference(f"{name}({', '.join(map(str, values))})")
    try:
        return FUNCTIONS[name](*values)
    except (ValueError, TypeError, KeyError, IndexError) as error:
        raise NotEvaluatedError(f"{name}({', '.join(map(repr, values))}): {error}") from error


def _attempt(name: str, given: list[expressions.ExpressionRule], scope: Scope) -> Value:
    for argument in given:
        try:
            value = expression(argument, scope)
        except NotEvaluatedError as error:
            last = error
        else:
            return True if name == "can" else value
    if name == "can":
        return False
    raise last


def _for_each(node: Any, scope: Scope) -> Iterator[Scope]:  # noqa: ANN401
    intro = node.for_intro
    values = expression(intro.iterable, scope)
    if isinstance(values, Reference):
        raise NotEvaluatedError(f"for over {values.address}")
    pairs = (
        [(key, values[key]) for key in sorted(values)]
        if isinstance(values, Mapping)
        else list(enumerate(values))
    )
    first = str(intro.first_iterator.token.value)
    second = str(intro.second_iterator.token.value) if intro.second_iterator else ""
    for key, value in pairs:
        inner = Names({first: key, second: value} if second else {first: value}, scope)
        if node.condition is None or expression(node.condition.condition_expr, inner) is True:
            yield inner


def _for_tuple(node: for_expressions.ForTupleExprRule, scope: Scope) -> Value:
    return [expression(node.value_expr, inner) for inner in _for_each(node, scope)]


def _for_object(node: for_expressions.ForObjectExprRule, scope: Scope) -> Value:
    found: dict[str, Value] = {}
    for inner in _for_each(node, scope):
        key, value = expression(node.key_expr, inner), expression(node.value_expr, inner)
        if isinstance(key, Reference):
            raise NotEvaluatedError(f"a key is {key.address}")
        if node.ellipsis is not None:
            found.setdefault(str(key), []).append(value)
        elif str(key) in found:
            raise NotEvaluatedError(f"the key {key} is there twice")
        else:
            found[str(key)] = value
    return found


def _get_attribute(node: indexing.GetAttrExprTermRule, scope: Scope) -> Value:
    return attribute(expression(node.expr_term, scope), str(node.get_attr.identifier.token.value))


def _index(node: indexing.IndexExprTermRule, scope: Scope) -> Value:
    base, step = node.children[0], node.children[1]
    return _step(expression(base, scope), step, scope)


def _step(value: Value, step: LarkElement, scope: Scope) -> Value:
    if isinstance(step, indexing.GetAttrRule):
        return attribute(value, str(step.identifier.token.value))
    if isinstance(step, indexing.ShortIndexRule):
        return _element(value, int(str(step.index.token.value)))
    if isinstance(step, indexing.SqbIndexRule):
        return _element(value, expression(step.index_expression, scope))
    raise NotEvaluatedError(f"{type(step).__name__} after a value")


def _element(value: Value, key: Value) -> Value:
    if isinstance(value, Reference):
        return Reference(f"{value.address}[{key!r}]")
    if isinstance(value, list) and isinstance(key, int) and -1 < key < len(value):
        return value[key]
    if isinstance(value, Mapping) and str(key) in value:
        return value[str(key)]
    raise NotEvaluatedError(f"{key!r} is not in {value!r}")


def _splat(node: Any, scope: Scope) -> Value:  # noqa: ANN401
    values = expression(node.expr_term, scope)
    if isinstance(values, Reference):
        return Reference(f"{values.address}[*]")
    found = []
    for value in [] if values is None else values if isinstance(values, list) else [values]:
        for step in node.attr_splat.get_attrs:
            value = _step(value, step, scope)
        found.append(value)
    return found


_KINDS: dict[type, Callable[[Any, Scope], Value]] = {
    expressions.ExprTermRule: _term,
    literal_rules.LiteralValueRule: _literal,
    literal_rules.IntLitRule: _number,
    literal_rules.FloatLitRule: _number,
    literal_rules.IdentifierRule: _identifier,
    literal_rules.KeywordRule: _identifier,
    strings.StringRule: _string,
    strings.HeredocTemplateRule: _heredoc,
    expressions.ConditionalRule: _conditional,
    expressions.BinaryOpRule: _binary,
    expressions.UnaryOpRule: _unary,
    containers.TupleRule: _tuple,
    containers.ObjectRule: _object,
    functions.FunctionCallRule: _call,
    for_expressions.ForTupleExprRule: _for_tuple,
    for_expressions.ForObjectExprRule: _for_object,
    indexing.GetAttrExprTermRule: _get_attribute,
    indexing.IndexExprTermRule: _index,
    indexing.AttrSplatExprTermRule: _splat,
    indexing.FullSplatExprTermRule: _splat,
}
