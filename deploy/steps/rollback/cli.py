"""``deploy/rollback``: point the traffic of a function at an earlier revision."""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING

from .. import RefusalError, gcloud
from ..arguments import contract_option
from ..cloud import actions, fields, questions, readers
from ..deploy.entry_points import ENRICH, ENTRY_POINTS
from . import fit, revisions

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ..cloud.answers import Question
    from ..cloud.readers import Reader
    from ..deploy.entry_points import EntryPoint
    from .revisions import Revision

LATEST = "latest"


def main(arguments: Sequence[str]) -> None:
    """Roll a function back, or list its revisions; see ``--help``."""
    options = _parser().parse_args(arguments)
    values = actions.contract(options.contract)
    gcloud.require()
    roll_back(
        values,
        ENTRY_POINTS[options.entry_point],
        readers.CommandReader(),
        to=options.to,
        list_only=options.list,
        force=options.force,
        dry_run=options.dry_run,
    )


def roll_back(
    values: Mapping[str, str],
    entry: EntryPoint,
    reader: Reader,
    *,
    to: str | None = None,
    list_only: bool = False,
    force: bool = False,
    dry_run: bool = False,
) -> None:
    """Point all traffic of a function at one revision.

    Args:
        values: A checked contract.
        entry: The function.
        reader: Reads what is there.
        to: The revision; None for the one before, ``latest`` to end a roll-back.
        list_only: Show the revisions and change nothing.
        force: Go on although the revision would fail.
        dry_run: Show the command only.

    Raises:
        RefusalError: there is no such revision, it does not fit, or something cannot be read or changed.
    """
    service = actions.required(reader, _question(values, entry, "service"))
    found = revisions.listed(service, actions.required(reader, _question(values, entry, "revisions")))
    actions.say(revisions.shown(found), dry_run=dry_run)
    if list_only:
        return
    name = values[entry.deployed_as]
    where = (f"--project={values['GOOGLE_CLOUD_PROJECT']}", f"--region={values['REGION']}")
    command = ("gcloud", "run", "services", "update-traffic", name, *where)
    changes = actions.Changes(dry_run=dry_run)
    if to is not None and not to:
        raise RefusalError("--to is empty. Name a revision, or leave it out.")
    if to == LATEST:
        changes.run("the traffic goes to the newest revision", (*command, "--to-latest"))
        return
    target = revisions.chosen(found, to or "")
    if target.percent == 100:
        actions.say(f"{target.name} has all the traffic already", dry_run=dry_run)
        return
    _judge(values, entry, target, reader, force=force)
    changes.run("the traffic goes to the old revision", (*command, f"--to-revisions={target.name}=100"))
    if not dry_run:
        _confirm(changes.look(reader, _question(values, entry, "service")), target.name)
        sys.stdout.write(f"all traffic goes to {target.name}\n")
    sys.stderr.write(
        "deploy/rollback: this holds until the next deployment, which takes the traffic again. For good: check out the "
        "commit before, deploy/package, deploy/deploy. To end it: deploy/rollback --to=latest\n"
    )


def _judge(
    values: Mapping[str, str], entry: EntryPoint, target: Revision, reader: Reader, *, force: bool
) -> None:
    found = fit.check(values, entry, target.data, reader)
    for difference in found.differences:
        sys.stderr.write(f"deploy/rollback: {target.name} differs from the contract: {difference}\n")
    if found.obstacles and not force:
        listed = "\n  ".join(found.obstacles)
        raise RefusalError(
            f"{target.name} would fail, and nothing was changed:\n  {listed}\n  Mend it, choose another with --to, or "
            "go on all the same with --force."
        )
    for obstacle in found.obstacles:
        sys.stderr.write(f"deploy/rollback: forced although {obstacle}\n")


def _confirm(service: object, name: str) -> None:
    shares = {
        fields.text(target, "revisionName"): fields.text(target, "percent")
        for target in fields.items(service, "status", "traffic")
    }
    if shares.get(name) != "100":
        raise RefusalError(
            f"gcloud reported success, but the traffic does not go to {name}. Look with `deploy/rollback --list`."
        )


def _question(values: Mapping[str, str], entry: EntryPoint, name: str) -> Question:
    planned = questions.first(values, [entry])
    return next(question for question in planned if question.name == f"{name}-{entry.name}")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="deploy/rollback",
        description="Points all traffic of a function at the revision before, without a build. It looks first "
        "whether that revision still fits: whether its secrets can be read, and its timeout is within the "
        "subscription's deadline. It holds until the next deployment.",
        epilog="docs/operate.md",
    )
    parser.add_argument(
        "--entry-point", choices=ENTRY_POINTS, default=ENRICH.name, help="the function (default: %(default)s)"
    )
    parser.add_argument(
        "--to",
        metavar="REVISION",
        help="a revision, or `latest` to end a roll-back (default: the one before)",
    )
    parser.add_argument("--list", action="store_true", help="show the revisions, and change nothing")
    parser.add_argument("--force", action="store_true", help="go on although the revision would fail")
    parser.add_argument("--dry-run", action="store_true", help="look, and show the command; change nothing")
    contract_option(parser)
    return parser
