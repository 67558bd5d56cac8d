"""Readers: the same questions answered by gcloud and bq, or by a recording."""

from __future__ import annotations

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import TYPE_CHECKING, Protocol

from .. import RefusalError
from .answers import Answer, Outcome, Question, answer_of, unknown_command

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

# gcloud is a Python program of about a second of processor time; more at a time gain nothing on a usual machine.
PARALLEL = 6
_TIMEOUT_S = 120.0
SETTINGS = {
    "CLOUDSDK_CORE_DISABLE_PROMPTS": "1",
    # Without it a read could offer to enable an API, and a pipeline could accept.
    "CLOUDSDK_CORE_SHOULD_PROMPT_TO_ENABLE_API": "false",
    # compute's list commands report a region that they cannot read by a warning only.
    "CLOUDSDK_CORE_VERBOSITY": "warning",
    "CLOUDSDK_CORE_USER_OUTPUT_ENABLED": "true",
    "CLOUDSDK_CORE_LOG_HTTP": "false",
}
"""Settings of gcloud for every command: it asks nothing, enables nothing and hides no warning."""


class Reader(Protocol):
    """Answers questions."""

    def __call__(self, question: Question) -> Answer:
        """Return the answer of one question."""


class CommandReader:
    """Reader that runs gcloud and bq.

    Args:
        run: Runs one command and returns exit code, standard output and standard error.
    """

    def __init__(self, run: Callable[[Sequence[str]], tuple[int, str, str]] | None = None) -> None:
        self._run = run or _run

    def __call__(self, question: Question) -> Answer:
        """Run the question's command; run the alternative if this gcloud does not have the command."""
        answer = answer_of(question, *self._run(question.command))
        if question.alternative and unknown_command(answer.error):
            return replace(answer_of(question, *self._run(question.alternative)), by_alternative=True)
        return answer


def read_all(
    reader: Reader, questions: Sequence[Question], progress: Callable[[str], None] = lambda _: None
) -> dict[str, Answer]:
    """Return the answers by the names of the questions; several are asked at a time.

    Args:
        reader: Answers one question; it is called from several threads.
        questions: What to ask.
        progress: Is called with the words of each question that was answered.
    """

    def one(question: Question) -> tuple[str, Answer]:
        answer = reader(question)
        progress(question.about)
        return question.name, answer

    with ThreadPoolExecutor(PARALLEL) as pool:
        return dict(pool.map(one, questions))


def require_signed_in(answer: Answer) -> None:
    """Refuse if the first answer shows that gcloud has no usable credentials.

    Raises:
        RefusalError: it has none; every other question would fail in the same way.
    """
    if answer.outcome is Outcome.SIGNED_OUT:
        raise RefusalError(
            "gcloud has no usable credentials, so nothing can be read. Sign in with `gcloud auth login`, or name an "
            "account with CLOUDSDK_CORE_ACCOUNT."
        )


class Progress:
    """Progress on standard error: a line that is rewritten on a terminal, one plain line elsewhere."""

    def __init__(self, title: str, total: int) -> None:
        self._title = title
        self._total = total
        self._done = 0
        self._live = sys.stderr.isatty()
        if not self._live:
            sys.stderr.write(f"{title} ({total} reads)\n")

    def __call__(self, _: str) -> None:
        """Count one answered question."""
        self._done += 1
        if self._live:
            end = "\n" if self._done == self._total else ""
            sys.stderr.write(f"\r{self._title} {self._done}/{self._total}{end}")
            sys.stderr.flush()


def _run(command: Sequence[str]) -> tuple[int, str, str]:
    try:
        done = subprocess.run(  # noqa: S603 - the words come from a checked contract, without a shell
            list(command),
            capture_output=True,
            check=False,
            stdin=subprocess.DEVNULL,
            timeout=_TIMEOUT_S,
            env={**os.environ, **SETTINGS},
        )
    except FileNotFoundError:
        return 127, "", f"{command[0]} is not on PATH"
    except subprocess.TimeoutExpired:
        return 124, "", f"{command[0]} did not end within {_TIMEOUT_S:.0f} s"
    return done.returncode, done.stdout.decode(errors="replace"), done.stderr.decode(errors="replace")
