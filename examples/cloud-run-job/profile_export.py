"""Cloud Run job that writes the profiles of a list of users as JSON lines. Each task writes its share of them."""

from __future__ import annotations

import json
import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import meshpass

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

PROFILE = "/profile/{user_id}"
CALL_TIMEOUT_S = 30.0

DONE = 0
FAILED = 1
"""What may succeed at the next attempt: the mesh was not available."""
REFUSED = 77
"""What fails again until a person changes something: a policy, a route, a token (EX_NOPERM of sysexits.h)."""
MISCONFIGURED = 78
"""What fails again until a person changes a setting or a file (EX_CONFIG of sysexits.h)."""


@dataclass(frozen=True)
class Task:
    """The share of one task, from the variables that Cloud Run sets.

    Args:
        index: The number of this task, from 0.
        count: How many tasks the job has.
        attempt: How often this task was tried before.
    """

    index: int = 0
    count: int = 1
    attempt: int = 0

    @classmethod
    def from_env(cls, environ: Mapping[str, str]) -> Task:
        """Read the task; one task of one where the program runs outside of Cloud Run."""
        return cls(
            int(environ.get("CLOUD_RUN_TASK_INDEX", "0")),
            int(environ.get("CLOUD_RUN_TASK_COUNT", "1")),
            int(environ.get("CLOUD_RUN_TASK_ATTEMPT", "0")),
        )

    def share(self, users: Iterable[str]) -> Iterator[str]:
        """Yield the users of this task. Every user is in the share of exactly one task."""
        for number, user in enumerate(users):
            if number % self.count == self.index:
                yield user

    def file(self, directory: Path) -> Path:
        """Return the file of this task. A second attempt writes the same file."""
        return directory / f"profiles-{self.index:05d}-of-{self.count:05d}.jsonl"


def log(severity: str, message: str, **fields: object) -> None:
    """Write one line as Cloud Logging reads it. Fields hold counts and codes: no id and no profile."""
    print(json.dumps({"severity": severity, "message": message, **fields}), flush=True)


def read_users(file: Path) -> list[str]:
    """Read one user id a line."""
    return [line.strip() for line in file.read_text(encoding="utf-8").splitlines() if line.strip()]


def profiles(mesh: meshpass.Client, users: Iterable[str]) -> Iterator[dict[str, Any]]:
    """Yield a record for each user. A user that the service does not know has `"profile": null`.

    Raises:
        meshpass.MeshError: The mesh refused a call, or it was not available in time.
        httpx.HTTPStatusError: The service sent another status than 200 and 404.
    """
    for user in users:
        response = mesh.get(PROFILE, user_id=user)
        if response.status_code == 404:
            yield {"user_id": user, "profile": None}
        else:
            yield {"user_id": user, "profile": response.raise_for_status().json()}


def write(records: Iterable[dict[str, Any]], file: Path) -> tuple[int, int]:
    """Write the records; the file appears when it is complete. Return how many there are, and how many are unknown."""
    rows = unknown = 0
    part = file.with_suffix(".part")
    try:
        with part.open("w", encoding="utf-8") as out:
            for record in records:
                out.write(json.dumps(record, ensure_ascii=False) + "\n")
                rows += 1
                unknown += record["profile"] is None
        part.replace(file)
    finally:
        part.unlink(missing_ok=True)
    return rows, unknown


def main(environ: Mapping[str, str]) -> int:
    """Run the task that the environment describes, and return its exit code."""
    import httpx

    try:
        task = Task.from_env(environ)
        users, directory = read_users(Path(environ["USERS_FILE"])), Path(environ["OUTPUT_DIR"])
    except (KeyError, ValueError, OSError) as error:
        log("ERROR", "The settings of the job cannot be used.", error=f"{type(error).__name__}: {error}")
        return MISCONFIGURED
    about = {"task": task.index, "tasks": task.count, "attempt": task.attempt}
    try:
        with meshpass.Client.from_env(timeout_s=CALL_TIMEOUT_S) as mesh:
            rows, unknown = write(profiles(mesh, task.share(users)), task.file(directory))
    except meshpass.ConfigurationError as error:
        log("ERROR", "The settings of the mesh are wrong.", **about, problems=list(error.problems))
        return MISCONFIGURED
    except meshpass.MeshError as error:
        fields = {"code": error.code, "status": error.status, "hint": error.hint}
        log("ERROR", "A call through the mesh failed.", **about, **fields)
        return FAILED if error.retryable else REFUSED
    except httpx.HTTPStatusError as error:
        log("ERROR", "The service failed.", **about, status=error.response.status_code)
        return FAILED
    log("INFO", "The profiles are written.", **about, rows=rows, unknown=unknown)
    return DONE


if __name__ == "__main__":
    sys.exit(main(os.environ))
