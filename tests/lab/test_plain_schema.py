"""The quick look at a JSON Schema takes nothing that the jsonschema package refuses."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any, TypeAlias

import jsonschema
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from meshlab.env_file import read_env_file
from meshlab.plain_schema import plainly_passes

ROOT = Path(__file__).parents[2]
CONTRACTS = [ROOT / "infra/contract.env", ROOT / "infra/mesh/lambda-bridge/contract/bridge.env"]

Json: TypeAlias = Any

_KEYS = st.sampled_from(["A", "B", "AB", ""])
_TEXTS = st.sampled_from(["", "a", "A", "ab", "a\n", "é", "aaaa"])
_PATTERNS = st.sampled_from(["a", "^a$", "^[A-Z]$", "", "(", "^(a|b)", "b|^A", "a{99999999999}"])
_ODD = st.sampled_from(
    [None, 1, -1, 1.0, True, "string", "thing", [], ["A"], ["A", "A"], [1], {}, {"type": "thing"}]
)


def _schemas_of(parts: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    by_pattern = st.dictionaries(_PATTERNS, parts, max_size=2)
    keywords = {
        "type": st.sampled_from(["object", "string", "number", "array"]),
        "pattern": _PATTERNS,
        "minLength": st.integers(0, 3),
        "maxLength": st.integers(0, 3),
        "enum": st.lists(_TEXTS, max_size=3),
        "required": st.lists(_KEYS, max_size=2),
        "properties": st.dictionaries(_KEYS, parts, max_size=3),
        "patternProperties": by_pattern,
        "additionalProperties": parts,
        "propertyNames": parts,
        "not": parts,
        "anyOf": st.lists(parts, max_size=2),
        "description": st.just("said"),
        "$schema": st.sampled_from(["https://json-schema.org/draft/2020-12/schema", "http://a.example/"]),
    }
    right = st.fixed_dictionaries({}, optional=keywords)
    wrong = st.dictionaries(st.sampled_from([*keywords, "$ref", "const"]), _ODD, max_size=1)
    return st.one_of(right, st.builds(lambda one, other: {**one, **other}, right, wrong))


_SCHEMAS = st.recursive(st.one_of(st.booleans(), _schemas_of(st.booleans())), _schemas_of, max_leaves=8)


def refused(schema: Json, values: dict[str, str]) -> bool:
    """Return whether the package refuses the schema or the values."""
    try:
        jsonschema.Draft202012Validator.check_schema(schema)
    except jsonschema.SchemaError:
        return True
    return not jsonschema.Draft202012Validator(schema).is_valid(values)


@settings(max_examples=400, deadline=None)
@given(schema=_SCHEMAS, values=st.dictionaries(_KEYS, _TEXTS, max_size=3))
def test_what_passes_here_passes_there(schema: Json, values: dict[str, str]) -> None:
    if plainly_passes(schema, values):
        assert not refused(schema, values)


def test_each_keyword_is_seen() -> None:
    """With the values that it takes and with those that it refuses, as the package has it."""
    cases: list[tuple[dict[str, Any], dict[str, str], dict[str, str]]] = [
        ({"required": ["A"]}, {"A": ""}, {}),
        ({"properties": {"A": {"pattern": "^a$"}}}, {"A": "a"}, {"A": "b"}),
        ({"properties": {"A": {"minLength": 2}}}, {"A": "ab"}, {"A": "a"}),
        ({"properties": {"A": {"maxLength": 2}}}, {"A": "ab"}, {"A": "abc"}),
        ({"properties": {"A": {"enum": ["a"]}}}, {"A": "a"}, {"A": "b"}),
        ({"properties": {"A": {"not": {"pattern": "a"}}}}, {"A": "b"}, {"A": "a"}),
        ({"properties": {"A": False}}, {"B": ""}, {"A": ""}),
        ({"properties": {"A": {"type": "string"}}}, {"A": ""}, {"A": "", "B": ""}),
        ({"additionalProperties": {"pattern": "a"}}, {"A": "a"}, {"A": "b"}),
        ({"patternProperties": {"^A": {"pattern": "a"}}}, {"AB": "a"}, {"AB": "b"}),
        ({"propertyNames": {"pattern": "A"}}, {"A": ""}, {"B": ""}),
    ]
    cases[7][0]["additionalProperties"] = False
    for schema, right, wrong in cases:
        whole = {"type": "object", **schema}
        assert plainly_passes(whole, right), schema
        assert not refused(whole, right), schema
        assert not plainly_passes(whole, wrong), schema
        assert refused(whole, wrong), schema


@pytest.mark.parametrize("file", CONTRACTS, ids=lambda path: path.name)
def test_the_values_of_this_project_pass(file: Path) -> None:
    schema = json.loads(file.with_name(f"{file.stem}.schema.json").read_text())
    values = read_env_file(file)
    assert plainly_passes(schema, values)
    assert not plainly_passes(schema, {**values, next(iter(values)): "no such value\n"})


def test_a_command_with_right_values_does_not_load_the_package() -> None:
    code = (
        "import sys\n"
        "from pathlib import Path\n"
        "from meshlab.kustomize import build\n"
        "build(Path('infra/mesh/overlays/example'))\n"
        "print('jsonschema' in sys.modules)\n"
    )
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.stdout == "False\n", done.stderr
