"""The function's settings, from its environment, all problems reported at once."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

import meshpass

from enrichment import __version__

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
    """What the function needs to know beyond the SDK's settings.

    Args:
        table: Where rows go, `project.dataset.table`.
        dead_letter_topic: Where bad events go, `projects/P/topics/T`.
        project: The project whose logs these are, empty if unknown.
        version: What runs here: the Cloud Run revision, or else the version of this code.
    """

    table: str
    dead_letter_topic: str
    project: str
    version: str


def read(env: Mapping[str, str]) -> Settings:
    """Reads and checks the settings of this function and of the SDK under it.

    Touches no network: a wrong address or a missing permission shows at the first event.

    Args:
        env: The environment.

    Returns:
        The settings.

    Raises:
        SettingsError: settings are missing or wrong; names all of them.
    """
    table, topic = env.get("BIGQUERY_TABLE", ""), env.get("DEAD_LETTER_TOPIC", "")
    problems = [
        *meshpass.settings_problems(env),
        *_problem("BIGQUERY_TABLE", table, _TABLE, "project.dataset.table"),
        *_problem("DEAD_LETTER_TOPIC", topic, _TOPIC, "projects/PROJECT/topics/TOPIC"),
    ]
    if problems:
        raise SettingsError(problems)
    return Settings(
        table=table,
        dead_letter_topic=topic,
        project=env.get("GOOGLE_CLOUD_PROJECT", ""),
        version=env.get("K_REVISION", "") or __version__,
    )


def _problem(name: str, value: str, shape: re.Pattern[str], written: str) -> list[str]:
    if not value:
        return [f"{name} is not set; it reads {written}."]
    if not shape.fullmatch(value):
        return [f"{name} is {value[:200]!r}; it must read {written}."]
    return []
