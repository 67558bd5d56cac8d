"""Expressions in JMESPath (https://jmespath.org/specification.html).

This module imports `jmespath`, and is itself imported only where an expression is no plain path.
"""

import json
import math
import re
import warnings
from collections.abc import Callable, Collection, Mapping
from typing import Any

import jmespath
from jmespath.exceptions import JMESPathError, JMESPathTypeError, LexerError, ParseError
from jmespath.functions import Functions as JMESPathFunctions
from jmespath.lexer import Lexer
from jmespath.visitor import Options, TreeInterpreter

from enrichment.expressions import lint
from enrichment.expressions.compiler import shown
from enrichment.expressions.errors import EvaluationError, ExpressionError
from enrichment.expressions.functions import FUNCTIONS, REPLACED, kind_of
from enrichment.expressions.scope import OF_EVENT, Scope

_STANDARD = JMESPathFunctions()
ARITIES: Mapping[str, tuple[int, bool]] = {
    name: (len(spec["signature"]), bool(spec["signature"] and spec["signature"][-1].get("variadic")))
    for name, spec in JMESPathFunctions.FUNCTION_TABLE.items()
}
"""The least number of arguments of each function of JMESPath, and whether it takes more."""


class _Functions:
    """What JMESPath asks for when an expression calls a function."""

    def call_function(self, name: str, arguments: list[Any]) -> object:
        if name in FUNCTIONS:
            return FUNCTIONS[name].checked_call(name, arguments)
        if name in REPLACED:
            return REPLACED[name](*arguments)
        result = _STANDARD.call_function(name, arguments)
        if isinstance(result, float) and not math.isfinite(result):
            raise EvaluationError(f"calls {name}(), and the result is too large for a number")
        return result


_NUMBER = re.compile(r"[0-9.]+")
_WANTED = {"array-number": "an array of numbers", "array-string": "an array of strings"}
_INTERPRETER = TreeInterpreter(Options(custom_functions=_Functions()))


def parse(text: str, roots: Collection[str]) -> lint.Tree:
    """Read an expression and check it.

    Args:
        text: As it stands in the file.
        roots: The names that it can begin with.

    Returns:
        Its tree.

    Raises:
        ExpressionError: It is no expression, or one that can never give a value.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", PendingDeprecationWarning)
            tree: lint.Tree = jmespath.compile(text).parsed
    except PendingDeprecationWarning:
        raise ExpressionError(
            "between back quotes stands JSON; a text stands between single quotes"
        ) from None
    except ParseError as error:
        raise ExpressionError(_grammar_problem(text, error)) from None
    except (JMESPathError, RecursionError):
        raise ExpressionError("it is empty or too deep") from None
    lint.check_tree(tree, roots, ARITIES)
    _check_quotes(text)
    return tree


def _check_quotes(text: str) -> None:
    """Refuse a key in double quotes where a text is meant.

    To JMESPath `[?name == "new"]` compares two keys of each element: it is true wherever both are missing.

    Args:
        text: An expression of the grammar.

    Raises:
        ExpressionError: Such a key stands alone behind a comparison, or as an argument of a function but the first.
    """
    tokens = list(Lexer().tokenize(text))
    kinds = [str(token["type"]) for token in tokens]
    inside: list[str] = []
    for place, kind in enumerate(kinds):
        before = kinds[place - 1] if place else ""
        if kind in _OPENING:
            inside.append("call" if kind == "lparen" and before.endswith("identifier") else kind)
        elif kind in _CLOSING and inside:
            inside.pop()
        elif kind == "quoted_identifier" and kinds[place + 1] != "dot":
            is_argument = before == "comma" and inside[-1:] == ["call"]
            if before in _COMPARISONS or is_argument:
                name = tokens[place]["value"]
                raise ExpressionError(
                    f"{json.dumps(name[:80], ensure_ascii=False)} in double quotes is a key, and not a text. "
                    f"To mean the text, write '{name[:80]}'; to mean the key, write @.{shown(name)}"
                )


_OPENING = frozenset({"lparen", "lbrace", "lbracket", "filter"})
_CLOSING = frozenset({"rparen", "rbrace", "rbracket"})
_COMPARISONS = frozenset({"eq", "ne", "lt", "lte", "gt", "gte"})


def evaluator(tree: lint.Tree) -> Callable[[Scope], object]:
    """Return the function that evaluates an expression in a scope.

    It raises `EvaluationError` where the values of one event do not fit. What needs the event alone is evaluated once
    for all rows of it: 10,000 items times an array of 100,000 elements would take half an hour.
    """
    evaluate = _evaluator(tree)
    if not OF_EVENT.issuperset(path[0] for path in lint.paths(tree)):
        return evaluate

    def evaluate_once(scope: Scope) -> object:
        memo = scope.memo
        if memo is None:
            return evaluate(scope)
        if evaluate not in memo:
            try:
                memo[evaluate] = evaluate(scope)
            except EvaluationError as error:
                memo[evaluate] = error
        found = memo[evaluate]
        if isinstance(found, EvaluationError):
            raise EvaluationError(*found.args)
        return found

    return evaluate_once


def _evaluator(tree: lint.Tree) -> Callable[[Scope], object]:
    def evaluate(scope: Scope) -> object:
        try:
            return _INTERPRETER.visit(tree, scope.document)
        except EvaluationError:
            raise
        except JMESPathTypeError as error:
            wanted = " or ".join(_WANTED.get(str(kind), str(kind)) for kind in error.expected_types)
            raise EvaluationError(
                f"calls {error.function_name}() with {kind_of(error.current_value)}, which must be {wanted}"
            ) from None
        except (JMESPathError, TypeError, AttributeError, ValueError, ArithmeticError, RecursionError):
            # jmespath compares and searches without looking at types first.
            raise EvaluationError("combines values of types that do not go together") from None

    return evaluate


_OTHER_LANGUAGES = (
    (re.compile(r"or\b|\?\?"), "for the first of two that has a value, write ||"),
    (re.compile(r"and\b"), "for both of two conditions, write &&"),
    (re.compile(r"\?\."), "a path through what is missing gives null, so write a plain dot"),
    (re.compile(r"\?"), "write CONDITION && VALUE || OTHER"),
    (re.compile(r"\+"), "there is no +; join('', [A, B]) puts texts together, and sum([A, B]) adds numbers"),
    (re.compile(r"'[^']*'\]"), 'a key stands behind a dot, and in double quotes: event."a b"'),
)


def _grammar_problem(text: str, error: ParseError) -> str:
    """One sentence about a text that is no expression."""
    position = error.lex_position if isinstance(error.lex_position, int) else len(text)
    position = max(0, min(position, len(text)))
    if position >= len(text):
        return "it ends too early"
    at = f"at character {position + 1}"
    if isinstance(error, LexerError):
        character = text[position]
        if character in "-$/" or (character.isprintable() and not character.isascii()):
            return (
                f"it cannot be read {at}: a key with other characters than letters, digits and _ stands "
                'in double quotes, event."a-b"'
            )
        if character == "=":
            return f"it cannot be read {at}: to compare, write =="
        if character in "\"'`":
            return f"it cannot be read {at}: the quotation mark is not closed, or what is between is no JSON"
    for begins, advice in _OTHER_LANGUAGES:
        if begins.match(text, position):
            return f"it cannot be read {at}: {advice}"
    if number := _NUMBER.match(text, position):
        return f"it cannot be read {at}: a number stands in back quotes, `{number[0]}`"
    return f"it cannot be read {at}, before {shown(text[position:])}"
