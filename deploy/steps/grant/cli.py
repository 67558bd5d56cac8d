"""``deploy/grant``: let callers in, take them out, and show who is in."""

from __future__ import annotations

import argparse
import datetime as dt
from typing import TYPE_CHECKING

from .. import RefusalError, gcloud
from ..arguments import contract_option
from ..cloud import actions, readers
from ..deploy.entry_points import ENTRY_POINTS, LOOKUP
from . import conditions, invoker, members, workload_identity

if TYPE_CHECKING:
    from collections.abc import Sequence


def main(arguments: Sequence[str]) -> None:
    """Change or show grants; see ``--help``."""
    options = _parser().parse_args(arguments)
    values = actions.contract(options.contract)
    if options.command == "workload-identity":
        link = workload_identity.Link(
            members.service_account(options.gsa),
            members.kubernetes_name("namespace", options.namespace),
            members.kubernetes_name("service account", options.ksa),
            members.project(options.project),
        )
        gcloud.require()
        reader = readers.CommandReader()
        workload_identity.apply(values, link, reader, remove=options.remove, dry_run=options.dry_run)
        return
    entry = ENTRY_POINTS[options.entry_point]
    if options.command == "bind":
        member = members.checked(options.member, wide=options.allow_wide)
        expression, title = _condition(options)
        conditions.flag(expression, title)  # refuses before anything is asked
        gcloud.require()
        reader = readers.CommandReader()
        invoker.bind(
            values, entry, reader, member=member, title=title, expression=expression, dry_run=options.dry_run
        )
        return
    gcloud.require()
    reader = readers.CommandReader()
    if options.command == "unbind":
        if not options.member.isprintable() or not options.member.strip():
            raise RefusalError(
                "the member is empty, or has control characters. Copy it from `deploy/grant list`."
            )
        invoker.unbind(values, entry, reader, member=options.member, dry_run=options.dry_run)
    else:
        invoker.show(values, entry, reader, as_json=options.json)


def _condition(options: argparse.Namespace) -> tuple[str, str]:
    # An empty value is often an unset variable of a shell. It must not make a grant without an end.
    for name in ("expires", "condition", "condition_title"):
        if getattr(options, name) is not None and not getattr(options, name).strip():
            raise RefusalError(f"--{name.replace('_', '-')} is empty. Write a value, or leave it out.")
    if (options.condition is None) != (options.condition_title is None):
        raise RefusalError(
            "--condition and --condition-title need each other: a policy shows a condition by its title."
        )
    if options.expires is not None:
        return conditions.until(options.expires, dt.datetime.now(dt.UTC))
    return options.condition or "", options.condition_title or ""


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="deploy/grant",
        description="Lets callers of other projects call the lookup, takes them out, and shows who is in: "
        "roles/run.invoker on the Cloud Run service under the function. Links a Kubernetes account of a GKE "
        "cluster to a Google service account. It never grants to everyone, and makes no key file.",
        epilog="docs/operate.md",
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    common = argparse.ArgumentParser(add_help=False)
    contract_option(common)
    function = argparse.ArgumentParser(add_help=False)
    function.add_argument(
        "--entry-point", choices=ENTRY_POINTS, default=LOOKUP.name, help="the function (default: %(default)s)"
    )
    dry = argparse.ArgumentParser(add_help=False)
    dry.add_argument("--dry-run", action="store_true", help="read, and show the command; change nothing")

    bind = commands.add_parser("bind", parents=[common, function, dry], help="let a member call the function")
    bind.add_argument(
        "--member", required=True, help="such as serviceAccount:NAME@PROJECT.iam.gserviceaccount.com"
    )
    bind.add_argument(
        "--allow-wide", action="store_true", help="take a whole domain or identity pool as well"
    )
    limits = bind.add_mutually_exclusive_group()
    limits.add_argument("--expires", metavar="TIME", help="when it ends, such as 2027-03-31T00:00:00Z")
    limits.add_argument("--condition", metavar="CEL", help="a condition of IAM, in CEL")
    bind.add_argument("--condition-title", metavar="TITLE", help="the title of --condition")

    unbind = commands.add_parser("unbind", parents=[common, function, dry], help="take a member out")
    unbind.add_argument("--member", required=True, help="the member as `deploy/grant list` shows it")

    shown = commands.add_parser("list", parents=[common, function], help="show who may call the function")
    shown.add_argument("--json", action="store_true", help="print JSON")

    link = commands.add_parser(
        "workload-identity",
        parents=[common, dry],
        help="let a Kubernetes account act as a Google service account",
    )
    link.add_argument("--gsa", required=True, metavar="EMAIL", help="the Google service account")
    link.add_argument("--namespace", required=True, help="the namespace of the Kubernetes account")
    link.add_argument("--ksa", required=True, metavar="NAME", help="the Kubernetes account")
    link.add_argument("--project", required=True, help="the project of the cluster")
    link.add_argument("--remove", action="store_true", help="take the link away")
    return parser
