"""Rules look at objects as written, in which any value may be of any type: no rule fails on one."""

from __future__ import annotations

import copy
import random
from typing import TYPE_CHECKING, Any

import pytest
from meshlab.inputs import Inputs
from meshlab.istio import load_mesh
from meshlab.lint.rules import RULES, examples
from meshlab.lint.run import lint
from meshlab.manifest import ManifestError, to_manifest

from tests import yaml_text

if TYPE_CHECKING:
    from collections.abc import Iterator

    from meshlab.lint.rule import Rule

VALUES: tuple[Any, ...] = (None, [], {}, [[]], [None], {"a": []}, 7, -1, 1.5, True, "", "x", "*", ["x", 1])
TRIES = 3
"""How many values are changed of the manifest of each rule; more were tried while the rules were written."""


def places(value: object, path: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    """Yield the path of every value below an object's spec and metadata."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in items:
        yield (*path, key)
        yield from places(item, (*path, key))


def with_odd_value(documents: list[dict[str, Any]], choose: random.Random) -> list[dict[str, Any]]:
    """Return the objects with one value replaced."""
    changed = copy.deepcopy(documents)
    index = choose.randrange(len(changed))
    path = choose.choice(
        [path for path in places(changed[index]) if path not in (("kind",), ("apiVersion",))]
    )
    holder: Any = changed[index]
    for key in path[:-1]:
        holder = holder[key]
    holder[path[-1]] = copy.deepcopy(choose.choice(VALUES))
    return changed


def look(documents: list[dict[str, Any]]) -> None:
    """Look for mistakes in objects; those that are none are left out."""
    found = []
    for document in documents:
        try:
            found.append(to_manifest(document, "odd.yaml", namespace="default"))
        except ManifestError:
            continue
    inputs = Inputs(tuple(found), (), (), ())
    lint(inputs, load_mesh(inputs.manifests, inject_unknown_namespaces=True), lambda _: None)


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.name)
def test_no_rule_fails_on_a_value_of_another_type(rule: Rule) -> None:
    pair = examples(rule)
    assert pair is not None
    documents = list(yaml_text.read_all(pair[0].read_text()))
    choose = random.Random(rule.code)
    for _ in range(TRIES):
        look(with_odd_value(documents, choose))
