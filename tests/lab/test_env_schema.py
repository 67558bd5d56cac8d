"""A schema beside a KEY=VALUE file: what it refuses, in a kustomization and among values for cases."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from meshlab.env_file import read_env_file
from meshlab.errors import LabError
from meshlab.kustomize import build
from meshlab.manifest import ManifestError

if TYPE_CHECKING:
    from pathlib import Path

_SCHEMA: dict[str, Any] = {
    "type": "object",
    "required": ["HOST"],
    "properties": {
        "HOST": {"type": "string", "pattern": "^[a-z.]+$", "description": "Write a host in lower case."},
        "SIZE": {"enum": ["small", "large"]},
    },
    "additionalProperties": False,
}
_RIGHT = "HOST=a.internal\nSIZE=small\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "kustomization.yaml").write_text("configMapGenerator: [{name: values, envs: [values.env]}]")
    (tmp_path / "values.env").write_text(_RIGHT)
    (tmp_path / "values.schema.json").write_text(json.dumps(_SCHEMA))
    return tmp_path


def refusals(folder: Path) -> list[str]:
    """What the kustomization and the reader of values say; the same."""
    with pytest.raises(ManifestError) as built:
        build(folder)
    with pytest.raises(LabError) as read:
        read_env_file(folder / "values.env")
    assert str(built.value) == str(read.value)
    return str(read.value).replace(f"{folder}/", "").splitlines()


def test_values_that_the_schema_takes_are_taken(folder: Path) -> None:
    assert read_env_file(folder / "values.env") == {"HOST": "a.internal", "SIZE": "small"}
    (found,) = build(folder)
    assert found.body["data"] == {"HOST": "a.internal", "SIZE": "small"}


def test_a_file_without_a_schema_beside_it_is_not_checked(folder: Path) -> None:
    (folder / "values.schema.json").rename(folder / "other.schema.json")
    (folder / "values.env").write_text("HOST=*\n")
    assert read_env_file(folder / "values.env") == {"HOST": "*"}
    assert build(folder)


def test_a_line_is_what_kustomize_takes_for_one_and_a_key_stands_once(folder: Path) -> None:
    """Text behind U+2028 in a comment is a part of the comment, and not a value that the cases would see alone."""
    (folder / "values.env").write_bytes("# a\u2028HOST=b.internal\n# b\rHOST=c\nHOST=a.internal\r\n".encode())
    (found,) = build(folder)
    assert read_env_file(folder / "values.env") == found.body["data"] == {"HOST": "a.internal"}
    for text in ("HOST=a\nHOST=b\n", "H\u041eST=a\n"):
        (folder / "values.env").write_text(text, encoding="utf-8")
        with pytest.raises(LabError, match=r"values\.env:\d"):
            read_env_file(folder / "values.env")


def test_every_value_that_the_schema_refuses_is_named_with_what_the_schema_says(folder: Path) -> None:
    (folder / "values.env").write_text("HOST=*\nSIZE=huge\nMORE=1\n")
    assert refusals(folder) == [
        "values.env: Additional properties are not allowed ('MORE' was unexpected).",
        "values.env: HOST is '*', which the schema refuses. Write a host in lower case.",
        "values.env: SIZE 'huge' is not one of ['small', 'large'].",
    ]


def test_a_value_that_is_missing_is_named(folder: Path) -> None:
    (folder / "values.env").write_text("SIZE=small\n")
    assert refusals(folder) == ["values.env: 'HOST' is a required property."]


@pytest.mark.parametrize(
    ("schema", "complaint"),
    [
        ("{", "is no JSON Schema: Expecting property name"),
        ('{"type": "thing"}', "is no JSON Schema: 'thing' is not valid"),
        (
            '{"$ref": "https://127.0.0.1:9/x.json"}',
            "refers to another document, and nothing is fetched: https://127.0.0.1:9",
        ),
    ],
)
def test_a_schema_that_is_none_or_lies_elsewhere_is_refused(
    folder: Path, schema: str, complaint: str
) -> None:
    (folder / "values.schema.json").write_text(schema)
    (found,) = refusals(folder)
    assert found.startswith("values.schema.json: ")
    assert complaint in found
