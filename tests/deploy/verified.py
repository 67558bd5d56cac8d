"""Verifies recordings without a process: the findings of a state, and of a base with answers replaced."""

from __future__ import annotations

import contextlib
import functools
import io
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from deploy.steps.cloud import recordings
from deploy.steps.cloud.answers import Answer, Outcome
from deploy.steps.deploy.entry_points import ENRICH, LOOKUP
from deploy.steps.verify import checks, cli
from deploy.steps.verify.deployment import Deployment

if TYPE_CHECKING:
    from collections.abc import Mapping

    from deploy.steps.cloud.answers import Question
    from deploy.steps.verify.finding import Finding

RECORDED = Path(__file__).parent / "recorded"
BASE = RECORDED / "base"
STATES = sorted((RECORDED / "states").glob("*.json"))


def run(*arguments: str) -> tuple[int, str, str]:
    """Runs the command in this process; exit code, standard output, standard error."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = cli.main(arguments)
    return code, out.getvalue(), err.getvalue()


@functools.cache
def report(recording: Path, *arguments: str) -> tuple[int, dict[str, Any]]:
    """The exit code and the JSON report about a recording; several tests look at the same ones."""
    code, out, err = run("--json", "--from", str(recording), *arguments)
    assert out, err
    return code, json.loads(out)


def ids(recording: Path) -> list[str]:
    """The ids of a recording's findings, each once."""
    return sorted({found["id"] for found in report(recording)[1]["findings"]})


@functools.cache
def base_recording() -> recordings.Recording:
    """The recording of the base; it is read once, and no check changes an answer."""
    return recordings.read(BASE)


@functools.cache
def base_values() -> dict[str, str]:
    """The checked contract of the base."""
    return cli.contract(None, base_recording())


@functools.cache
def base_questions() -> dict[str, tuple[Question, Answer]]:
    """Every question about the base, with its answer."""
    return cli.ask(base_values(), [ENRICH, LOOKUP], base_recording(), lambda _: lambda _: None)


def findings(replaced: Mapping[str, Answer], **changes: str) -> list[Finding]:
    """The findings about the base with some answers replaced, and some values of the contract."""
    recording = base_recording()
    values = {**base_values(), **changes}

    def reader(question: Question) -> Answer:
        return replaced.get(question.name) or recording(question)

    answered = cli.ask(values, [ENRICH, LOOKUP], reader, lambda _: lambda _: None)
    deployment = Deployment(
        values=values,
        entries=[ENRICH, LOOKUP],
        asked={name: question for name, (question, _) in answered.items()},
        answers={name: answer for name, (_, answer) in answered.items()},
        package=recording.package,
        jwks=recording.jwks,
    )
    return checks.findings(deployment)


def failed(outcome: Outcome) -> Answer:
    """An answer that failed in this way."""
    return Answer(outcome, error=f"ERROR: {outcome.value}", exit_code=1)
