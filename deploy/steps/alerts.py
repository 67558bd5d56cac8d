"""``deploy/write-alerts``: the alert policies of ``deploy/alerts`` with the contract's names in them."""

from __future__ import annotations

import argparse
import re
import sys
from typing import TYPE_CHECKING

import meshcontract

from . import ROOT, gcloud, relative
from .arguments import contract_option, folder_to_make

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

POLICIES = ROOT / "deploy" / "alerts"

_PLACEHOLDER = re.compile(r"\$\{([A-Z_]+)\}")
_TOPICS = frozenset({"TRIGGER_TOPIC", "DEAD_LETTER_TOPIC", "UNDELIVERED_TOPIC"})


def rendered(text: str, values: Mapping[str, str]) -> str:
    """Return a policy with the contract's values in place of its placeholders, ``${FUNCTION_NAME}``.

    Cloud Monitoring names a topic by the last part of its name.

    Args:
        text: The policy.
        values: A checked contract.

    Raises:
        KeyError: a placeholder is no key of the contract.
    """

    def value(found: re.Match[str]) -> str:
        name = found[1]
        return values[name].rpartition("/")[2] if name in _TOPICS else values[name]

    return _PLACEHOLDER.sub(value, text)


def create(values: Mapping[str, str], policy: Path) -> list[str]:
    """Return the command that creates a policy."""
    return [
        "monitoring",
        "policies",
        "create",
        f"--project={values['GOOGLE_CLOUD_PROJECT']}",
        f"--policy-from-file={policy}",
    ]


def main(arguments: Sequence[str]) -> None:
    """Write the policies and print the commands; see ``--help``."""
    parser = argparse.ArgumentParser(
        prog="deploy/write-alerts",
        description="Writes the alert policies of deploy/alerts with the contract's names into a folder, and prints "
        "the commands that create them. It runs none of them: a policy that is created twice exists twice.",
        epilog="Notification channels: docs/deploy.md",
    )
    contract_option(parser)
    parser.add_argument(
        "--output",
        type=folder_to_make,
        default=ROOT / "build" / "alerts",
        help="folder to write (default: %(default)s)",
    )
    options = parser.parse_args(arguments)
    values = meshcontract.load(options.contract)
    options.output.mkdir(parents=True, exist_ok=True)
    for source in sorted(POLICIES.glob("*.json")):
        policy = options.output / source.name
        policy.write_text(rendered(source.read_text(encoding="utf-8"), values), encoding="utf-8")
        sys.stderr.write(f"wrote {relative(policy)}\n")
        sys.stdout.write(f"{gcloud.show(create(values, policy))}\n")
