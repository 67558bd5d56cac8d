"""What `[lookup]` and `[lookups.NAME]` may say, and that each mistake is named with its place."""

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from enrichment.settings import pipeline_file
from enrichment.settings.lookup_notes import notes
from enrichment.settings.lookup_rules import BatchRules, Constant, Echo, LookupRules, MissRule, OnNoKey
from enrichment.settings.pipeline_file import PipelineFileError

from .conftest import FUNCTION

Read = Callable[[str], tuple[LookupRules, ...]]
Problems = Callable[[str], list[str]]

EVENT = """
[event]
id = "event.id"
[event.fields]
id = { type = "string", max_length = 128 }
user = "string"
shop = { type = "integer" }
maybe = { type = "string", required = false }
flag = "boolean"
[columns]
id = "event.id"
"""


@pytest.fixture
def read(tmp_path: Path) -> Read:
    fields = [{"name": "id", "type": "STRING", "mode": "REQUIRED"}]
    (tmp_path / "table.json").write_text(json.dumps({"schema": {"fields": fields}}))

    def read(text: str) -> tuple[LookupRules, ...]:
        (tmp_path / "pipeline.toml").write_text(EVENT + text)
        return pipeline_file.read(tmp_path / "pipeline.toml", tmp_path / "table.json").lookups

    return read


@pytest.fixture
def problems(read: Read) -> Problems:
    def problems(text: str) -> list[str]:
        try:
            read(text)
        except PipelineFileError as error:
            return [problem.removeprefix("pipeline.toml: ") for problem in error.problems]
        return []

    return problems


def only(lookups: tuple[LookupRules, ...]) -> LookupRules:
    (lookup,) = lookups
    return lookup


def texts(lookup: LookupRules) -> dict[str, str]:
    return {name: source.text for name, source in lookup.values.items()}


def test_nothing_has_to_be_looked_up(read: Read) -> None:
    assert read("") == ()


def test_a_service_without_echo_and_without_a_miss_rule_can_be_asked(read: Read) -> None:
    lookup = only(read('[lookup]\npath = "/users/{user}"'))
    assert (lookup.name, lookup.echo, lookup.miss) == ("profile", (), None)


def test_several_lookups_have_names_and_limits_of_their_own(read: Read) -> None:
    found = read("""
        [lookup]
        path = "/users/{user}"
        [lookups.shop]
        path = "/shops/{shop}"
        host = "shops.internal"
        on_miss = "write"
        max_in_flight = 5
        [lookups.shop.cache]
        ttl_s = 1
    """)
    assert [(lookup.name, lookup.host, lookup.max_in_flight, lookup.cache.ttl_s) for lookup in found] == [
        ("profile", "", 100, 60),
        ("shop", "shops.internal", 5, 1),
    ]


def test_a_lookup_may_be_named_profile_in_either_place_and_not_in_both(
    read: Read, problems: Problems
) -> None:
    text = '[lookups.profile]\npath = "/users/{user}"\n'
    assert read(text) == read('[lookup]\npath = "/users/{user}"')
    (problem,) = problems(text + '[lookup]\npath = "/users/{user}"')
    assert problem.startswith("lookups.profile is the same as [lookup]")


def test_values_come_from_declared_fields_and_from_expressions(read: Read) -> None:
    lookup = only(
        read("""
        [lookup]
        path = "/shops/{shop}/users/{user_id}/{region}"
        params = { user_id = "event.account.id || event.user", region = "message.attributes.region" }
    """)
    )
    assert texts(lookup) == {
        "shop": "event.shop",
        "user_id": "event.account.id || event.user",
        "region": "message.attributes.region",
    }


def test_a_query_a_body_and_a_condition_are_expressions(read: Read) -> None:
    lookup = only(
        read("""
        [lookup]
        path = "/users/search"
        method = "POST"
        idempotent = true
        query = { region = "event.region", limit = 1 }
        body = { filter = { ids = "event.ids", active = true } }
        when = "event.user != 'guest'"
        on_no_key = "write"
    """)
    )
    assert (lookup.method, lookup.idempotent, lookup.on_no_key) == ("POST", True, OnNoKey.WRITE)
    assert lookup.query["limit"] == Constant(1)
    assert isinstance(lookup.body, dict)
    assert isinstance(lookup.body["filter"], dict)
    assert lookup.body["filter"]["active"] == Constant(True)
    assert lookup.when is not None


def test_an_optional_field_may_be_the_key_where_it_is_said_what_becomes_of_events_without_it(
    read: Read, problems: Problems
) -> None:
    text = '[lookup]\npath = "/users/{maybe}"\n'
    (problem,) = problems(text)
    assert "say with on_no_key" in problem
    assert only(read(text + 'on_no_key = "dead-letter"')).on_no_key is OnNoKey.DEAD_LETTER


