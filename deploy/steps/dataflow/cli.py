"""``deploy/dataflow``: the flex template of ``beam/``, and the jobs that are made from it."""

from __future__ import annotations

import argparse
import re
import shlex
import sys
from typing import TYPE_CHECKING

import meshcontract

from .. import ROOT, RefusalError, gcloud, relative
from ..arguments import contract_option, folder_to_read
from ..deploy import plan
from ..package import bundle
from ..package.kinds import DATAFLOW
from . import jobs, names, readback, template

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from ..deploy.plan import Step

_NAME = "deploy/dataflow"
_OF_A_BACKFILL = "[a-z0-9](?:[a-z0-9-]{0,28}[a-z0-9])?"


def main(arguments: Sequence[str]) -> int:
    """Build the template, launch, update or end a job, or read one back; see ``--help``."""
    options = _parser().parse_args(arguments)
    values = meshcontract.load(options.contract, also=("DATAFLOW_SERVICE_ACCOUNT",))
    if options.command == "verify":
        return _verify(values, options)
    wanted, refusals = _plan(values, options)
    if options.dry_run:
        for refusal in refusals:
            sys.stderr.write(f"{_NAME}: without --dry-run this stops here: {refusal}\n")
        sys.stdout.write(plan.script(wanted, f"{_NAME} {options.command}", refusals))
        return 0
    if refusals:
        raise RefusalError("\n  ".join(refusals))
    gcloud.require()
    plan.run(wanted, shlex.join([_NAME, *arguments]))
    return 0


def _plan(values: Mapping[str, str], options: argparse.Namespace) -> tuple[tuple[Step, ...], list[str]]:
    """Return the plan of a command, and the reasons that are known already why it must not run."""
    refusals = _placeholders(values)
    if options.command in ("drain", "cancel"):
        return jobs.end(values, options.job or values["DATAFLOW_JOB"], options.command), refusals
    source: Path = options.source
    digest = bundle.digest(source) if source.is_dir() else "0" * 12
    refusals += bundle.problems(source, DATAFLOW)
    if options.command == "build":
        template.require_files()
        return (_unchanged(source), *jobs.build(values, str(source), digest)), refusals
    mode = "stream" if options.command == "update" else options.mode
    parameters = {
        "mode": mode,
        "environment": names.environment(values),
        "gateway_ca_secret": names.gateway_ca(values),
    }
    job = values["DATAFLOW_JOB"]
    if mode == "stream":
        parameters["subscription"] = names.subscription(values)
    else:
        job = f"{job}-{options.name}"
        parameters["journal"] = names.journal(values, options.name)
    given, wrong = template.given(mode, options.settings)
    parameters |= given
    if parameters.get("rate"):
        parameters["workers"] = str(names.processes(values))
    refusals += [*wrong, *template.problems(mode, parameters)]
    if mode == "backfill":
        refusals += template.together(parameters)
    update = options.command == "update"
    launch = jobs.launch(values, mode, job, digest, parameters, update=update)
    if mode == "stream":
        return jobs.stream(values, launch, digest, update=update), refusals
    return jobs.backfill(values, launch, job, digest), refusals


def _placeholders(values: Mapping[str, str]) -> list[str]:
    found = meshcontract.placeholders(values)
    if not found:
        return []
    return [
        (
            f"the contract still names the placeholder project {meshcontract.PLACEHOLDER_PROJECT!r} in "
            f"{', '.join(found)}; write your own"
        )
    ]


def _unchanged(source: Path) -> Step:
    check = shlex.join(
        [str(ROOT / "deploy" / "package"), "--for", "dataflow", "--check", "--no-index", f"--output={source}"]
    )
    return plan.Script(f"{check} >/dev/null\n")


def _verify(values: Mapping[str, str], options: argparse.Namespace) -> int:
    """Read a job back and report how it differs.

    Returns:
        The exit code: 1 where it differs.
    """
    if refusals := _placeholders(values):
        raise RefusalError("\n  ".join(refusals))
    gcloud.require()
    name = options.job or values["DATAFLOW_JOB"]
    job = gcloud.read(_read_words(jobs.find(values, name)))
    if not job:
        raise RefusalError(f"no job {name} runs")
    place = (f"--project={values['GOOGLE_CLOUD_PROJECT']}", f"--region={values['REGION']}")
    described = gcloud.read_json(("dataflow", "jobs", "describe", job, *place, "--full"))
    source: Path = options.source
    digest = bundle.digest(source) if source.is_dir() else ""
    found = readback.differences(values, described or {}, digest)
    for difference in found:
        sys.stdout.write(f"differs: {difference}\n")
    if not digest:
        sys.stdout.write(f"not compared: there is no package in {relative(source)}\n")
    if not found:
        sys.stdout.write(f"the job {name} ({job}) is as the contract says\n")
    return 1 if found else 0


def _read_words(read: plan.Read) -> list[str]:
    return [str(word) for word in read.command()]


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog=_NAME,
        description="Runs the enrichment on Dataflow: makes the flex template of beam/, launches the streaming job or "
        "a backfill from it, updates, drains or cancels a job, and reads one back. Workers have no public address.",
        epilog="Accounts, network and what each parameter does: docs/dataflow.md",
    )
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    build = commands.add_parser("build", help="the image in Artifact Registry, and a template for each mode")
    run = commands.add_parser("run", help="launch a job")
    modes = run.add_subparsers(dest="mode", metavar="MODE", required=True)
    stream = modes.add_parser(
        "stream", help="events of DATAFLOW_SUBSCRIPTION, until the job is drained or cancelled"
    )
    backfill = modes.add_parser("backfill", help="events of files, of a table, or of dead letters")
    backfill.add_argument(
        "name",
        type=_backfill_name,
        help="what it is called; the same name resumes a backfill that was stopped",
    )
    update = commands.add_parser(
        "update", help="put a new version of the template in the place of the streaming job"
    )
    for command in (stream, backfill, update):
        command.add_argument(
            "--set",
            dest="settings",
            action="append",
            default=[],
            metavar="NAME=VALUE",
            help="a parameter of the template; --set write=storage-write",
        )
    drain = commands.add_parser("drain", help="read no more, finish what was read, and end")
    cancel = commands.add_parser("cancel", help="end at once; Pub/Sub delivers again what was not finished")
    verify = commands.add_parser(
        "verify", help="compare a job that runs with the contract; exit code 1 if it differs"
    )
    for command in (drain, cancel, verify):
        command.add_argument("--job", type=_job_name, help="its name (default: DATAFLOW_JOB)")
    for command in (build, stream, backfill, update, drain, cancel, verify):
        contract_option(command)
    for command in (build, stream, backfill, update, drain, cancel):
        command.add_argument(
            "--dry-run", action="store_true", help="print a shell script that does the same; run nothing"
        )
    for command in (build, stream, backfill, update, verify):
        command.add_argument(
            "--source",
            type=folder_to_read,
            default=ROOT / "build" / "dataflow",
            help="folder from deploy/package --for dataflow (default: %(default)s)",
        )
    return parser


def _backfill_name(text: str) -> str:
    if not re.fullmatch(_OF_A_BACKFILL, text):
        raise argparse.ArgumentTypeError(
            f"{text!r} is no name; write 1 to 30 lower-case letters, digits and hyphens, such as year-2025"
        )
    return text


def _job_name(text: str) -> str:
    if not re.fullmatch("[a-z](?:[a-z0-9-]*[a-z0-9])?", text):
        raise argparse.ArgumentTypeError(
            f"{text!r} is no name of a job; write lower-case letters, digits and hyphens, a letter first"
        )
    return text
