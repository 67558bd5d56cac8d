"""``deploy/destroy``: delete a deployment, and show that nothing of it is left.

The order loses no event. The subscription stops pushing first, so that events wait in it. Only when none waits is it
deleted, and the functions after it.
"""

from __future__ import annotations

import argparse
import datetime as dt
import shlex
import sys
import time
from typing import TYPE_CHECKING

from .. import RefusalError, StoppedError, gcloud
from ..arguments import contract_option
from ..cloud import actions, readers
from ..cloud.answers import Outcome, Question
from ..deploy.entry_points import ENRICH, ENTRY_POINTS, LOOKUP
from . import backlog, inventory

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from ..cloud.readers import Reader
    from ..deploy.entry_points import EntryPoint
    from .inventory import Inventory, Thing

    Waiting = Callable[[str, str], int | None]
    """Returns how many messages wait in a subscription of a project, or None if that is not known."""


_PAUSED = "the subscription pushes no more; its events wait"


def main(arguments: Sequence[str]) -> None:
    """Delete a deployment; see ``--help``."""
    options = _parser().parse_args(arguments)
    values = actions.contract(options.contract)
    gcloud.require()
    entries = [ENTRY_POINTS[options.entry_point]] if options.entry_point else [ENRICH, LOOKUP]

    def waiting(project: str, subscription: str) -> int | None:
        return backlog.read(project, subscription, dt.datetime.now(dt.UTC))

    destroy(
        values,
        entries,
        readers.CommandReader(),
        waiting,
        yes=options.yes,
        data=options.data,
        drop_backlog=options.drop_backlog,
        dry_run=options.dry_run,
    )


def destroy(
    values: Mapping[str, str],
    entries: Sequence[EntryPoint],
    reader: Reader,
    waiting: Waiting,
    *,
    yes: str = "",
    data: bool = False,
    drop_backlog: bool = False,
    dry_run: bool = False,
    sleep: Callable[[float], None] = time.sleep,
) -> None:
    """Delete what of a deployment exists, after a question.

    Args:
        values: A checked contract.
        entries: The functions to delete.
        reader: Reads what is there.
        waiting: Returns how many messages wait in a subscription.
        yes: The name of the function, for a pipeline; without it the user is asked.
        data: Delete topics, table and secrets too.
        drop_backlog: Go on although events wait, or it is not known.
        dry_run: Show the commands, and delete nothing.
        sleep: Waits so many seconds.

    Raises:
        RefusalError: events wait, the name is wrong, something cannot be read or deleted, or something is left.
    """
    if data and len(entries) != len(ENTRY_POINTS):
        raise RefusalError("--data is for both functions: they share secrets. Leave out --entry-point.")
    found = inventory.take(values, entries, reader)
    going = [thing for thing in found.things if data or not thing.data]
    if not going:
        actions.say("there is nothing to delete", dry_run=dry_run)
        return
    if dry_run:
        sys.stdout.write("set -eu\n")
    _show(values, found, going, data=data, dry_run=dry_run)
    _require_no_backlog(values, found, going, waiting, drop_backlog=drop_backlog, dry_run=dry_run)
    name = values[entries[0].deployed_as]
    if not dry_run:
        _ask(name, yes)
    changes = actions.Changes(dry_run=dry_run)
    try:
        if found.subscription:
            _pause(values, found, changes, reader, drop_backlog=drop_backlog, dry_run=dry_run, sleep=sleep)
        for thing in going:
            changes.run(f"{thing.about} is deleted", thing.delete)
    except KeyboardInterrupt:
        raise StoppedError(f"interrupted. {changes.so_far()}{_resume(found, going, changes)}") from None
    except RefusalError as refusal:
        raise type(refusal)(f"{refusal}{_resume(found, going, changes)}") from None
    if not dry_run:
        _require_nothing_left(going, reader)
        sys.stdout.write(f"deleted, and looked for again: nothing of {len(going)} is left\n")


def _resume(found: Inventory, going: Sequence[Thing], changes: actions.Changes) -> str:
    """Return how the subscription pushes again, if it was stopped here or before, and is still there."""
    own = next((thing for thing in going if thing.delete[-2:-1] == (found.subscription,)), None)
    stopped = not found.pushes or _PAUSED in changes.done
    if not (own and found.resume and stopped) or f"{own.about} is deleted" in changes.done:
        return ""
    name = found.subscription.rpartition("/")[2]
    return f"\n  {name} does not push now. To let it push again:\n  {shlex.join(found.resume)}"


def _show(
    values: Mapping[str, str], found: Inventory, going: Sequence[Thing], *, data: bool, dry_run: bool
) -> None:
    lines = ["this is deleted:", *(f"  {thing.about}" for thing in going), "this is kept:"]
    lines += [f"  {stays}" for stays in (*(found.shared if data else ()), *inventory.kept(values, data=data))]
    actions.say("\n".join(lines), dry_run=dry_run)