@pytest.mark.parametrize(
    ("lines", "rule"),
    [
        ("miss = { status = 404 }", MissRule(404)),
        ("miss = {}", MissRule(404)),
        (
            'miss = { status = 404, field = "error.code", equals = "unknown" }',
            MissRule(404, ("error", "code"), "unknown"),
        ),
        ('miss = { status = 200, field = "found", equals = false }', MissRule(200, ("found",), False)),
        ('echo = "user"\nmiss_error = "x"', MissRule(404, ("error",), "x", repeats_key=True)),
        (
            'echo = "user"\nmiss = { field = "error", equals = "x" }',
            MissRule(404, ("error",), "x", repeats_key=True),
        ),
        (
            'echo = "user"\nmiss = { field = "error", equals = "x", repeats_key = false }',
            MissRule(404, ("error",), "x"),
        ),
        ('miss_error = "x"', MissRule(404, ("error",), "x")),
    ],
)
def test_how_a_service_says_that_it_does_not_know_a_key(read: Read, lines: str, rule: MissRule) -> None:
    assert only(read(f'[lookup]\npath = "/users/{{user}}"\n{lines}')).miss == rule


def test_an_answer_may_repeat_any_value_of_path_and_query(read: Read) -> None:
    lookup = only(
        read("""
        [lookup]
        path = "/shops/{shop}/users/{user}"
        query = { region = "event.region" }
        echo = { "user.id" = "user", shop_id = "shop", region = "region" }
    """)
    )
    assert lookup.echo == (Echo(("user", "id"), 1), Echo(("shop_id",), 0), Echo(("region",), "region"))


def test_a_batch_has_one_key_in_the_body_of_a_post(read: Read) -> None:
    lookup = only(
        read("""
        [lookup]
        params = { user_id = "event.user" }
        batch = { path = "/users/batch-get", body_field = "ids", results = "data.users", key = "id", max_keys = 50 }
    """)
    )
    assert (lookup.method, lookup.path, texts(lookup)) == (
        "POST",
        "/users/batch-get",
        {"user_id": "event.user"},
    )
    assert lookup.batch == BatchRules("ids", ("data", "users"), "id", 50)


ONE = 'path = "/users/{user}"\n'
BATCH = 'batch = { path = "/b", body_field = "ids", key = "id" }\n'


@pytest.mark.parametrize(
    ("lines", "place", "advice"),
    [
        ('path = "/users/{usr}"', "path", "Did you mean user? Or say where it comes from: params = { usr ="),
        ('path = "/users/{flag}"', "path", "required string or integer"),
        ('path = "/{user}-{shop}"', "path", "a segment must not have two placeholders"),
        ('path = "/users"', "path", "with 0 placeholders"),
        ('path = "/users"\nquery = { limit = 1 }', "path", "no value of query or body comes from the event"),
        (ONE + 'params = { usr = "event.user" }', "params.usr", "is no placeholder of the path. Did you mean user?"),
        ('path = "/{x}"\nparams = { x = "event.user |" }', "params.x", "ends too early"),
        ('path = "/{x}"\nparams = { x = "profile.id" }', "params.x", "profile is none of"),
        (ONE + 'query = { a = "evnt.user" }', "query.a", "Did you mean event?"),
        (ONE + 'query = { "" = "event.user" }', "query", "without a name"),
        (ONE + "params = 1", "params", "must be a table"),
        (ONE + 'query = { access_token = "event.user" }', "query", "the gateway refuses"),
        (ONE + "query = { a = nan }", "query.a", "must be an expression"),
        (ONE + 'body = { id = "event.user" }', "body", 'needs method = "POST"'),
        (ONE + 'method = "POST"\nbody = "event"', "body", "must be a table"),
        (ONE + 'method = "PUT"', "method", "GET, POST"),
        (ONE + "idempotent = true", "idempotent", "for POST alone"),
        (ONE + 'when = ""', "when", "must be an expression"),
        (ONE + 'on_no_key = "retry"', "on_no_key", "write, dead-letter"),
        (ONE + 'host = "10.0.0.1"', "host", "virtual host"),
        (ONE + 'host = "evil.example/x"', "host", "virtual host"),
        (ONE + 'host = "{user}"', "host", "virtual host"),
        (ONE + 'echo = { id = "usr" }', "echo.id", "Did you mean user?"),
        (ONE + 'echo = "a..b"', "echo", "dots on the way"),
        ('path = "/{user}/{shop}"\necho = "id"', "echo", 'echo = { id = "user or shop" }'),
        (ONE + 'miss_error = "x"\nmiss = {}', "miss_error", "keep one of the two"),
        (ONE + "miss = { status = 403 }", "miss.status", "says nothing about a key"),
        (ONE + "miss = { status = 500 }", "miss.status", "from 200 to 499"),
        (ONE + "miss = { status = 200 }", "miss.status", "the status of a profile"),
        (ONE + 'miss = { field = "error" }', "miss", "both field and equals"),
        (ONE + "miss = { repeats_key = true }", "miss.repeats_key", "needs field and equals"),
        (ONE + 'miss = { field = "e", equals = "x", repeats_key = true }', "miss.repeats_key", "needs echo"),
        (ONE + 'miss = { field = "e", equals = inf }', "miss.equals", "JSON"),
        (ONE + 'params = { user = "event.user" }\n' + BATCH, "path", "is not used where there is a batch"),
        (BATCH, "params", "has 0 values; a batch has one key"),
        ('params = { a = "event.a", b = "event.b" }\n' + BATCH, "params", "has 2 values"),
        ('params = { a = "event.a" }\necho = "id"\n' + BATCH, "echo", "batch.key says"),
        ('params = { a = "event.a" }\nmiss = {}\n' + BATCH, "miss", "missing is a miss"),
        ('params = { a = "event.a" }\n' + BATCH.replace("/b", "/b/{a}"), "batch.path", "no query and no empty"),
        ('params = { a = "event.a" }\n' + BATCH.replace('"id"', '"id", max_keys = 1'), "batch.max_keys", "from 2"),
    ],
)  # fmt: skip
def test_a_mistake_is_named_with_its_place_and_what_to_do(
    problems: Problems, lines: str, place: str, advice: str
) -> None:
    (problem,) = problems(f"[lookup]\n{lines}")
    assert problem.startswith(f"lookup.{place}")
    assert advice in problem


