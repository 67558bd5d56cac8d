"""How the function starts: with all its settings or not at all, and with as little loaded as can be."""

import base64
import json
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from enrichment import __version__, assembly
from enrichment.settings import near_names
from enrichment.settings.environment import SettingsError, read, read_for_events
from meshcontract import keys

from .conftest import FUNCTION, PROJECT, TOPIC

NOT_AT_START = {
    "aiohttp", "cryptography", "google.api_core", "google.auth", "google.cloud.bigquery", "google.cloud.pubsub_v1",
    "google.pubsub_v1", "google.cloud.secretmanager", "grpc", "httpx", "jwt", "requests", "urllib3",
}  # fmt: skip

MODULES_OF_OUR_OWN_MAX = 98
"""What `import main` may load beyond functions-framework, packages' `__init__` not counted, which only name what is in
them."""


def python(code: str, env: dict[str, str]) -> "subprocess.CompletedProcess[str]":
    keep = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    return subprocess.run(
        [sys.executable, "-c", code],
        cwd=FUNCTION,
        env=keep | env,
        capture_output=True,
        text=True,
        check=False,
    )


def test_import_loads_no_http_client_no_crypto_and_no_google_client(settings: dict[str, str]) -> None:
    # The framework's command loads uvicorn_worker next. typing_extensions is starlette's before Python 3.13, and
    # msgspec takes it where it is installed.
    code = """
import sys, functions_framework.aio, uvicorn_worker, typing_extensions
a = set(sys.modules)
import main
print(*a)
print(*sys.modules)
"""
    run = python(code, settings)
    assert run.returncode == 0, run.stderr
    framework, loaded = (set(line.split()) for line in run.stdout.splitlines())
    assert not loaded & NOT_AT_START
    ours = {name for name in loaded - framework if not (FUNCTION / name.replace(".", "/")).is_dir()}
    assert len(ours) <= MODULES_OF_OUR_OWN_MAX, sorted(ours)


def test_gunicorns_worker_runs_the_loop_that_accepts_every_waiting_connection(
    settings: dict[str, str],
) -> None:
    """functions-framework names the worker's class, and gunicorn makes it after the function's module is loaded."""
    code = """
import functions_framework._http.gunicorn, main
from uvicorn import Config
application = functions_framework._http.gunicorn.UvicornApplication(None, "127.0.0.1", 0, False)
worker = application.cfg.worker_class
config = Config(main.enrich, **worker.CONFIG_KWARGS)
config.load()
print(type(config.get_loop_factory()()).__name__, config.http_protocol_class.__name__)
"""
    run = python(code, settings)
    assert run.stdout.split() == ["EventLoop", "HttpConnection"], run.stderr


def test_an_event_loads_no_google_client_and_no_second_http_client(environment: dict[str, str]) -> None:
    """What the first event waits for. On Google Cloud the metadata server gives the token, by plain HTTP."""
    code = """
import asyncio, sys
import functions_framework.aio
app = functions_framework.aio.create_asgi_app("enrich", "main.py")
headers = {
    "content-type": "application/json", "ce-specversion": "1.0", "ce-id": "1", "ce-source": "//pubsub",
    "ce-type": "google.cloud.pubsub.topic.v1.messagePublished",
}
scope = {
    "type": "http", "method": "POST", "path": "/", "raw_path": b"/", "query_string": b"", "root_path": "",
    "headers": [(name.encode(), value.encode()) for name, value in headers.items()],
}
async def receive():
    return {"type": "http.request", "body": BODY}
async def send(said):
    assert said.get("status", 200) < 300, said
asyncio.run(app(scope, receive, send))
print(*sys.modules, file=sys.stderr)
"""
    event = {
        "event_id": "e-start",
        "user_id": "u-1",
        "type": "t",
        "occurred_at": "2026-03-01T11:00:00Z",
    }
    data = base64.b64encode(json.dumps(event).encode()).decode()
    message = {"data": data, "messageId": "m-1", "publishTime": "2026-03-01T12:00:00Z"}
    body = json.dumps({"message": message, "subscription": "projects/p/subscriptions/s"}).encode()
    run = python(f"BODY = {body!r}{code}", environment)
    assert run.returncode == 0, run.stderr
    loaded = set(run.stderr.split())
    assert "httpx" in loaded
    assert not loaded & (NOT_AT_START - {"cryptography", "httpx"} | {"h11", "httpcore"})


