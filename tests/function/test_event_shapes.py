"""The worked examples: real shapes of events, each with a pipeline, tables and the rows that come out."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from enrichment import event, row
from enrichment.commands.inspection import check
from enrichment.core import plan
from enrichment.event.message import Message
from enrichment.expressions import pseudonyms
from enrichment.lookup.sample import sample_profile
from enrichment.settings import pipeline_file
from enrichment.settings.environment import TABLE_FILE

EXAMPLES = Path(__file__).parents[2] / "examples" / "event-shapes"
NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
NOT_EVENTS = {"pipeline.toml", "rows.json", "profile.json"}
SHAPES = sorted(path.name for path in EXAMPLES.iterdir() if path.is_dir())
KEY = b"the example's key of pseudonyms!"


@pytest.fixture(autouse=True, scope="module")
def _key() -> Iterator[None]:
    pseudonyms.set_key(KEY)
    yield
    pseudonyms.set_key(b"")


def samples(folder: Path) -> list[Path]:
    return sorted(
        path
        for path in folder.iterdir()
        if path.name not in NOT_EVENTS and not path.name.endswith(("attributes.json", "table.json"))
    )


def attributes_of(sample: Path) -> dict[str, str]:
    for file in (sample.with_name(f"{sample.stem}_attributes.json"), sample.with_name("attributes.json")):
        if file.exists():
            found: dict[str, str] = json.loads(file.read_text())
            return found
    return {}


def table_of(folder: Path) -> Path:
    """The table of `[columns]`; a pipeline of `[[tables]]` alone has none."""
    file = folder / "table.json"
    return file if file.exists() else TABLE_FILE


def profile_of(folder: Path) -> bytes | None:
    file = folder / "profile.json"
    return file.read_bytes() if file.exists() else None


def rows_of(folder: Path, sample: Path) -> list[dict[str, object]]:
    """Every row that the function would write for a sample."""
    config = pipeline_file.read(folder / "pipeline.toml", table_of(folder))
    message = Message(sample.read_bytes(), attributes_of(sample), "1234567890", NOW)
    rows: list[dict[str, object]] = []
    for part in event.split(message, config.event):
        for planned in plan.plan(event.decode(part, config.event), config):
            profiles = {
                rules.name: sample_profile(rules, planned.scope, profile_of(folder))
                for rules in config.lookups
            }
            scope = planned.scope.extended(
                {
                    **{name: found.document if found else None for name, found in profiles.items()},
                    "trace": {"id": "0" * 32},
                    "now": NOW,
                }
            )
            built = row.build(planned.columns, planned.insert_id, scope)
            rows.append({"id": planned.row_id, "table": planned.table, "row": built.columns})
    return rows


@pytest.mark.parametrize("shape", SHAPES)
def test_the_rows_of_an_example_are_those_beside_it(shape: str) -> None:
    folder = EXAMPLES / shape
    found = {sample.name: rows_of(folder, sample) for sample in samples(folder)}
    assert found == json.loads((folder / "rows.json").read_text())


@pytest.mark.parametrize("shape", SHAPES)
def test_check_has_nothing_to_correct_in_an_example(shape: str) -> None:
    folder = EXAMPLES / shape
    for sample in samples(folder):
        report = check(
            folder / "pipeline.toml",
            table_of(folder),
            sample.read_bytes(),
            profile_of(folder),
            attributes_of(sample),
        )
        assert report.problems == ()


def test_there_are_the_thirteen_shapes_of_the_page() -> None:
    page = (EXAMPLES.parents[1] / "docs" / "event-shapes.md").read_text()
    assert len(SHAPES) == 13
    assert [shape for shape in SHAPES if f"../examples/event-shapes/{shape}/" not in page] == []
