"""Entry of the flex template: puts the environment of the enrichment in place, then runs the pipeline's own command.

Dataflow gives a launcher no environment and mounts no secret. So both come as parameters, as `metadata-*.json` beside
this file describe them. This file uses the standard library and what the image has installed.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import sys
import tempfile
from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence


def command_line(arguments: Sequence[str]) -> tuple[list[str], dict[str, str], str]:
    """Return the pipeline's command line, the environment to set, and the name of the CA's secret; empty without one.

    Args:
        arguments: the template's parameters as Dataflow gives them, ``--NAME=VALUE``. One that is empty was not given.
    """
    parser = argparse.ArgumentParser(allow_abbrev=False)
    parser.add_argument("--mode", required=True, choices=("stream", "backfill"))
    parser.add_argument("--environment", required=True)
    parser.add_argument("--gateway_ca_secret", default="")
    parser.add_argument("--files", default="")
    parser.add_argument("--dry_run", default="false", choices=("true", "false", ""))
    ours, others = parser.parse_known_args(arguments)
    files = [f"--files={pattern}" for pattern in ours.files.split()]
    counts = ["--dry-run"] if ours.dry_run == "true" else []
    return [ours.mode, *files, *counts, *others], _environment(ours.environment), ours.gateway_ca_secret


def _environment(text: str) -> dict[str, str]:
    try:
        found = json.loads(text)
    except ValueError as error:
        raise SystemExit(f"the parameter environment is no JSON: {error}") from None
    if not isinstance(found, dict) or not all(
        re.fullmatch("[A-Z][A-Z0-9_]*", name) and isinstance(value, str) for name, value in found.items()
    ):
        raise SystemExit("the parameter environment must be one JSON object of names and texts")
    return found


def write_gateway_ca(secret: str) -> str:
    """Read the certificate of the gateway's CA, write it to a file, and return the file's path."""
    from google.cloud import secretmanager

    with secretmanager.SecretManagerServiceClient() as client:
        content = client.access_secret_version(name=secret).payload.data
    with tempfile.NamedTemporaryFile("wb", prefix="gateway-ca-", suffix=".pem", delete=False) as file:
        file.write(content)
    return file.name


def main(arguments: Sequence[str]) -> int | None:
    """Run the pipeline's command with the environment in place."""
    command, environment, secret = command_line(arguments)
    os.environ.update(environment)
    if secret:
        os.environ["GKE_GATEWAY_CA_FILE"] = write_gateway_ca(secret)
    # By name: the package is in the image, and in no environment that checks this file.
    code: int | None = import_module("enrichment_beam.command").main(command)
    return code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