def _require_no_backlog(
    values: Mapping[str, str],
    found: Inventory,
    going: Sequence[Thing],
    waiting: Waiting,
    *,
    drop_backlog: bool,
    dry_run: bool,
) -> None:
    """Refuse if events wait in a subscription that goes.

    Raises:
        RefusalError: they do, or it is not known, and the user did not say that they may go.
    """
    readers_of_data = [
        thing.delete[4]
        for thing in going
        if thing.data and thing.delete[:4] == ("gcloud", "pubsub", "subscriptions", "delete")
    ]
    problems = []
    for name in (*found.waiting, *readers_of_data):
        count = waiting(values["GOOGLE_CLOUD_PROJECT"], name.rpartition("/")[2])
        shown = "an unknown number of" if count is None else str(count)
        actions.say(f"{shown} events wait in {name.rpartition('/')[2]}", dry_run=dry_run)
        if count != 0:
            problems.append(f"{name.rpartition('/')[2]}: {shown} events")
    if not problems or drop_backlog:
        return
    listed = "\n  ".join(problems)
    message = (
        f"events would be lost, and nothing was changed:\n  {listed}\n  Let the function take them, or redrive them; "
        "or say with --drop-backlog that they may go."
    )
    if not dry_run:
        raise RefusalError(message)
    sys.stderr.write(f"deploy/destroy: without --dry-run this stops here: {message}\n")
    sys.stdout.write("echo 'events wait: run deploy/destroy' >&2\nexit 1\n")


def _ask(name: str, yes: str) -> None:
    if yes:
        if yes != name:
            raise RefusalError(f"--yes names {yes!r}, and the function is {name}. Nothing was changed.")
        return
    if not sys.stdin.isatty():
        raise RefusalError(f"this deletes, and there is no terminal to ask on. Say --yes {name}.")
    sys.stdout.write(f"Type the name of the function to delete all this: {name}\n> ")
    sys.stdout.flush()
    if sys.stdin.readline().strip() != name:
        raise RefusalError("that is not the name. Nothing was changed.")


def _pause(
    values: Mapping[str, str],
    found: Inventory,
    changes: actions.Changes,
    reader: Reader,
    *,
    drop_backlog: bool,
    dry_run: bool,
    sleep: Callable[[float], None],
) -> None:
    """Stop the pushes, and look whether an event came meanwhile.

    Raises:
        RefusalError: one did. It waits in the subscription.
    """
    where = (found.subscription, f"--project={values['GOOGLE_CLOUD_PROJECT']}")
    pause = ("gcloud", "pubsub", "subscriptions", "modify-push-config", *where, "--push-endpoint=")
    # A run that stopped may have paused it already.
    if found.pushes:
        changes.run(_PAUSED, pause)
    if drop_backlog:
        return
    under_way_s = int(values["FUNCTION_TIMEOUT_S"])
    pull = ("gcloud", "pubsub", "subscriptions", "pull", *where, "--limit=1")
    if dry_run:
        look = shlex.join((*pull, "--format=value(message.messageId)"))
        sys.stdout.write(f'sleep {under_way_s}\nwaits=$({look})\ntest -z "$waits"\n')
        return
    sys.stdout.write(f"waiting {under_way_s} s for events that the function is working on\n")
    sys.stdout.flush()
    sleep(under_way_s)
    # The number that was shown is minutes old. Without --auto-ack the message stays; its content is not printed.
    peek = Question(
        "peek",
        (*pull, "--format=json(message.messageId)"),
        f"the subscription {found.subscription.rpartition('/')[2]}",
        shape=list,
        role="roles/pubsub.subscriber",
    )
    if actions.required(reader, peek):
        name = found.subscription.rpartition("/")[2]
        raise RefusalError(
            f"an event came meanwhile, and waits in {name}. Stop the publishers, let the event be taken, and run this "
            "again; --drop-backlog deletes the event."
        )


def _require_nothing_left(gone: Sequence[Thing], reader: Reader) -> None:
    """Look again for everything that was deleted.

    Raises:
        RefusalError: something is still there, or it cannot be read whether it is.
    """
    left = []
    for thing in gone:
        answer = reader(thing.question)
        if answer.ok:
            left.append(f"{thing.about} is still there: {shlex.join(thing.delete)}")
        elif answer.outcome is not Outcome.ABSENT:
            left.append(f"{thing.about} may be there: {answer.error}")
    if left:
        listed = "\n  ".join(left)
        raise RefusalError(f"not everything is gone:\n  {listed}")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="deploy/destroy",
        description="Deletes the functions, the push subscription and the alert policies of the contract. It lists "
        "first what goes and what stays, asks for the function's name, stops the pushes before anything is deleted, "
        "and looks afterwards whether something is left. Topics, table and secrets stay, unless --data is given.",
        epilog="docs/operate.md",
    )
    parser.add_argument(
        "--entry-point", choices=ENTRY_POINTS, default="", help="delete one function only (default: both)"
    )
    parser.add_argument(
        "--yes", default="", metavar="NAME", help="the function's name, in place of the question"
    )
    parser.add_argument("--data", action="store_true", help="delete topics, table, view and secrets too")
    parser.add_argument(
        "--drop-backlog", action="store_true", help="go on although events wait, and lose them"
    )
    parser.add_argument("--dry-run", action="store_true", help="list, and show the commands; delete nothing")
    contract_option(parser)
    return parser
