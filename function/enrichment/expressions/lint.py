"""Rules for expressions that JMESPath's grammar takes and that can never give a value.

An expression is read as the tree that JMESPath parses it into. Names at its top are looked up in the scope, where only
the roots are. Names behind a projection, a pipe or a dot are looked up in the value on their left.
"""

import json
from collections.abc import Callable, Collection, Iterator, Mapping
from typing import Any, TypeAlias

from enrichment.documents.instant import check_time_format
from enrichment.expressions.compiler import check_path, check_root
from enrichment.expressions.errors import ExpressionError
from enrichment.expressions.functions import FUNCTIONS, kind_of
from enrichment.expressions.scope import EVENT
from enrichment.settings.toml_section import suggestion

Tree: TypeAlias = dict[str, Any]

_LEFT_FIRST = {  # their first child reads the same value as they do, the others read the result of that
    "subexpression",
    "index_expression",
    "projection",
    "value_projection",
    "filter_projection",
    "flatten",
    "pipe",
}
_VALUES_ONLY = {"field", "literal", "index", "slice", "current", "identity"}


def check_tree(tree: Tree, roots: Collection[str], arities: Mapping[str, tuple[int, bool]]) -> None:
    """Check an expression.

    Args:
        tree: The parsed expression.
        roots: The names that it can begin with.
        arities: The least number of arguments of each function of JMESPath, and whether it takes more.

    Raises:
        ExpressionError: It can never give a value.
    """
    for node in _nodes(tree):
        if node["type"] == "function_expression":
            _check_call(node, arities)
        elif node["type"] == "literal":
            _check_literal(node["value"])
        elif node["type"] == "pipe":
            _check_pipe(node, roots)
        elif node["type"] == "subexpression":
            _check_chain(
                node, "object", ".KEY", "Put the path in parentheses, or write [].KEY behind an array."
            )
        elif node["type"] == "index_expression":
            _check_chain(node, "array", "[N]", "Put the path in parentheses.")
    for top in _tops(tree):
        if top["type"] != "field":
            raise ExpressionError(f"it must begin with one of {', '.join(roots)}")
        check_root(top["value"], roots)
    for path in paths(tree):
        check_path(path)


def functions(tree: Tree) -> frozenset[str]:
    """Return the names of the functions that an expression calls."""
    return frozenset(node["value"] for node in _nodes(tree) if node["type"] == "function_expression")


def record_keys(tree: Tree) -> frozenset[str]:
    """Return the keys of the records that an expression makes."""
    return frozenset(node["value"] for node in _nodes(tree) if node["type"] == "key_val_pair")


def paths(tree: Tree) -> list[tuple[str, ...]]:
    """Return the paths that an expression begins with, as far as they are plain keys: root and keys."""
    found: dict[tuple[str, ...], None] = {}
    _collect(tree, found)
    return list(found)


def _collect(node: Tree, found: dict[tuple[str, ...], None]) -> None:
    kind = node["type"]
    path, _ = _beginning(node)
    if path:
        found[path] = None
    elif kind in _LEFT_FIRST:
        _collect(node["children"][0], found)
    elif kind not in _VALUES_ONLY and kind != "expref":
        for child in node["children"]:
            _collect(child, found)


def _beginning(node: Tree) -> tuple[tuple[str, ...], bool]:
    """Return the plain keys that a node begins with, and whether they are all of it."""
    kind = node["type"]
    if kind == "field":
        return (node["value"],), True
    if kind not in _LEFT_FIRST:
        return (), False
    path, complete = _beginning(node["children"][0])
    if kind == "subexpression" and path:
        for child in node["children"][1:]:
            if not complete:
                break
            keys, complete = _beginning(child)
            path += keys
        return path, complete
    return path, False


def _nodes(node: Tree) -> Iterator[Tree]:
    yield node
    for child in node["children"]:
        if isinstance(child, dict):  # a slice has numbers
            yield from _nodes(child)


def _tops(node: Tree) -> Iterator[Tree]:
    """Return the nodes that read the scope itself."""
    kind = node["type"]
    if kind in ("literal", "expref"):
        return
    if kind in _VALUES_ONLY:
        yield node
    elif kind in _LEFT_FIRST:
        yield from _tops(node["children"][0])
    else:
        for child in node["children"]:
            yield from _tops(child)


def _check_call(node: Tree, arities: Mapping[str, tuple[int, bool]]) -> None:
    name, given = node["value"], len(node["children"])
    if name in FUNCTIONS:
        least, more = len(FUNCTIONS[name].parameters), False
    elif name in arities:
        least, more = arities[name]
    else:
        known = (*arities, *FUNCTIONS)
        advice = _OTHER_NAMES.get(name.lower(), "")
        raise ExpressionError(
            f"there is no function {name}()." + (f" Write {advice}." if advice else suggestion(name, known))
        )
    if name == "parse_time" and given == least and node["children"][1]["type"] == "literal":
        try:
            check_time_format(str(node["children"][1]["value"]))
        except ValueError as error:
            raise ExpressionError(f"the form of a time in it is wrong: {error}") from None
    if given < least or (given > least and not more):
        wanted = f"{least} argument{'' if least == 1 else 's'}{' or more' if more else ''}"
        raise ExpressionError(f"{name}() takes {wanted}, and has {given}")


