"""Changes: each command is shown before it runs, and a failure says what was done before it."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import meshcontract

from .. import RefusalError, StoppedError
from .answers import Outcome
from .readers import SETTINGS

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from .answers import Answer, Question
    from .readers import Reader


def contract(path: Path) -> dict[str, str]:
    """Return a checked contract of a real project.

    Raises:
        ContractError: it cannot be deployed from.
        RefusalError: it names the placeholder project.
    """
    values = meshcontract.load(path)
    if placeholders := meshcontract.placeholders(values):
        raise RefusalError(
            f"the contract still names the placeholder project {meshcontract.PLACEHOLDER_PROJECT!r} in "
            f"{', '.join(placeholders)}. Write your own."
        )
    return values


def required(reader: Reader, question: Question) -> Any:  # noqa: ANN401 - JSON
    """Return the data of an answer.

    Raises:
        RefusalError: there is none; nothing is changed without a look at what is there.
    """
    answer = reader(question)
    if answer.ok:
        return answer.data
    raise RefusalError(refusal(question, answer))


def refusal(question: Question, answer: Answer) -> str:
    """Return why an answer has no data, and what to do."""
    if answer.outcome is Outcome.ABSENT:
        return f"{question.about} does not exist. Check the contract, or run deploy/deploy."
    advice = {
        Outcome.DENIED: f"Your account needs {question.role}.",
        Outcome.DISABLED: f"Enable {question.service} in the project.",
        Outcome.SIGNED_OUT: "Sign in with `gcloud auth login`.",
    }.get(answer.outcome, f"Run it by hand: {shlex.join(question.command)}")
    return f"{question.about} cannot be read: {answer.error}. {advice}"


def say(text: str, *, dry_run: bool = False) -> None:
    """Print text for a reader; in a dry run as comments of a shell, because its output is a script."""
    sys.stdout.write("".join(f"{'# ' if dry_run else ''}{line}\n" for line in text.splitlines()))


class Changes:
    """Commands that change something, in order.

    Args:
        dry_run: Show the commands, and run none.
    """

    def __init__(self, *, dry_run: bool) -> None:
        self._dry_run = dry_run
        self.done: list[str] = []

    def run(self, what: str, command: Sequence[str]) -> None:
        """Show a command and run it.

        Args:
            what: The state after it, in words.
            command: The words.

        Raises:
            RefusalError: it failed, or was interrupted. The message says what was done before.
        """
        sys.stdout.write(f"{shlex.join(command)}\n")
        sys.stdout.flush()
        if self._dry_run:
            return
        shown = f"`{' '.join(command[:4])}`"
        try:
            code = execute(command)
        except KeyboardInterrupt:
            raise StoppedError(
                f"interrupted during {shown}, which can have changed something. {self.so_far()}"
            ) from None
        if code == NOT_FOUND:
            raise RefusalError(f"{command[0]} is not on PATH. {self.so_far()}")
        if code:
            raise RefusalError(
                f"{shown} failed with exit code {code}; its own message is above. {self.so_far()}"
            )
        self.done.append(what)

    def look(self, reader: Reader, question: Question) -> Any:  # noqa: ANN401 - JSON
        """Return the data of an answer after a change.

        Raises:
            RefusalError: there is none. The message says what was done.
        """
        try:
            return required(reader, question)
        except RefusalError as refusal:
            raise RefusalError(
                f"done: {'; '.join(self.done)}. But it cannot be looked at: {refusal}"
            ) from None

    def so_far(self) -> str:
        """Return what was done before a failure, in words."""
        done = "; ".join(self.done)
        return (
            f"Done before it: {done}. Run the script again to go on."
            if done
            else "Nothing was changed before it."
        )


NOT_FOUND = 127
"""The exit code of a command that is not installed, as a shell has it."""


def execute(command: Sequence[str]) -> int:
    """Run a command with its output on the user's terminal, and return its exit code."""
    try:
        done = subprocess.run(  # noqa: S603 - checked words, without a shell
            list(command), check=False, stdin=subprocess.DEVNULL, env={**os.environ, **SETTINGS}
        )
    except FileNotFoundError:
        return NOT_FOUND
    return done.returncode
