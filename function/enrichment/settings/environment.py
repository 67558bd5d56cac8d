"""The function's settings, from its environment and `pipeline.toml`, all problems reported at once."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import meshpass

from enrichment import __version__
from enrichment.deadline import TimeBudget
from enrichment.settings import pipeline_file
from enrichment.settings.model import PipelineConfig
from enrichment.telemetry.log import Severity

TABLE_FILE = Path(__file__).parents[1] / "table.json"
PIPELINE_FILE = Path(__file__).parents[2] / "pipeline.toml"

_TABLE = re.compile(r"(?P<project>[a-z0-9.:-]+)\.(?P<dataset>\w+)\.(?P<table>[\w -]+)")
_TOPIC = re.compile(r"projects/[^/\s]+/topics/[^/\s]+")


class SettingsError(ValueError):
    """The environment lacks settings or has wrong ones.

    Args:
        problems: One sentence for each, naming its variable.
    """

    def __init__(self, problems: list[str]) -> None:
        self.problems = problems
        lines = "".join(f"\n  - {problem}" for problem in problems)
        super().__init__(f"The function cannot start: correct these settings and deploy again.{lines}")


@dataclass(frozen=True, slots=True)
class Settings:
    """What both entry points need to know beyond the SDK's settings.

    Args:
        config: What `pipeline.toml` says.
        budget: How long one event or request may take.
        project: The project whose logs these are, empty if unknown.
        version: What runs here: the Cloud Run revision, or else the version of this code.
        severity: The least of what is logged.
        function: The name of this function, as Cloud Run sets `K_SERVICE`; empty if unknown.
    """

    config: PipelineConfig
    budget: TimeBudget
    project: str
    version: str
    severity: Severity
    function: str


@dataclass(frozen=True, slots=True)
class Destinations:
    """Where events end.

    Args:
        table: Where rows go, `project.dataset.table`.
        dead_letter_topic: Where bad events go, `projects/P/topics/T`.
    """

    table: str
    dead_letter_topic: str


def read(env: Mapping[str, str]) -> Settings:
    """Reads and checks what both entry points need, the settings of the SDK under them included.

    Touches no network, unless the key of pseudonyms is in Secret Manager: a wrong address or a missing permission shows
    at the first event.

    Args:
        env: The environment.

    Returns:
        The settings.

    Raises:
        SettingsError: settings are missing or wrong; names all of them.
    """
    return _read(env, [])


def read_for_events(env: Mapping[str, str]) -> tuple[Settings, Destinations]:
    """Reads and checks as `read` does, and where events end as well.

    Args:
        env: The environment.

    Returns:
        The settings and the destinations.

    Raises:
        SettingsError: settings are missing or wrong; names all of them.
    """
    table, topic = env.get("BIGQUERY_TABLE", ""), env.get("DEAD_LETTER_TOPIC", "")
    problems = [
        *_shape_problem("BIGQUERY_TABLE", table, _TABLE, "project.dataset.table"),
        *_shape_problem("DEAD_LETTER_TOPIC", topic, _TOPIC, "projects/PROJECT/topics/TOPIC"),
    ]
    return _read(env, problems), Destinations(table, topic)


def _read(env: Mapping[str, str], further_problems: list[str]) -> Settings:
    problems = [*meshpass.settings_problems(env), *further_problems]
    config = None
    try:
        config = pipeline_file.read(
            Path(env.get("PIPELINE_FILE", "") or PIPELINE_FILE), Path(env.get("TABLE_FILE", "") or TABLE_FILE)
        )
    except pipeline_file.PipelineFileError as error:
        problems += error.problems
    if config is not None and config.calls("hmac_sha256"):
        from enrichment.expressions import pseudonyms  # which few pipelines need

        problems += pseudonyms.load(env)
    seconds = {}
    for name, default in _SECONDS.items():
        seconds[name] = _whole_seconds(text) if (text := env.get(name, "")) else default
        if not seconds[name]:
            problems.append(f"{name} is {text[:200]!r}; it must be whole seconds, 1 to 3600.")
    severity = _SEVERITIES.get(env.get("LOG_SEVERITY", "") or "INFO")
    if severity is None:
        problems.append(
            f"LOG_SEVERITY is {env['LOG_SEVERITY'][:200]!r}; it must be one of {', '.join(_SEVERITIES)}."
        )
    if problems or config is None or severity is None:
        raise SettingsError(problems)
    return Settings(
        config=config,
        budget=TimeBudget.within(*(seconds[name] for name in _SECONDS)),
        project=env.get("GOOGLE_CLOUD_PROJECT", ""),
        version=env.get("K_REVISION", "") or __version__,
        severity=severity,
        function=env.get("K_SERVICE", ""),
    )


_SECONDS = {"SUBSCRIPTION_ACK_DEADLINE_S": 60, "FUNCTION_TIMEOUT_S": 60}
_SEVERITIES = {severity.name: severity for severity in Severity}


def _whole_seconds(text: str) -> int:
    """The number of seconds, or 0 if it is none."""
    return int(text) if re.fullmatch(r"[1-9][0-9]{0,3}", text) and int(text) <= 3600 else 0


def _shape_problem(name: str, value: str, shape: re.Pattern[str], written: str) -> Iterator[str]:
    if not value:
        yield f"{name} is not set; it reads {written}."
    elif not shape.fullmatch(value):
        yield f"{name} is {value[:200]!r}; it must read {written}."
