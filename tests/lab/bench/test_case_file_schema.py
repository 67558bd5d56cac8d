"""The JSON schema of case files: it and the reader accept and refuse the same files."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from meshlab.bench.case_file import CaseFileError, CaseProblem, parse_case_file
from meshlab.bench.case_file.nodes import compose
from meshlab.bench.case_file.schema import case_file_schema
from meshlab.bench.flaws import FLAWS

from tests.lab.bench.case_texts import GOOD, MEANING_FAULTS, SHAPE_FAULTS, edited

SHIPPED = Path(__file__).parents[3] / "lab/src/meshlab/data/case-file.schema.json"
VALIDATOR = Draft202012Validator(case_file_schema())


def as_json(text: str) -> Any:  # noqa: ANN401 - JSON
    """The document as an editor's schema check sees it: every key is text."""
    root, problems = compose(text, "cases.yaml")
    assert root is not None
    assert problems == []
    return json.loads(json.dumps(root.value()))


def problems_of(text: str) -> tuple[CaseProblem, ...]:
    try:
        parse_case_file(text, "cases.yaml")
    except CaseFileError as error:
        return error.problems
    return ()


def test_the_shipped_schema_is_the_one_that_the_words_make() -> None:
    assert json.loads(SHIPPED.read_text()) == case_file_schema()
    Draft202012Validator.check_schema(case_file_schema())


def test_the_schema_describes_every_flaw() -> None:
    flaw = case_file_schema()["$defs"]["tokenWords"]["properties"]["flaw"]
    assert flaw["enum"] == list(FLAWS)
    assert all(meaning in flaw["description"] for meaning in FLAWS.values())


def test_schema_and_reader_accept_a_file_that_uses_every_word() -> None:
    assert list(VALIDATOR.iter_errors(as_json(GOOD))) == []
    assert problems_of(GOOD) == ()


@pytest.mark.parametrize("fault", SHAPE_FAULTS)
def test_schema_and_reader_refuse_one_fault(fault: str) -> None:
    old, new, message = SHAPE_FAULTS[fault]
    text = edited(old, new)
    assert not VALIDATOR.is_valid(as_json(text))
    (problem,) = problems_of(text)
    assert problem.kind == "shape"
    assert message in str(problem)


@pytest.mark.parametrize("fault", MEANING_FAULTS)
def test_the_reader_alone_refuses_what_a_schema_cannot_say(fault: str) -> None:
    old, new, message = MEANING_FAULTS[fault]
    text = edited(old, new)
    assert VALIDATOR.is_valid(as_json(text))
    (problem,) = problems_of(text)
    assert problem.kind == "meaning"
    assert message in str(problem)


def _paths(value: object, path: tuple[str | int, ...] = ()) -> list[tuple[str | int, ...]]:
    children = (
        value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    )
    return [path, *(found for key, child in children for found in _paths(child, (*path, key)))]


def _texts(schema: dict[str, Any]) -> list[str]:
    """Words, patterns' own examples and enumerated values of the schema, as material for mutations."""
    found: list[str] = []
    for path in _paths(schema):
        here: Any = schema
        for key in path:
            here = here[key]
        if path and path[-1] == "enum":
            found += [str(value) for value in here]
        elif len(path) > 1 and path[-2] == "properties":
            found.append(str(path[-1]))
    return sorted(set(found))


DOCUMENT = as_json(GOOD)
WORDS = _texts(case_file_schema())
TEXTS = [
    *WORDS, "", " ", "none", "-", "shop/cart", "cart", "200 shop/cart", "refused", "answered a/b", "301 a/b",
    "GET https://a.example/", "https://a.example:99999/", "a.example:80", "spiffe://a/b", "192.0.2.1", "a\nb", "x y",
]  # fmt: skip
LEAVES = st.one_of(
    st.none(), st.booleans(), st.integers(-2, 70_000), st.sampled_from([1.1, 2.5]), st.sampled_from(TEXTS),
    st.text(max_size=8),
)  # fmt: skip
VALUES = st.recursive(
    LEAVES,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(st.sampled_from(TEXTS), inner, max_size=3)
    ),
    max_leaves=6,
)


@st.composite
def mutated(draw: st.DrawFn) -> dict[str, Any]:
    """The good document with a few places replaced, removed or given another word of the schema."""
    document: dict[str, Any] = json.loads(json.dumps(DOCUMENT))
    for _ in range(draw(st.integers(1, 3))):
        *above, last = draw(st.sampled_from([path for path in _paths(document) if path]))
        parent: Any = document
        for key in above:
            parent = parent[key]
        action = draw(st.sampled_from(["replace", "replace", "remove", "add"]))
        if action == "replace":
            parent[last] = draw(VALUES)
        elif action == "remove":
            del parent[last]
        elif isinstance(parent, dict):
            parent[draw(st.sampled_from(WORDS))] = draw(VALUES)
        if not document:
            break
    return document


@settings(max_examples=200, deadline=None)
@given(mutated())
def test_schema_and_reader_agree_on_files_made_of_the_schemas_words(document: dict[str, Any]) -> None:
    text = yaml.dump(document, Dumper=yaml.CSafeDumper, allow_unicode=True)
    root, from_yaml = compose(text, "cases.yaml")
    if root is None or from_yaml:  # what only YAML is wrong with, such as a control character
        assert problems_of(text)
        return
    problems = problems_of(text)
    if VALIDATOR.is_valid(json.loads(json.dumps(root.value()))):
        assert [str(problem) for problem in problems if problem.kind == "shape"] == []
    else:
        assert problems != (), text