def test_a_start_without_settings_names_every_one_of_them_in_one_message() -> None:
    run = python("import main", {})
    assert run.returncode != 0
    for name in (
        "GKE_GATEWAY_URL", "GKE_GATEWAY_HOST", "JWT_ISSUER", "JWT_AUDIENCE", "JWT_SCOPE", "SIGNING_KEY_SECRET_ID",
        "SIGNING_KEY_FILE", "BIGQUERY_TABLE", "DEAD_LETTER_TOPIC",
    ):  # fmt: skip
        assert name in run.stderr.partition("SettingsError")[2]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("BIGQUERY_TABLE", "dataset.table"),
        ("BIGQUERY_TABLE", "project.dataset.table`; drop"),
        ("DEAD_LETTER_TOPIC", "dead-letters"),
        ("DEAD_LETTER_TOPIC", "projects/p/subscriptions/s"),
        ("GKE_GATEWAY_URL", "ftp://10.0.0.1"),
        ("SUBSCRIPTION_ACK_DEADLINE_S", "1m"),
        ("FUNCTION_TIMEOUT_S", "0"),
        ("FUNCTION_TIMEOUT_S", "3601"),
        ("LOG_SEVERITY", "warning"),
        ("LOG_SUCCESS_SAMPLE", "0"),
        ("LOG_SUCCESS_SAMPLE", "0.5"),
        ("TABLE_RECREATED_HOLD_S", "3601"),
        ("MESH_AUTH", "key"),
        ("BIGQUERY_WRITER", "insertAll"),
        ("STORAGE_WRITE_STREAM", "default"),  # where another writer writes
        ("K_SERVICE", "\udcff"),
        ("K_REVISION", "\udcff"),
        ("GOOGLE_CLOUD_PROJECT", "\udcff"),
        ("TRIGGER_TOPIC", "events "),
        ("TRIGGER_TOPIC", f"{TOPIC}/"),
        ("TRIGGER_TOPIC", f"//pubsub.googleapis.com/{TOPIC}"),
        ("TRIGGER_TOPIC", "projects/p/subscriptions/events"),
    ],
)
def test_a_wrong_setting_is_the_only_one_named(settings: dict[str, str], name: str, value: str) -> None:
    with pytest.raises(SettingsError) as caught:
        read_for_events({**settings, name: value})
    (problem,) = caught.value.problems
    assert problem.startswith(name)


@pytest.mark.parametrize(
    ("env", "refused"),
    [
        ({"TRIGGER_TOPIC": "dead-letters"}, True),
        ({"TRIGGER_TOPIC": "dead-letters", "GOOGLE_CLOUD_PROJECT": PROJECT}, True),
        ({"TRIGGER_TOPIC": TOPIC}, True),
        ({"TRIGGER_TOPIC": "dead-letters", "GOOGLE_CLOUD_PROJECT": "another"}, False),
        ({"TRIGGER_TOPIC": "projects/another/topics/dead-letters"}, False),
        ({"TRIGGER_TOPIC": "projects/123456789012/topics/dead-letters"}, True),
        ({"TRIGGER_TOPIC": "projects/123456789012/topics/events"}, False),
        ({"DEAD_LETTER_TOPIC": "projects/123456789012/topics/dead-letters", "TRIGGER_TOPIC": TOPIC}, True),
        (
            {
                "DEAD_LETTER_TOPIC": "projects/123456789012/topics/dead-letters",
                "TRIGGER_TOPIC": "dead-letters",
                "GOOGLE_CLOUD_PROJECT": PROJECT,
            },
            True,
        ),
        (
            {
                "DEAD_LETTER_TOPIC": "projects/123456789012/topics/dead-letters",
                "TRIGGER_TOPIC": "projects/210987654321/topics/dead-letters",
            },
            False,
        ),
        ({"TRIGGER_TOPIC": "dead-letters", "GOOGLE_CLOUD_PROJECT": "123456789012"}, True),
        ({"TRIGGER_TOPIC": "events"}, False),
        ({}, False),
    ],
)
def test_dead_letters_that_would_come_back_as_events_are_refused_at_the_start(
    settings: dict[str, str], env: dict[str, str], refused: bool
) -> None:
    if not refused:
        read_for_events(settings | env)
        return
    with pytest.raises(SettingsError) as caught:
        read_for_events(settings | env)
    (problem,) = caught.value.problems
    assert problem.startswith("DEAD_LETTER_TOPIC")
    assert "TRIGGER_TOPIC" in problem


