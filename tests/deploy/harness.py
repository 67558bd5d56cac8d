"""Drives the scripts as a user does: as processes, with a gcloud that records what it was asked."""

from __future__ import annotations

import ast
import os
import shutil
import signal
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

ROOT = Path(__file__).resolve().parents[2]
CONTRACT = ROOT / "infra" / "contract.env"
FUNCTION = "projects/acme-mesh/locations/europe-west1/functions/meshpass-enrichment"
URL = "https://meshpass-enrichment-4f3kq2vbnq-ew.a.run.app"
TOPIC = "projects/acme-mesh/topics/user-events"
TRIGGER = "projects/acme-mesh/locations/europe-west1/triggers/meshpass-enrichment-42"
OF_EVENTARC = "projects/acme-mesh/subscriptions/eventarc-europe-west1-meshpass-enrichment-42-sub-7"
TRIGGER_ACCOUNT = "serviceAccount:meshpass-trigger@acme-mesh.iam.gserviceaccount.com"
MISSING = "ERROR: (gcloud) NOT_FOUND: Resource not found."

# A test starts it dozens of times, so it imports only what Python has loaded: json, pathlib and signal would take more
# time than all the rest. Its files hold literals of Python for the same reason.
FAKE_GCLOUD = """\
#!{python} -IS
import os, sys
if "GCLOUD_READS_INPUT" in os.environ:
    sys.stdin.read()
home = os.path.dirname(__file__)
with open(home + "/calls", "a") as calls:
    print(ascii(sys.argv[1:]), file=calls)
for flag in sys.argv:
    if flag.startswith("--env-vars-file="):
        with open(flag.partition("=")[2]) as given, open(home + "/env.yaml", "w") as kept:
            kept.write(given.read())
with open(home + "/answers") as file:
    answers = eval(file.read())
for start, found in answers.items():
    if " ".join(sys.argv[1:]).startswith(start):
        code, answer = found.pop(0) if len(found) > 1 else found[0]
        with open(home + "/answers", "w") as file:
            file.write(ascii(answers))
        if isinstance(code, str):
            import signal
            os.kill(os.getppid(), getattr(signal, code))
            sys.exit(0)
        print(answer, file=sys.stderr if code else sys.stdout)
        sys.exit(code)
"""


@dataclass(frozen=True)
class Gcloud:
    """A fake gcloud that answers from a table and records its calls."""

    folder: Path

    def answers(self, command: str, answer: str, code: int = 0) -> None:
        """From now on a command that starts like this prints this."""
        self.answers_in_turn(command, (code, answer))

    def signals(self, command: str, signal: str) -> None:
        """From now on a command that starts like this sends a signal to the script that runs it."""
        self._write_answers({command: [(signal, "")], **self._answers()})

    def answers_in_turn(self, command: str, *answers: tuple[int, str]) -> None:
        """From now on a command that starts like this prints these, one for each call; the last one goes on."""
        earlier = self._answers()
        earlier.pop(command, None)
        self._write_answers({command: list(answers), **earlier})

    def has_function(self, *, trigger: str = "", exists: bool = True) -> None:
        """From now on the function exists, by this Eventarc trigger if one is named; or only after its deployment."""
        topic = TOPIC if trigger else ""
        found = (0, f"{FUNCTION}|{URL}|{topic}|{trigger}")
        self.answers_in_turn("functions describe", *([] if exists else [(1, MISSING)]), found)

    def has_subscription(self, topic: str = TOPIC, endpoint: str = URL) -> None:
        """From now on the push subscription exists."""
        name = "projects/acme-mesh/subscriptions/meshpass-enrichment"
        self.answers("pubsub subscriptions describe", f"{name}|{topic}|{endpoint}|")

    def allows(self, *members: str, role: str = "roles/run.invoker") -> None:
        """From now on these may call the function."""
        self.answers("run services get-iam-policy", "\n".join(f"{role}|{member}|" for member in members))

    def writes(self) -> list[str]:
        """The words of the commands so far that change something."""
        verbs = ("deploy", "create", "update", "add-invoker-policy-binding")
        return [" ".join(call[:3]) for call in self.calls() if set(call[:3]) & set(verbs)]

    def take(self, command: list[str], **_: object) -> subprocess.CompletedProcess[str]:
        """Do in this process what the executable does, in place of `subprocess.run`: a process costs 30 ms."""
        with (self.folder / "calls").open("a") as calls:
            calls.write(f"{command[1:]!a}\n")
        answers = self._answers()
        for start, found in answers.items():
            if " ".join(command[1:]).startswith(start):
                code, answer = found.pop(0) if len(found) > 1 else found[0]
                self._write_answers(answers)
                assert isinstance(code, int), "a signal goes to a process: start the executable"
                out, error = ("", f"{answer}\n") if code else (f"{answer}\n", "")
                return subprocess.CompletedProcess(command, code, out, error)
        return subprocess.CompletedProcess(command, 0, "", "")

    def calls(self) -> list[list[str]]:
        """The arguments of every call so far."""
        file = self.folder / "calls"
        return [ast.literal_eval(line) for line in file.read_text().splitlines()] if file.exists() else []

    def forget_calls(self) -> None:
        """Forget every call so far."""
        (self.folder / "calls").unlink()

    def call(self, *words: str) -> list[str]:
        """The arguments of the one call that starts with these words."""
        (found,) = [call for call in self.calls() if call[: len(words)] == list(words)]
        return found

    def _answers(self) -> dict[str, list[tuple[int | str, str]]]:
        file = self.folder / "answers"
        found: dict[str, list[tuple[int | str, str]]] = ast.literal_eval(file.read_text())
        return found

    def _write_answers(self, answers: Mapping[str, Sequence[tuple[int | str, str]]]) -> None:
        (self.folder / "answers").write_text(ascii(answers))


@dataclass(frozen=True)
class Script:
    """Runs the scripts of deploy/ with the recording gcloud as the only one on PATH.

    Attributes:
        gcloud: the recording gcloud.
        folder: where the scripts are.
    """

    gcloud: Gcloud
    folder: Path

    def __call__(
        self, name: str, *arguments: str, path: str | None = None
    ) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [str(self.folder / name), *arguments],
            env={**os.environ, "PATH": path or str(self.gcloud.folder)},
            capture_output=True,
            text=True,
            check=False,
            preexec_fn=with_default_signals,
        )


def with_default_signals() -> None:
    """Undo what `nohup` makes of a run of the tests: a shell cannot trap a signal that was ignored at its start."""
    signal.signal(signal.SIGHUP, signal.SIG_DFL)


@dataclass(frozen=True)
class Contract:
    """A contract of one's own: the repository's, with the placeholder project named and lines changed."""

    path: Path

    def set(self, **values: str | None) -> Contract:
        """Replaces, adds or (None) removes keys."""
        lines = [line for line in self.path.read_text().splitlines() if line.partition("=")[0] not in values]
        lines += [f"{key}={value}" for key, value in values.items() if value is not None]
        self.path.write_text("\n".join(lines) + "\n")
        return self


def copy_of_package(package: Path, folder: Path) -> Path:
    """Copy a package into a folder, with the list of its sources beside it."""
    shutil.copy(package.with_name(f"{package.name}.inputs"), folder)
    return Path(shutil.copytree(package, folder / package.name))
