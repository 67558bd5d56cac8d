"""The README's tables say what the code does."""

import json
import re

from enrichment.dead_letter import OUR_ATTRIBUTES
from enrichment.errors import DEAD_LETTER_REASONS, POLICY
from enrichment.errors.remote_errors import (
    APPEND_ERRORS,
    APPEND_MESSAGES,
    GOOGLE_ERRORS,
    INSERT_ERRORS,
    INSERT_MESSAGES,
    ROW_ERRORS,
    of_service_status,
    reason_of,
)
from enrichment.expressions import Scope, compile_expression, message_root
from enrichment.expressions.functions import FUNCTIONS
from enrichment.settings.schema import pipeline_schema
from enrichment.telemetry.counters import DESCRIPTIONS

from .conftest import FUNCTION

README = (FUNCTION / "README.md").read_text()


def test_every_reason_for_a_dead_letter_is_listed_with_its_stage_and_no_other() -> None:
    table = README.partition("| reason | stage | why |")[2].partition("\n\n")[0]
    rows = re.findall(r"^\| `(\w+)` \| ([a-z, ]+) \|", table, re.MULTILINE)
    assert dict(rows) == {
        reason: ", ".join(map(str, POLICY[reason].stages)) for reason in DEAD_LETTER_REASONS
    }


def test_every_reason_of_the_policy_can_occur_and_no_other() -> None:
    named = re.compile(r'(?:failure|OverloadError|StoppedError)\((?:\s*Stage\.\w+,)?\s*f?"(\w+)"')
    sources = "".join(path.read_text() for path in (FUNCTION / "enrichment").rglob("*.py"))
    of_others = {
        reason_of(service, ending)
        for service in ("bigquery", "pubsub")
        for ending in [*(known.ending for known in GOOGLE_ERRORS), "no_credentials"]
    }
    of_rows = {*INSERT_ERRORS.values(), *(known.reason for known in INSERT_MESSAGES)}
    of_answers = {of_service_status(status) for status in range(201, 600)}
    of_appends = {known.reason for known in APPEND_ERRORS.values()} | {*ROW_ERRORS.values()}
    of_appends |= {known.reason for known in APPEND_MESSAGES}
    assert {*named.findall(sources), *of_others, *of_rows, *of_appends, *of_answers} == set(POLICY)


def test_every_attribute_of_a_dead_letter_is_listed() -> None:
    assert set(re.findall(r"`(dead_letter_\w+)`", _section("A dead letter"))) == set(OUR_ATTRIBUTES)


def test_every_setting_is_listed(settings: dict[str, str]) -> None:
    listed = set(re.findall(r"`([A-Z_]{5,})`", README))
    assert settings.keys() <= listed


def _bare(cell: str) -> str:
    """A cell that is code as a whole, without its back quotes."""
    found = re.fullmatch(r"(`+)(?!`)(.*?)(?<!`)\1", cell)
    return found[2].strip() if found else cell


def _table(heading: str) -> list[list[str]]:
    """The rows of a table by its heading line, each cell without the Markdown around it."""
    rows = README.partition(f"{heading}\n")[2].partition("\n\n")[0].splitlines()[1:]
    return [
        [_bare(cell.strip()).replace("\\|", "|") for cell in re.split(r"(?<!\\)\|", row)[1:-1]]
        for row in rows
    ]


def test_every_expression_gives_what_the_readme_says() -> None:
    event = json.loads(README.partition("```json\n")[2].partition("```")[0])
    message = message_root("m-1", None, "", {"source": "web"})
    scope = Scope({"event": event, "message": message})
    rows = _table("| for | write | gives |")
    assert len(rows) > 10
    for purpose, text, gives in rows:
        assert compile_expression(text, ("event", "message")).evaluate(scope) == json.loads(gives), purpose


def test_every_function_of_our_own_is_listed_and_no_other() -> None:
    assert _table("| function | gives |") == [
        [f"{name}({', '.join(parameter for parameter, _ in function.parameters)})", function.about]
        for name, function in FUNCTIONS.items()
    ]


def test_every_setting_of_a_column_is_listed() -> None:
    listed = re.findall(
        r"^(\w+) = ", "\n".join(cell for cell, *_ in _table("| setting | for | meaning |")), re.MULTILINE
    )
    properties = pipeline_schema()["properties"]["columns"]["additionalProperties"]["anyOf"][1]["properties"]
    assert ["from", "default", *listed] == [*properties]


def _section(title: str) -> str:
    return README.partition(f"## {title}\n")[2].partition("\n## ")[0]


def test_every_counter_is_listed_and_every_counted_name_is_described() -> None:
    sources = [file.read_text() for file in (FUNCTION / "enrichment").rglob("*.py")]
    counted = {name for text in sources for name in re.findall(r"\b_?count\(\s*\"(\w+)\"", text)}

    assert counted
    assert counted <= set(DESCRIPTIONS)
    assert [name for name in DESCRIPTIONS if f"`{name}`" not in README] == []