@pytest.mark.parametrize("name", ["Shop", "event", "message", '"a.b"', '"a b"'])
def test_a_name_that_expressions_cannot_use_is_refused(problems: Problems, name: str) -> None:
    (problem,) = problems(f'[lookups.{name}]\npath = "/users/{{user}}"')
    assert problem.startswith("lookups.")


def test_a_mistake_in_one_of_several_names_that_one(problems: Problems) -> None:
    (problem,) = problems('[lookups.shop]\npath = "/shops/{shp}"\n[lookups.other]\npath = "/users/{user}"')
    assert problem.startswith("lookups.shop.path ")


@pytest.mark.parametrize(
    ("lines", "lost"),
    [
        ('path = "/{user}"\necho = "id"\nmiss_error = "x"', []),
        ('path = "/{user}"\nmiss_error = "x"', ["has no echo"]),
        ('path = "/{user}"\necho = "id"', ["has no miss"]),
        ('path = "/{user}"\necho = "id"\nmiss = {}', ["goes by the status alone"]),
        ('path = "/{user}"', ["has no echo", "has no miss"]),
        ('params = { user = "event.user" }\nidempotent = true\n' + BATCH, []),
        ('params = { user = "event.user" }\n' + BATCH, ["sends each POST once"]),
    ],
)
def test_what_is_lost_by_leaving_something_out_is_known(read: Read, lines: str, lost: list[str]) -> None:
    found = notes(only(read(f"[lookup]\n{lines}")))
    assert [words in note for words, note in zip(lost, found, strict=True)] == [True] * len(lost)
    assert all(note.startswith("lookup") for note in found)


def test_the_examples_in_the_shipped_files_comments_are_right(read: Read) -> None:
    shipped = (FUNCTION / "pipeline.toml").read_text().partition("# --- What is written")[0]
    examples = [
        line.removeprefix("#   ") for line in shipped.splitlines() if re.match(r"#   [a-z_]+ = ", line)
    ]
    single, batch = examples[:-2], examples[-2:]
    assert [line.partition(" ")[0] for line in single] == [
        "params", "query", "method", "body", "idempotent", "host", "when", "on_no_key"
    ]  # fmt: skip
    whole = only(read("\n".join(["[lookup]", 'path = "/{user_id}"', *single])))
    assert (whole.host, whole.method, whole.idempotent) == ("orders.internal", "POST", True)
    assert only(read("\n".join(["[lookup]", *batch]))).batch == BatchRules("ids", ("profiles",), "id")


def test_the_examples_in_the_readme_are_right(read: Read) -> None:
    section = (FUNCTION / "README.md").read_text().partition("\n## Lookups\n")[2]
    example = section.partition("```toml\n")[2].partition("```")[0]
    assert [lookup.name for lookup in read(example)] == ["profile", "shop", "items"]
