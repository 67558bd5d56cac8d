"""The JSON schema of `pipeline.toml`: as written by the code, and in step with the reader of the file."""

import tomllib
from collections.abc import Iterable
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


def test_the_schema_and_the_reader_know_the_same_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    known: dict[str, set[str]] = {}

    def note(section: Section, keys: Iterable[str]) -> None:
        known[section._place] = set(keys)

    monkeypatch.setattr(Section, "refuse_others", note)
    pipeline_file.inspect(SHIPPED, FUNCTION / "enrichment" / "table.json")
    places: dict[str, dict[str, Any]] = {"": pipeline_schema()}
    for place in sorted(known):
        if place and not place.startswith("event.fields."):
            outer, _, name = place.rpartition(".")
            places[place] = places[outer]["properties"][name]
        if place in places:
            assert set(places[place]["properties"]) == known[place], place
    assert {"", "event", "lookup", "lookup.cache", "batch"} <= known.keys()


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
