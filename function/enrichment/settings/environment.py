"""Settings of the function, from its environment and `pipeline.toml`, all problems reported at once."""

import enum
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import meshpass
import msgspec
from meshcontract import value_types

from enrichment import __version__
from enrichment.deadline import TimeBudget
from enrichment.settings import pipeline_file
from enrichment.settings.model import PipelineConfig, WriterKind, WriteStreamKind
from enrichment.telemetry.log import Severity

if TYPE_CHECKING:
    from meshcontract.value_types import Type

TABLE_FILE = Path(__file__).parents[1] / "table.json"
PIPELINE_FILE = Path(__file__).parents[2] / "pipeline.toml"

_Choice = TypeVar("_Choice", bound=enum.StrEnum)
_A_TOPIC = re.compile(r"(?:projects/[^/\s]+/topics/)?[^/\s]+")
_TOPIC = re.compile(r"projects/(?P<project>[^/\s]+)/topics/(?P<name>[^/\s]+)")


class SettingsError(ValueError):
    """The environment lacks settings or has wrong ones.

    Args:
        problems: One sentence for each, naming its variable.
    """

    def __init__(self, problems: list[str]) -> None:
        self.problems = problems
        lines = "".join(f"\n  - {problem}" for problem in problems)
        super().__init__(
            f"The enrichment cannot start: correct these settings, then deploy or start it again.{lines}"
        )


class Settings(msgspec.Struct, frozen=True):
    """What both entry points need to know beyond the SDK's settings.

    Args:
        config: What `pipeline.toml` says.
        budget: How long one event or request may take.
        project: The project whose logs these are, empty if unknown.
        version: What runs here: the Cloud Run revision, or else the version of this code.
        severity: The least of what is logged.
        function: The name of this function, as Cloud Run sets `K_SERVICE`; empty if unknown.
        success_sample: One in so many lines of success is logged.
    """

    config: PipelineConfig
    budget: TimeBudget
    project: str
    version: str
    severity: Severity
    function: str
    success_sample: int


class Destinations(msgspec.Struct, frozen=True):
    """Where events end.

    Args:
        table: Where rows go, `project.dataset.table`.
        dead_letter_topic: Where bad events go, `projects/P/topics/T`.
        recreated_hold_s: How long after its creation a recreated table takes no rows, in seconds; 0 for no guard.
        writer: What writes rows.
        write_stream: Which stream of the Storage Write API takes them, where that writes them.
    """

    table: str
    dead_letter_topic: str
    recreated_hold_s: float
    writer: WriterKind = WriterKind.INSERT_ALL
    write_stream: WriteStreamKind = WriteStreamKind.DEFAULT


def read(env: Mapping[str, str]) -> Settings:
    """Read and check what both entry points need, the settings of the SDK under them included.

    Touches no network: a wrong address or a missing permission shows at the first event.

    Args:
        env: The environment.

    Returns:
        The settings.

    Raises:
        SettingsError: settings are missing or wrong; names all of them.
    """
    return _read(env, [])


def read_for_events(env: Mapping[str, str]) -> tuple[Settings, Destinations]:
    """Read and check as `read` does, and where events end as well.

    Touches no network, unless the key of pseudonyms is in Secret Manager.

    Args:
        env: The environment.

    Returns:
        The settings and the destinations.

    Raises:
        SettingsError: settings are missing or wrong; names all of them.
    """
    table, topic = env.get("BIGQUERY_TABLE", ""), env.get("DEAD_LETTER_TOPIC", "")
    problems = [
        *_problem("BIGQUERY_TABLE", table, value_types.TABLE),
        *_problem("DEAD_LETTER_TOPIC", topic, value_types.FULL_TOPIC),
        *_loop_problem(env, topic),
    ]
    hold_s = _number(env, "TABLE_RECREATED_HOLD_S", problems)
    writer = _choice(env, "BIGQUERY_WRITER", WriterKind.INSERT_ALL, problems)
    stream = _choice(env, "STORAGE_WRITE_STREAM", WriteStreamKind.DEFAULT, problems)
    problems += _writer_problems(env, writer)
    settings = _read(env, problems, writes_rows=True)
    return settings, Destinations(table, topic, hold_s, writer, stream)


