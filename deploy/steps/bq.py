"""Commands of bq, BigQuery's command-line tool, which comes with gcloud."""

from __future__ import annotations

import json
import shutil
import subprocess
from typing import TYPE_CHECKING, Any

from . import RefusalError

if TYPE_CHECKING:
    from collections.abc import Sequence


def require() -> None:
    """Refuse if bq is not installed.

    Raises:
        RefusalError: there is no bq.
    """
    if shutil.which("bq") is None:
        raise RefusalError(
            "bq is not on PATH; it is a part of the Google Cloud CLI: `gcloud components install bq`"
        )


def rows(arguments: Sequence[str]) -> list[dict[str, Any]]:
    """Run a query whose output format is JSON, and return its rows.

    Args:
        arguments: bq's arguments, ``--format=json`` among them.

    Returns:
        One dict for each row; empty for a query without rows.

    Raises:
        RefusalError: bq failed, or its output is not a list in JSON.
    """
    done = subprocess.run(["bq", *arguments], check=False, stdout=subprocess.PIPE, text=True)  # noqa: S603, S607
    if done.returncode != 0:
        # bq writes its errors to standard output.
        raise RefusalError(f"`bq query` failed with exit code {done.returncode}: {done.stdout.strip()}")
    return json_list(done.stdout, "bq query")


def json_list(text: str, command: str) -> list[dict[str, Any]]:
    """Return the list that a command printed as JSON; nothing at all is an empty list.

    Raises:
        RefusalError: the text is something else.
    """
    try:
        found = json.loads(text.strip() or "[]")
    except ValueError:
        found = None
    if not isinstance(found, list):
        raise RefusalError(
            f"`{command}` printed no list in JSON; run the command by hand to see what it prints"
        )
    return found
