"""``deploy/deploy``: each of the two entry points as a private function, and what must be set before events reach it.

Running it again after a failure goes on from there.
"""

from __future__ import annotations

import argparse
import shlex
import sys
from typing import TYPE_CHECKING

import meshcontract

from .. import ROOT, RefusalError, gcloud
from ..arguments import contract_option, folder_to_read
from ..package import bundle
from . import plan
from .deployment_order import steps
from .entry_points import ENRICH, ENTRY_POINTS, environment, environment_yaml
from .gcloud_command import command

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path


def main(arguments: Sequence[str]) -> None:
    """Deploy a function, and what must be set before events or callers reach it; see ``--help``."""
    options = _parser().parse_args(arguments)
    entry = ENTRY_POINTS[options.entry_point]
    values = meshcontract.load(options.contract, also=entry.needs)
    source = options.source
    env_file = _env_file(source, values, values[entry.deployed_as])
    labels = {"app": "meshpass"}
    if source.is_dir():
        labels["package"] = bundle.digest(source)[:12]
    deploy = command(values, entry, source=str(source), env_file=str(env_file), labels=labels)
    write = plan.Write(env_file, environment_yaml(environment(values, entry)))
    wanted = steps(values, entry, deploy, (write,))

    name = "deploy/deploy"
    refusals = _refusals(values, source)
    if options.dry_run:
        for refusal in refusals:
            sys.stderr.write(f"{name}: without --dry-run this stops here: {refusal}\n")
        package = shlex.join(
            [str(ROOT / "deploy" / "package"), "--check", "--no-index", f"--output={source}"]
        )
        again = plan.Script(f"{package} >/dev/null\n")
        sys.stdout.write(plan.script([again, *wanted], name, refusals))
        return
    if refusals:
        raise RefusalError("\n  ".join(refusals))
    gcloud.require()
    plan.run(wanted, shlex.join([name, *arguments]))


def _env_file(source: Path, values: Mapping[str, str], function: str) -> Path:
    """Return a file for this function alone: two contracts may be deployed from one package at the same time."""
    where = f"{values['GOOGLE_CLOUD_PROJECT']}.{values['REGION']}.{function}"
    return source.with_name(f"{source.name}.{where}.env.yaml")


def _refusals(values: Mapping[str, str], source: Path) -> list[str]:
    found = []
    if placeholders := meshcontract.placeholders(values):
        found.append(
            f"the contract still names the placeholder project {meshcontract.PLACEHOLDER_PROJECT!r} in "
            f"{', '.join(placeholders)}; write your own"
        )
    return [*found, *bundle.problems(source)]


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="deploy/deploy",
        description="Deploys the packaged function as infra/contract.env says, with its subscription: deadline, "
        "backoff, undelivered topic; or, as a function of its own, the private HTTP lookup of the same package, then "
        "who may call it. Running it again after a failure goes on from there.",
        epilog="Roles, checks and roll-back: docs/deploy.md",
    )
    parser.add_argument(
        "--entry-point",
        choices=ENTRY_POINTS,
        default=ENRICH.name,
        help="which function of the package (default: %(default)s)",
    )
    parser.add_argument(
        "--dry-run", action="store_true", help="print a shell script that does the same; run nothing"
    )
    contract_option(parser)
    parser.add_argument(
        "--source",
        type=folder_to_read,
        default=ROOT / "build" / "function",
        help="folder from deploy/package (default: %(default)s)",
    )
    return parser