def _read(env: Mapping[str, str], further_problems: list[str], *, writes_rows: bool = False) -> Settings:
    problems = [*meshpass.settings_problems(env), *further_problems]
    config = None
    try:
        config = pipeline_file.read(
            Path(env.get("PIPELINE_FILE", "") or PIPELINE_FILE), Path(env.get("TABLE_FILE", "") or TABLE_FILE)
        )
    except pipeline_file.PipelineFileError as error:
        problems += error.problems
    if writes_rows and config is not None and config.calls("hmac_sha256"):
        from enrichment.expressions import pseudonyms  # which few pipelines need

        problems += pseudonyms.load(env)
    numbers = {name: _number(env, name, problems) for name in _OF_BOTH}
    problems += [f"{name} is not UTF-8." for name in _TEXTS if not _is_utf_8(env.get(name, ""))]
    severity = _SEVERITIES.get(env.get("LOG_SEVERITY", "") or "INFO")
    if severity is None:
        problems.append(
            f"LOG_SEVERITY is {env['LOG_SEVERITY'][:200]!r}; it must be one of {', '.join(_SEVERITIES)}."
        )
    if problems or config is None or severity is None:
        raise SettingsError(problems)
    return Settings(
        config=config,
        budget=TimeBudget.within(numbers["SUBSCRIPTION_ACK_DEADLINE_S"], numbers["FUNCTION_TIMEOUT_S"]),
        project=env.get("GOOGLE_CLOUD_PROJECT", ""),
        version=env.get("K_REVISION", "") or __version__,
        severity=severity,
        function=env.get("K_SERVICE", ""),
        success_sample=numbers["LOG_SUCCESS_SAMPLE"],
    )


_NUMBERS = {
    "SUBSCRIPTION_ACK_DEADLINE_S": (60, value_types.ACK_DEADLINE_S),
    "FUNCTION_TIMEOUT_S": (60, value_types.FUNCTION_TIMEOUT_S),
    "LOG_SUCCESS_SAMPLE": (1, value_types.SUCCESS_SAMPLE),
    "TABLE_RECREATED_HOLD_S": (600, value_types.RECREATED_HOLD_S),
}
"""By name: what holds where it is not set, and what it may be."""
_OF_BOTH = ("SUBSCRIPTION_ACK_DEADLINE_S", "FUNCTION_TIMEOUT_S", "LOG_SUCCESS_SAMPLE")
_TEXTS = ("GOOGLE_CLOUD_PROJECT", "K_REVISION", "K_SERVICE")
"""What is written as it is: to dead letters, which take nothing but UTF-8, and to the log."""
_SEVERITIES = {severity.name: severity for severity in Severity}


def _number(env: Mapping[str, str], name: str, problems: list[str]) -> int:
    """Return the number, or its default and a problem if it is none."""
    (default, known), text = _NUMBERS[name], env.get(name, "")
    if not text:
        return default
    if problem := known.problem(text):
        problems.append(f"{name} {problem}")
        return default
    return int(text)


