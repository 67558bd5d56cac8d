"""Judges answers and commands by the parts of an installed gcloud; run by gcloud's own Python or another.

Reads JSON on standard input: `messages`, a list of [name, API, version, message, data]; `commands`, lists of words; and
`runs`, commands that are run. Prints JSON: `unknown`, fields and values that gcloud's classes lack; `refused`, commands
that its parser refuses; `printed`, exit code, standard output and standard error of each run. All in one process,
because each process of gcloud takes a second.
"""

from __future__ import annotations

import contextlib
import importlib
import io
import json
import sys
from typing import Any

LIBRARY = sys.argv[1]
sys.path[:0] = [LIBRARY, f"{LIBRARY}/third_party"]

from apitools.base.py import encoding  # noqa: E402
from googlecloudsdk import gcloud_main  # noqa: E402
from googlecloudsdk.core import log  # noqa: E402


def unknown(message: Any, path: str) -> list[str]:  # noqa: ANN401 - gcloud has no types
    found = [f"{path}.{name}" for name in message.all_unrecognized_fields()]
    for field in message.all_fields():
        value = getattr(message, field.name)
        for part in value if isinstance(value, list) else [value]:
            if hasattr(part, "all_unrecognized_fields"):
                found += unknown(part, f"{path}.{field.name}")
    return found


def messages(rows: list[list[Any]]) -> list[str]:
    found: list[str] = []
    for name, api, version, message, data in rows:
        module = importlib.import_module(
            f"googlecloudsdk.generated_clients.apis.{api}.{version}.{api}_{version}_messages"
        )
        found += unknown(encoding.JsonToMessage(getattr(module, message), json.dumps(data)), name)
    return found


def commands(rows: list[list[str]]) -> dict[str, str]:
    parser = CLI._CLI__parser
    refused = {}
    for words in rows:
        error = io.StringIO()
        try:
            with contextlib.redirect_stderr(error):
                parser.parse_args(words[1:])
        except SystemExit:
            refused[" ".join(words)] = error.getvalue()
        except Exception as problem:  # noqa: BLE001 - gcloud raises many kinds
            refused[" ".join(words)] = str(problem)
    return refused


def runs(rows: list[list[str]]) -> list[tuple[int, str, str]]:
    printed = []
    for words in rows:
        out, error, code = io.StringIO(), io.StringIO(), 0
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(error):
            log.Reset(out, error)
            try:
                CLI.Execute(words[1:])
            except SystemExit as ended:
                code = ended.code if isinstance(ended.code, int) else 1
            except Exception as problem:  # noqa: BLE001 - gcloud raises many kinds
                code = 1
                error.write(str(problem))
        printed.append((code, out.getvalue(), error.getvalue()))
    log.Reset(sys.stdout, sys.stderr)
    return printed


# One for all commands: it keeps what it has loaded of gcloud's tree.
CLI = gcloud_main.CreateCLI([])
asked = json.load(sys.stdin)
out = {
    "unknown": messages(asked["messages"]),
    "refused": commands(asked["commands"]),
    "printed": runs(asked["runs"]),
}
sys.stdout.write(json.dumps(out))
