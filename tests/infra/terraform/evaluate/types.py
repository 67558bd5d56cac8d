"""Types of variables: what is filled in, converted and refused when a variable is given a value."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hcl2.rules import containers, expressions, functions, literal_rules

from tests.infra.terraform.evaluate.expressions import expression
from tests.infra.terraform.evaluate.values import NotEvaluatedError, Reference

if TYPE_CHECKING:
    from hcl2.rules.abstract import LarkElement

    from tests.infra.terraform.evaluate.expressions import Scope

__all__ = ["convert"]


def convert(node: LarkElement, value: Any, scope: Scope) -> Any:  # noqa: ANN401
    """Return a value as a type takes it, with the defaults of optional attributes.

    Raises:
        NotEvaluatedError: The type does not take the value.
    """
    if isinstance(node, expressions.ExprTermRule):
        return convert(node.expression, value, scope)
    if value is None or isinstance(value, Reference):
        return value
    if isinstance(node, literal_rules.IdentifierRule):
        return _primitive(str(node.token.value), value)
    if not isinstance(node, functions.FunctionCallRule) or not node.arguments:
        raise NotEvaluatedError(f"{node} as a type")
    name, argument = str(node.identifiers[0].token.value), node.arguments.arguments[0]
    if name == "optional":
        return convert(argument, value, scope)
    if name in ("list", "set"):
        if not isinstance(value, list):
            raise NotEvaluatedError(f"{value!r} is no {name}")
        found = [convert(argument, one, scope) for one in value]
        return sorted(set(found)) if name == "set" and all(isinstance(one, str) for one in found) else found
    if not isinstance(value, dict):
        raise NotEvaluatedError(f"{value!r} is no {name}")
    if name == "map":
        return {key: convert(argument, one, scope) for key, one in value.items()}
    if name == "object":
        return _object(argument, value, scope)
    raise NotEvaluatedError(f"{name}() as a type")


def _primitive(name: str, value: Any) -> Any:  # noqa: ANN401
    if name == "any":
        return value
    if name == "string" and isinstance(value, bool | int | float):
        return str(value).lower()
    expected: dict[str, tuple[type, ...]] = {"string": (str,), "number": (int, float), "bool": (bool,)}
    if not isinstance(value, expected[name]):
        raise NotEvaluatedError(f"{value!r} is no {name}")
    return value


def _object(node: LarkElement, value: dict[str, Any], scope: Scope) -> dict[str, Any]:
    if isinstance(node, expressions.ExprTermRule):
        return _object(node.expression, value, scope)
    if not isinstance(node, containers.ObjectRule):
        raise NotEvaluatedError(f"object({node})")
    found: dict[str, Any] = {}
    for element in node.elements:
        name = str(element.key.serialize())
        kind = element.expression
        while isinstance(kind, expressions.ExprTermRule):
            kind = kind.expression
        optional = (
            isinstance(kind, functions.FunctionCallRule)
            and str(kind.identifiers[0].token.value) == "optional"
        )
        given = value.get(name)
        if given is None and optional:
            arguments = kind.arguments.arguments
            given = expression(arguments[1], scope) if len(arguments) > 1 else None
        elif name not in value:
            raise NotEvaluatedError(f"{name} is missing in {sorted(value)}")
        found[name] = convert(kind, given, scope)
    return found