_OTHER_NAMES = {
    "coalesce": "A || B, or not_null(A, B)",
    "ifnull": "A || B, or not_null(A, B)",
    "if": "CONDITION && VALUE || OTHER",
    "concat": "join('', [A, B])",
    "format": "join('', [A, B])",
    "len": "length(A)",
    "size": "length(A)",
    "count": "length(A)",
    "substr": "truncate(A, N), which gives the first N characters",
    "substring": "truncate(A, N), which gives the first N characters",
    "left": "truncate(A, N)",
    "parse_json": "from_json(A)",
    "json_parse": "from_json(A)",
    "to_json": "to_string(A)",
    "to_json_string": "to_string(A)",
    "json_stringify": "to_string(A)",
    "string": "to_string(A)",
    "int": "to_number(A)",
    "float": "to_number(A)",
    "number": "to_number(A)",
    "now": "now, without parentheses",
    "current_timestamp": "now, without parentheses",
    "parse_timestamp": "parse_time(TEXT, FORMAT)",
    "strptime": "parse_time(TEXT, FORMAT)",
    "timestamp": "from_unix_s(NUMBER), or parse_time(TEXT, FORMAT)",
    "md5": "sha256(A)",
    "hash": "sha256(A)",
}
"""Names that other languages have for what is here, and how it is written."""


def _check_literal(value: object) -> None:
    """Refuse what Python's reader takes and JSON does not have: it could be written for no event."""
    try:
        json.dumps(value, allow_nan=False, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        raise ExpressionError("a text in it has half of a surrogate pair, which is no character") from None
    except ValueError:
        raise ExpressionError("NaN and Infinity are not JSON, and stand between no back quotes") from None


def _check_pipe(node: Tree, roots: Collection[str]) -> None:
    for path in paths(node["children"][1]):
        if path[0] in roots and (len(path) > 1 or path[0] in ("now", EVENT)):
            name = ".".join(path)
            raise ExpressionError(
                f"behind a pipe, names begin inside the value on its left, where {name} is not. "
                f"For the first of two that has a value, write ||"
            )


def _check_chain(node: Tree, needed: str, step: str, advice: str) -> None:
    """Refuse a step into what is known to be of another type, such as the truth that `!event.a` finds first."""
    for child in node["children"][:-1]:
        kinds = result_kinds(child)
        if kinds and needed not in kinds:
            raise ExpressionError(
                f"{step} stands behind {' or '.join(sorted(kinds))}, and gives nothing. {advice}"
            )


def result_kinds(tree: Tree) -> frozenset[str]:
    """Return the JSON types, null left out, that an expression can have; empty where any is possible."""
    kind = tree["type"]
    children = tree["children"]
    if kind in ("comparator", "not_expression"):
        return frozenset({"boolean"})
    if kind in ("multi_select_dict",):
        return frozenset({"object"})
    if kind in (
        "multi_select_list",
        "projection",
        "value_projection",
        "filter_projection",
        "flatten",
        "slice",
    ):
        return frozenset({"array"})
    if kind == "literal":
        return frozenset({kind_of(tree["value"])})
    if kind in ("or_expression", "and_expression"):
        left, right = result_kinds(children[0]), result_kinds(children[1])
        return left | right if left and right else frozenset()
    if kind == "pipe" or (kind in ("subexpression", "index_expression") and children):
        return result_kinds(children[-1]) if children[-1]["type"] != "field" else frozenset()
    if kind == "function_expression":
        returned = (
            FUNCTIONS[tree["value"]].returns
            if tree["value"] in FUNCTIONS
            else _RETURNS.get(tree["value"], "")
        )
        return frozenset({returned}) if returned else frozenset()
    return frozenset()


def always_has_value(tree: Tree, is_there: Callable[[tuple[str, ...]], bool]) -> bool:
    """Return whether an expression is known never to give null.

    Args:
        tree: The expression.
        is_there: Whether a path always has a value, and one that counts as true.
    """
    kind, children = tree["type"], tree["children"]
    path, complete = _beginning(tree)
    if path:
        return complete and is_there(path)
    match kind:
        case "literal":
            return tree["value"] is not None
        case "multi_select_dict" | "multi_select_list" | "not_expression":
            return True
        case "comparator":
            return tree["value"] in ("eq", "ne")
        case "or_expression":
            return always_has_value(children[1], is_there) or _is_always_true(children[0], is_there)
        case "function_expression":
            name = tree["value"]
            if name == "not_null":
                return any(always_has_value(child, is_there) for child in children)
            if name in ("type", "to_array"):
                return True
            takes_any_text = name in FUNCTIONS and name != "from_json"
            return (takes_any_text or name == "to_string") and always_has_value(children[0], is_there)
    return False


def _is_always_true(tree: Tree, is_there: Callable[[tuple[str, ...]], bool]) -> bool:
    path, complete = _beginning(tree)
    if path:
        return complete and is_there(path)
    return tree["type"] == "literal" and tree["value"] not in (None, False, "", [], {})


_RETURNS = {
    **dict.fromkeys(("contains", "starts_with", "ends_with"), "boolean"),
    **dict.fromkeys(("abs", "avg", "ceil", "floor", "length", "sum", "to_number"), "number"),
    **dict.fromkeys(("join", "to_string", "type"), "string"),
    **dict.fromkeys(("keys", "map", "sort", "sort_by", "to_array", "values"), "array"),
    "merge": "object",
}
