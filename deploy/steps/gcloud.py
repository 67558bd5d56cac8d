"""Commands of gcloud: find it, show a command as shell text, run it."""

from __future__ import annotations

import json
import re
import shlex
import shutil
import subprocess
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from . import RefusalError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


# How gcloud's groups of commands say that a resource does not exist: functions, most others, Cloud Run, projects, Cloud
# Storage, Compute Engine. Its exit code is 1 for every error. The expression is also one of `grep -E`.
NOT_FOUND = (
    r"status=\[404\]|NOT_FOUND: |Cannot find service |instance \[[^]]*\] not found|HTTPError 404"
    r"|not found: 404|'status': 404|The resource '[^']*' was not found"
)


def require() -> None:
    """Refuse if gcloud is not installed.

    Raises:
        RefusalError: there is no gcloud.
    """
    if shutil.which("gcloud") is None:
        raise RefusalError(
            "gcloud is not on PATH; install the Google Cloud CLI (https://cloud.google.com/sdk/docs/install) "
            "and sign in with `gcloud auth login`"
        )


@dataclass(frozen=True)
class Value:
    """A value that an earlier command printed, as an argument or as a part of one.

    Attributes:
        name: the variable.
        before: text in front of it, such as ``--push-endpoint=``.
    """

    name: str
    before: str = ""

    def text(self, values: Mapping[str, str]) -> str:
        """Return the argument with the value in it."""
        return self.before + values[self.name]

    def shell(self) -> str:
        """Return the argument as a word of a shell command."""
        return (shlex.quote(self.before) if self.before else "") + f'"${self.name}"'


def show(arguments: Sequence[str | Value]) -> str:
    """Return a gcloud command as shell text, one flag to a line."""
    words = [word.shell() if isinstance(word, Value) else shlex.quote(word) for word in arguments]
    first_flag = next((i for i, word in enumerate(words) if word.lstrip("'").startswith("-")), len(words))
    return " \\\n    ".join([" ".join(["gcloud", *words[:first_flag]]), *words[first_flag:]])


def run(arguments: Sequence[str]) -> None:
    """Run a command with its output on the user's terminal.

    Raises:
        RefusalError: gcloud failed.
    """
    sys.stdout.flush()
    _checked(arguments, subprocess.run(["gcloud", *arguments], check=False).returncode)  # noqa: S603, S607


def read(arguments: Sequence[str]) -> str:
    """Run a command and return its output without the white space around it.

    Raises:
        RefusalError: gcloud failed.
    """
    done = subprocess.run(  # noqa: S603
        ["gcloud", *arguments],  # noqa: S607
        check=False,
        stdout=subprocess.PIPE,
        encoding="utf-8",
        errors="replace",
    )
    _checked(arguments, done.returncode)
    return done.stdout.strip()


def optional(arguments: Sequence[str]) -> str | None:
    """Run a command that describes something, and return its output.

    Args:
        arguments: a command that only reads.

    Returns:
        The output without the white space around it; None where the thing does not exist.

    Raises:
        RefusalError: gcloud failed for another reason, such as a missing permission.
    """
    done = subprocess.run(  # noqa: S603
        ["gcloud", *arguments],  # noqa: S607
        check=False,
        capture_output=True,
        encoding="utf-8",
        errors="replace",
    )
    if done.returncode != 0 and re.search(NOT_FOUND, done.stderr):
        return None
    sys.stderr.write(done.stderr)
    _checked(arguments, done.returncode)
    return done.stdout.strip()


def read_json(arguments: Sequence[str]) -> Any:  # noqa: ANN401 - JSON
    """Run a command with ``--format=json`` and return what it printed as Python values.

    Args:
        arguments: a command that only reads, without ``--format``.

    Returns:
        The JSON document; None where the thing does not exist.

    Raises:
        RefusalError: gcloud failed, or printed no JSON.
    """
    output = optional([*arguments, "--format=json"])
    if output is None:
        return None
    try:
        return json.loads(output)
    except ValueError as error:
        raise RefusalError(f"`gcloud {verb(arguments)}` printed no JSON: {error}") from None


def verb(arguments: Sequence[str]) -> str:
    """Return the words of a command before its flags, without the project and region: what messages call it."""
    return " ".join(word for word in arguments[:3] if not word.startswith("-"))


def _checked(arguments: Sequence[str], code: int) -> None:
    if code != 0:
        raise RefusalError(
            f"`gcloud {verb(arguments)}` failed with exit code {code}; its own message is above"
        )
