"""Questions to Google Cloud, their answers, and the kinds of failure."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from enum import Enum
from typing import Any


class Outcome(Enum):
    """How a question ended."""

    OK = "ok"
    ABSENT = "absent"  # the resource does not exist
    DENIED = "denied"  # the account may not read it
    DISABLED = "disabled"  # the API is not enabled
    SIGNED_OUT = "signed-out"  # gcloud has no usable credentials
    FAILED = "failed"  # every other failure
    UNCLEAR = "unclear"  # the output is not the JSON that was expected


@dataclass(frozen=True)
class Question:
    """One read-only command.

    Attributes:
        name: The name of its recording.
        command: The program and its arguments.
        about: What it reads, in words.
        shape: The JSON type of a good answer.
        service: The API that it asks, such as ``pubsub.googleapis.com``.
        role: A role that allows the reading.
        absent: The id of the finding when the resource does not exist; "" if ``parent`` reports it.
        parent: The question whose absence explains the absence of this one.
        alternative: The same command for a gcloud that does not have the first.
    """

    name: str
    command: tuple[str, ...]
    about: str
    shape: type = dict
    service: str = ""
    role: str = ""
    absent: str = ""
    parent: str = ""
    alternative: tuple[str, ...] = ()


@dataclass(frozen=True)
class Answer:
    """What a question ended in.

    Attributes:
        outcome: How it ended.
        data: The JSON of a good answer, else None.
        error: The failure in gcloud's words, in one line.
        exit_code: The exit code of the command.
        by_alternative: Whether the alternative command answered.
    """

    outcome: Outcome
    data: Any = None
    error: str = ""
    exit_code: int = 0
    by_alternative: bool = False

    @property
    def ok(self) -> bool:
        """Whether there is data."""
        return self.outcome is Outcome.OK


_COMMAND_UNKNOWN = re.compile(r"Invalid choice: '")
# compute's list commands exit with 0 and print [] when a region could not be read.
_PARTIAL = re.compile(r"Some requests did not succeed")
_SIGNED_OUT = re.compile(
    r"do(es)? not (currently )?have (an active account|any valid credentials)|Reauthentication|"
    r"invalid_grant|There was a problem refreshing|\bUNAUTHENTICATED\b|status=\[401\]|gcloud auth login",
    re.IGNORECASE,
)
# Before DENIED, because a disabled API is reported as PERMISSION_DENIED.
_DISABLED = re.compile(
    r"SERVICE_DISABLED|accessNotConfigured|has not been used in project|API .{0,80}is disabled"
)
# Before ABSENT: "Permission ... denied on resource ... (or it may not exist)".
_DENIED = re.compile(
    r"PERMISSION_DENIED|status=\[403\]|\b403\b|access denied|permission denied|does not have permission|"
    r"required .{0,60}permission|\bforbidden\b|Permission '[^']*' denied",
    re.IGNORECASE,
)
_ABSENT = re.compile(
    r"NOT_FOUND|status=\[404\]|\b404\b|was not found|not found[:.]|^not found|cannot find (service|revision)|"
    r"does not exist|Not found:|could not be found|Resource not found",
    re.IGNORECASE,
)
_LINE_LENGTH = 400


def unknown_command(error: str) -> bool:
    """Return whether this gcloud does not have the command."""
    return bool(_COMMAND_UNKNOWN.search(error))


def outcome_of(error: str) -> Outcome:
    """Return the kind of a failure from the words of gcloud or bq.

    The words are the only source: both commands exit with 1 for every failure. A failure that is not recognized stays a
    failure, and is never taken for an absent resource.
    """
    if "discovery url" in error:  # bq could not start; its "404" says nothing of the table
        return Outcome.FAILED
    for outcome, pattern in (
        (Outcome.DISABLED, _DISABLED),
        (Outcome.DENIED, _DENIED),
        (Outcome.SIGNED_OUT, _SIGNED_OUT),
        (Outcome.ABSENT, _ABSENT),
    ):
        if pattern.search(error):
            return outcome
    return Outcome.FAILED


def one_line(output: str) -> str:
    """Return an error in one printable line, without the account and the token file that gcloud names."""
    words = re.sub(r"\s+", " ", output)
    words = re.sub(r" This command is authenticated (as|with) .*?(\.(?= |$)|$)", "", words).strip()
    return "".join(char if char.isprintable() else "?" for char in words)[:_LINE_LENGTH]


def answer_of(question: Question, exit_code: int, stdout: str, stderr: str) -> Answer:
    """Return the answer from what a command printed.

    Args:
        question: What was asked.
        exit_code: The exit code of the command.
        stdout: Its standard output.
        stderr: Its standard error.
    """
    if exit_code:
        # bq writes its errors to standard output; gcloud's list commands write [] there.
        error = one_line(f"{stderr} {stdout if stdout.strip() != '[]' else ''}")
        return Answer(outcome_of(error), error=error or f"exit code {exit_code}", exit_code=exit_code)
    if _PARTIAL.search(stderr):
        error = one_line(stderr)
        found = outcome_of(error)
        return Answer(Outcome.FAILED if found is Outcome.ABSENT else found, error=error, exit_code=exit_code)
    try:
        data = json.loads(stdout)
    except (ValueError, RecursionError):  # text, a number without end, or lists in lists without end
        return Answer(Outcome.UNCLEAR, error="the output is not JSON")
    return checked(question, data)


def checked(question: Question, data: Any) -> Answer:  # noqa: ANN401 - JSON
    """Return an answer with this data, or an unclear one if its type is wrong."""
    if not isinstance(data, question.shape):
        wanted = "a list" if question.shape is list else "an object"
        return Answer(Outcome.UNCLEAR, error=f"the output is not {wanted}")
    return Answer(Outcome.OK, data)
