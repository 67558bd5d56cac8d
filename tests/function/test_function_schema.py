"""The JSON schema of `pipeline.toml`: as written by the code, and in step with the reader of the file."""

import tomllib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from enrichment.commands import schema
from enrichment.settings import pipeline_file
from enrichment.settings.schema import pipeline_schema
from enrichment.settings.toml_section import Section

from .conftest import FUNCTION

SHIPPED = FUNCTION / "pipeline.toml"


def valid(document: object) -> bool:
    return bool(jsonschema.Draft7Validator(pipeline_schema()).is_valid(document))


def test_the_published_schema_is_what_the_code_writes() -> None:
    assert (FUNCTION / "pipeline.schema.json").read_text() == schema.text(), (
        "write it anew: cd function && python -m enrichment schema > pipeline.schema.json"
    )


def test_the_schema_is_one_and_the_shipped_file_names_and_fits_it() -> None:
    jsonschema.Draft7Validator.check_schema(pipeline_schema())
    assert SHIPPED.read_text().startswith("#:schema ./pipeline.schema.json\n")
    assert valid(tomllib.loads(SHIPPED.read_text()))


EVERY_SECTION = """
[lookups.other]
path = "/other/{id}"
params = { id = "event.user_id" }
miss = { status = 404 }
[lookups.many]
params = { id = "event.user_id" }
batch = { path = "/many", body_field = "ids", key = "id" }
"""


def test_the_schema_and_the_reader_know_the_same_keys(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    known: dict[str, set[str]] = {}

    def note(section: Section, keys: Iterable[str]) -> None:
        known[section._place] = set(keys)

    monkeypatch.setattr(Section, "refuse_others", note)
    (tmp_path / "pipeline.toml").write_text(SHIPPED.read_text() + EVERY_SECTION)
    pipeline_file.inspect(tmp_path / "pipeline.toml", FUNCTION / "enrichment" / "table.json")
    for place in known:
        found: dict[str, Any] = pipeline_schema()
        for key in filter(None, place.split(".")):
            found = found.get("properties", {}).get(key) or found["additionalProperties"]
        if not place.startswith("event.fields."):
            assert set(found["properties"]) == known[place], place
    assert {"event", "lookup.cache", "lookups.other.miss", "lookups.many.batch", "batch"} <= known.keys()
    assert valid(tomllib.loads((tmp_path / "pipeline.toml").read_text()))


@pytest.mark.parametrize(
    ("column", "good"),
    [
        ("event.x", True),
        ({"from": "event.x", "default": [1], "unit": "ms", "round": True, "unknown_fields": "ignore"}, True),
        ({"value": {"a": 1}}, True),
        ("", False),
        (5, False),
        ({"default": 1}, False),
        ({"from": "event.x", "unit": "min"}, False),
        ({"from": "event.x", "value": 1}, False),
        ({"from": "event.x", "form": 1}, False),
    ],
    ids=str,
)
def test_a_column_is_an_expression_alone_or_with_settings_or_a_constant(
    column: object, *, good: bool
) -> None:
    document = tomllib.loads(SHIPPED.read_text())
    document["columns"]["c"] = column
    assert valid(document) is good