def test_the_smaller_settings_have_defaults_and_are_taken(settings: dict[str, str]) -> None:
    known, destinations = read_for_events(settings)
    assert (known.success_sample, destinations.recreated_hold_s) == (1, 600)
    known, destinations = read_for_events(
        settings | {"LOG_SUCCESS_SAMPLE": "100", "TABLE_RECREATED_HOLD_S": "0"}
    )
    assert (known.success_sample, destinations.recreated_hold_s) == (100, 0)


@pytest.mark.parametrize(
    ("given", "meant"),
    [
        ("BIGQUERY_WRITTER", "BIGQUERY_WRITER"),
        ("TRIGER_TOPIC", "TRIGGER_TOPIC"),
        ("TABLE_RECREATED_HOLD", "TABLE_RECREATED_HOLD_S"),
        ("LOG_SUCCESS_SAMPLES", "LOG_SUCCESS_SAMPLE"),
    ],
)
def test_a_variable_that_is_nearly_an_optional_setting_is_named_and_does_not_stop_the_start(
    settings: dict[str, str], given: str, meant: str, capfd: pytest.CaptureFixture[str]
) -> None:
    assembly.enricher(settings | {given: "x"})
    (line,) = map(json.loads, capfd.readouterr().out.splitlines())
    assert (line["severity"], line["logging.googleapis.com/labels"]["reason"]) == (
        "WARNING",
        "setting_unknown",
    )
    assert line["message"] == f"{given} is set, which is no setting: is {meant} meant?"


def test_no_variable_of_the_contract_or_of_the_readme_is_called_a_misspelt_one() -> None:
    section = (FUNCTION / "README.md").read_text().partition("## Environment")[2].partition("\n## ")[0]
    documented = set(re.findall(r"`([A-Z][A-Z0-9_]{3,})`", section))
    assert "TRIGGER_TOPIC" in documented
    assert list(near_names.notes(dict.fromkeys({*documented, *keys.KEYS}, "x") | {"TRIGGER_TOPIC": ""})) == []


@pytest.mark.parametrize(
    ("env", "named"),
    [
        ({"STORAGE_WRITE_STREAM": "pending"}, "STORAGE_WRITE_STREAM"),
        ({"BIGQUERY_WRITE_EMULATOR_HOST": "http://localhost:9060"}, "BIGQUERY_WRITE_EMULATOR_HOST"),
        ({"BIGQUERY_WRITE_EMULATOR_HOST": "localhost"}, "BIGQUERY_WRITE_EMULATOR_HOST"),
        ({"BIGQUERY_WRITE_EMULATOR_HOST": "localhost:99999"}, "BIGQUERY_WRITE_EMULATOR_HOST"),
        ({"BIGQUERY_WRITE_EMULATOR_HOST": "-:9060"}, "BIGQUERY_WRITE_EMULATOR_HOST"),
        ({"BIGQUERY_EMULATOR_HOST": "http://localhost:9050"}, "BIGQUERY_WRITE_EMULATOR_HOST"),
    ],
)
def test_a_wrong_setting_of_the_storage_write_api_is_the_only_one_named(
    settings: dict[str, str], env: dict[str, str], named: str
) -> None:
    with pytest.raises(SettingsError) as caught:
        read_for_events({**settings, "BIGQUERY_WRITER": "storage-write", **env})
    (problem,) = caught.value.problems
    assert problem.startswith(named)


LOADED_BY_WRITER = """
import sys
from enrichment import assembly
import os
assembly.enricher(os.environ)
print(*sys.modules)
"""