def _is_utf_8(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:  # Python's way to keep bytes of the environment that are none
        return False
    return True


def _choice(env: Mapping[str, str], name: str, default: _Choice, problems: list[str]) -> _Choice:
    """Return what is chosen, or the default and a problem if that is no choice."""
    text = env.get(name, "")
    try:
        return type(default)(text) if text else default
    except ValueError:
        problems.append(f"{name} is {text[:200]!r}; it must be one of {', '.join(type(default))}.")
        return default


def _writer_problems(env: Mapping[str, str], writer: WriterKind) -> Iterator[str]:
    """Refuse a writer that cannot work here, and settings of one that is not chosen."""
    if writer is WriterKind.GOOGLE_CLIENT and not _is_installed("google.cloud.bigquery"):
        yield (
            "BIGQUERY_WRITER is 'google-client', and google-cloud-bigquery is not installed: install "
            "meshpass-function[reference], or choose another writer."
        )
    if writer is not WriterKind.STORAGE_WRITE:
        if env.get("STORAGE_WRITE_STREAM", ""):
            yield "STORAGE_WRITE_STREAM is set, and only BIGQUERY_WRITER=storage-write reads it: leave one of them out."
        return
    emulator = env.get("BIGQUERY_WRITE_EMULATOR_HOST", "")
    if emulator and not _is_host_and_port(emulator):
        yield f"BIGQUERY_WRITE_EMULATOR_HOST is {emulator[:200]!r}; it must be HOST:PORT, without a scheme."
    if not emulator and env.get("BIGQUERY_EMULATOR_HOST", ""):
        yield (
            "BIGQUERY_WRITE_EMULATOR_HOST is not set, and BIGQUERY_EMULATOR_HOST is: rows would go to Google. "
            "Set it to the emulator's HOST:PORT for gRPC."
        )


def _is_host_and_port(text: str) -> bool:
    from meshpass._address import parse_origin

    try:
        parse_origin(f"http://{text}")
    except ValueError:
        return False
    return re.search(r":[0-9]+\Z", text) is not None


def _is_installed(module: str) -> bool:
    from importlib.util import find_spec

    try:
        return find_spec(module) is not None
    except (ModuleNotFoundError, ValueError):  # the package that it is in, or what is loaded is not one
        return False


def _loop_problem(env: Mapping[str, str], dead_letter_topic: str) -> Iterator[str]:
    """Refuse dead letters that would come back as events: each would be dead-lettered again, without an end."""
    trigger = env.get("TRIGGER_TOPIC", "")
    *path, name = dead_letter_topic.split("/")
    if trigger and not _A_TOPIC.fullmatch(trigger):  # it would be compared with DEAD_LETTER_TOPIC in vain
        yield (
            f"TRIGGER_TOPIC is {trigger[:200]!r}, which is no name of a topic. Write TOPIC or "
            "projects/PROJECT/topics/TOPIC, or leave it out."
        )
        return
    if trigger and "/" not in trigger:  # the project is the function's own
        project = env.get("GOOGLE_CLOUD_PROJECT", "")
        same = trigger == name and (not project or project in path)
    else:
        same = bool(trigger) and trigger == dead_letter_topic
    if same:
        yield (
            f"DEAD_LETTER_TOPIC is {dead_letter_topic[:200]!r}, the topic that TRIGGER_TOPIC names as well: bad events "
            "would come back for ever. Name another topic."
        )
    elif _differ_by_number(trigger, dead_letter_topic, env.get("GOOGLE_CLOUD_PROJECT", "")):
        yield (
            f"DEAD_LETTER_TOPIC is {dead_letter_topic[:200]!r} and TRIGGER_TOPIC {trigger[:200]!r}: they are one topic "
            "if the number is that project's. Write both with the project's id, or give one topic another name."
        )


def _differ_by_number(trigger: str, dead_letter_topic: str, own_project: str) -> bool:
    """Whether two topics of one name have a project's number on one side and an id on the other.

    Only Google knows which project has the number.
    """
    if "/" not in trigger:
        trigger = f"projects/{own_project}/topics/{trigger}"
    found = [_TOPIC.fullmatch(topic) for topic in (trigger, dead_letter_topic)]
    projects = {part["project"] for part in found if part}
    names = {part["name"] for part in found if part}
    return all(found) and len(names) == 1 and len({project.isdecimal() for project in projects}) == 2


def _problem(name: str, value: str, known: "Type") -> Iterator[str]:
    if not value:
        yield f"{name} is not set. Write {known.form}."
    elif problem := known.problem(value):
        yield f"{name} {problem}"
