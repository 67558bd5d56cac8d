"""Descriptions: every problem of every file at once, each with file and line."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from meshgen.sources import DescriptionError, read_descriptions

if TYPE_CHECKING:
    from pathlib import Path

SCHEMA = {
    "type": "object",
    "additionalProperties": False,
    "required": ["name"],
    "properties": {
        "name": {"type": "string", "description": "a name"},
        "on": {"type": "boolean"},
        "paths": {"type": "array", "items": {"type": "string", "pattern": "^/", "description": "a path"}},
    },
}


@pytest.fixture
def schema(tmp_path: Path) -> Path:
    file = tmp_path / "schema.json"
    file.write_text(json.dumps(SCHEMA))
    return file


def described(directory: Path, name: str, text: str | bytes) -> Path:
    file = directory / name
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    return file


def problems(schema: Path, *files: Path) -> list[str]:
    with pytest.raises(DescriptionError) as caught:
        read_descriptions(files, schema)
    assert str(caught.value) == "\n".join(caught.value.problems)
    return [problem.replace(str(files[0].parent) + "/", "") for problem in caught.value.problems]


def test_a_description_is_its_fields_and_the_name_of_its_file(tmp_path: Path, schema: Path) -> None:
    file = described(tmp_path, "one.yaml", "name: first\npaths: [/a]\n")
    (found,) = read_descriptions([file], schema)
    assert (found.name, found.value) == ("one", {"name": "first", "paths": ["/a"]})


def test_a_sentence_about_a_value_begins_with_its_file_and_line(tmp_path: Path, schema: Path) -> None:
    file = described(tmp_path, "one.yaml", "name: first\npaths:\n  - /a\n  - /b\n")
    (found,) = read_descriptions([file], schema)
    assert found.problem("is wrong.", "paths", 1) == f"{file}:4: is wrong."
    assert found.problem("is wrong.") == f"{file}:1: is wrong."
    assert found.problem("is missing.", "paths", 7) == f"{file}:2: is missing."


def test_all_problems_of_all_files_are_reported_at_once(tmp_path: Path, schema: Path) -> None:
    first = described(tmp_path, "a.yaml", "paths:\n  - /a\n  - b\n")
    second = described(tmp_path, "b.yaml", "name: x\nmethod: GET\n")
    found = problems(schema, first, second)
    assert found == [
        "a.yaml:1: the file: 'name' is a required property.",
        "a.yaml:3: paths.1: 'b' does not match '^/'. Expected: a path",
        "b.yaml:1: the file: Additional properties are not allowed ('method' was unexpected).",
    ]


def test_what_would_be_lost_or_read_in_two_ways_is_refused(tmp_path: Path, schema: Path) -> None:
    file = described(tmp_path, "a.yaml", "name: yes\nname: again\n")
    assert problems(schema, file)[0] == "a.yaml:2: the key name stands here twice."
    ambiguous = described(tmp_path, "b.yaml", "name: yes\n")
    assert problems(schema, ambiguous)[0].startswith(
        "b.yaml:1: yes is read differently by different YAML readers"
    )


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "a.yaml:1: expected one mapping"),
        ("- name\n", "a.yaml:1: expected one mapping"),
        ("name: a\n---\nname: b\n", "a.yaml:1: expected one mapping"),
        ("name: [\n", "a.yaml:2: "),
        (b"name: \xff\n", "a.yaml: cannot be read"),
    ],
)
def test_a_file_that_is_no_single_mapping_is_refused(
    tmp_path: Path, schema: Path, text: str | bytes, says: str
) -> None:
    (found,) = problems(schema, described(tmp_path, "a.yaml", text))
    assert found.startswith(says)


def test_a_file_that_is_not_there_is_named(tmp_path: Path, schema: Path) -> None:
    (found,) = problems(schema, tmp_path / "none.yaml")
    assert found.startswith("none.yaml: cannot be read")