@pytest.mark.parametrize(
    ("writer", "loaded", "not_loaded"),
    [
        ("insert-all", set(), {"grpc", "google.cloud.bigquery", "google.cloud.bigquery_storage_v1"}),
        ("storage-write", {"grpc"}, {"google.cloud.bigquery", "google.cloud.bigquery_storage_v1"}),
        ("google-client", {"google.cloud.bigquery"}, {"enrichment.sink.storage_write.client"}),
    ],
)
def test_a_writer_is_loaded_only_where_it_is_chosen(
    settings: dict[str, str], writer: str, loaded: set[str], not_loaded: set[str]
) -> None:
    run = python(LOADED_BY_WRITER, settings | {"BIGQUERY_WRITER": writer})
    assert run.returncode == 0, run.stderr
    modules = set(run.stdout.split())
    assert loaded <= modules
    assert not not_loaded & modules


def test_a_writer_that_is_not_installed_ends_the_start_and_names_what_to_install(
    settings: dict[str, str],
) -> None:
    hide = "import sys; sys.modules['google.cloud.bigquery'] = None" + LOADED_BY_WRITER
    hidden = python(hide, settings | {"BIGQUERY_WRITER": "google-client"})
    assert hidden.returncode != 0
    assert "BIGQUERY_WRITER" in hidden.stderr
    assert "meshpass-function[reference]" in hidden.stderr


@pytest.mark.parametrize(
    "value", ["localhost:9050", "http://localhost:9050/v2", "http://user:s3cret@localhost"]
)
def test_an_emulators_address_that_is_none_ends_the_start(settings: dict[str, str], value: str) -> None:
    with pytest.raises(SettingsError) as caught:
        assembly.enricher({**settings, "BIGQUERY_EMULATOR_HOST": value})
    (problem,) = caught.value.problems
    assert problem.startswith("BIGQUERY_EMULATOR_HOST must ")
    assert "s3cret" not in problem


def test_the_version_on_dead_letters_is_the_revision_or_else_the_packages(settings: dict[str, str]) -> None:
    package = tomllib.loads((FUNCTION / "pyproject.toml").read_text())
    assert read(settings).version == __version__ == package["project"]["version"]
    assert read({**settings, "K_REVISION": "enrich-00007-abc"}).version == "enrich-00007-abc"


def test_mistakes_in_pipeline_toml_are_reported_with_those_in_the_environment(
    settings: dict[str, str], tmp_path: Path
) -> None:
    pipeline = tmp_path / "pipeline.toml"
    pipeline.write_text((FUNCTION / "pipeline.toml").read_text().replace("ttl_s = 60", "ttl_s = -1", 1))
    with pytest.raises(SettingsError) as caught:
        read_for_events({**settings, "PIPELINE_FILE": str(pipeline), "BIGQUERY_TABLE": ""})
    assert [problem.partition(" ")[0] for problem in caught.value.problems if "BIGQUERY" in problem]
    assert [problem for problem in caught.value.problems if "ttl_s" in problem]


def test_the_lookup_alone_needs_neither_table_nor_topic(settings: dict[str, str]) -> None:
    needless = ("BIGQUERY_TABLE", "DEAD_LETTER_TOPIC")
    env = {name: value for name, value in settings.items() if name not in needless}
    assert python("import main", env | {"FUNCTION_TARGET": "lookup"}).returncode == 0
    refused = python("import main", env | {"FUNCTION_TARGET": "enrich"})
    assert refused.returncode != 0
    assert all(name in refused.stderr for name in needless)


def test_the_lookup_writes_no_rows_and_needs_no_key_of_pseudonyms(
    settings: dict[str, str], tmp_path: Path
) -> None:
    pipeline = tmp_path / "pipeline.toml"
    shipped = (FUNCTION / "pipeline.toml").read_text()
    pipeline.write_text(shipped.replace('"event.user_id"', '"hmac_sha256(event.user_id)"'))
    env = settings | {"PIPELINE_FILE": str(pipeline)}
    with pytest.raises(SettingsError, match="PSEUDONYM_KEY_FILE"):
        read_for_events(env)
    assert read(env).config.calls("hmac_sha256")
