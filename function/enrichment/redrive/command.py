"""Command line of a redrive."""

import argparse
import math
import os
import re
import sys
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from enrichment.commands.arguments import moment
from enrichment.errors import DEAD_LETTER_REASONS
from enrichment.redrive import undelivered
from enrichment.redrive.dead_letters import CANNOT_BE_REDRIVEN, Selection, Verdict
from enrichment.redrive.errors import RedriveError, UsageError
from enrichment.redrive.interrupts import Interrupts
from enrichment.redrive.journal import Journal, default_path
from enrichment.redrive.run import Job, Redrive, Timing

if TYPE_CHECKING:
    from enrichment.redrive.pubsub import Described
    from enrichment.redrive.report import Report

DESCRIPTION = """\
Publishes the events of dead letters again, once their reason is mended: the same
bytes, attributes and ordering key, with the identity of their first publication
beside them, so that they make the rows that they would have made. It takes the
function's dead letters and, from the subscription of UNDELIVERED_TOPIC, messages
that Pub/Sub itself gave up delivering.

A dead letter is acknowledged once its event is published and Pub/Sub has confirmed
it, so no event is lost whenever the command ends. What is published is written to a
journal first, so the next run with the same journal publishes no event twice. If a
run was killed while a request to publish was on its way, the events of that one
request are in doubt: they are left until --in-doubt says what to do.

What a killed run held comes back within a lease, 30 seconds or the subscription's
ack deadline. The command goes on until it has seen nothing more for that long, so
exit code 0 means that all that was asked for is redriven. What another program
holds for longer cannot be seen.

Credentials are those of gcloud's application default login, or of the machine.
"""

_OK, _FAILED, _USAGE = 0, 1, 2
_SIGNAL_BASE = 128
_FUNCTION_VARIABLE = "FUNCTION_NAME"
_LONGEST_ACK_DEADLINE_S = 600
_QUIET_MARGIN_S = 1.0
_SHORT_PULL_S = 1.0
_REASONS = (*DEAD_LETTER_REASONS, undelivered.REASON)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's options to its parser."""
    parser.description = DESCRIPTION
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument(
        "--subscription",
        required=True,
        metavar="NAME",
        type=_full_name("subscriptions"),
        help="pull subscription of DEAD_LETTER_TOPIC or UNDELIVERED_TOPIC: projects/P/subscriptions/S",
    )
    parser.add_argument(
        "--topic",
        required=True,
        metavar="NAME",
        type=_full_name("topics"),
        help="topic that the function listens to: projects/P/topics/T",
    )
    functions = parser.add_mutually_exclusive_group()
    functions.add_argument(
        "--function",
        metavar="NAME",
        help="only dead letters that this function wrote (default: FUNCTION_NAME of the environment); undelivered "
        "messages are taken if their subscription is one of --topic",
    )
    functions.add_argument(
        "--any-function",
        action="store_true",
        help="dead letters of any function, of none by name, and undelivered messages of any subscription",
    )
    parser.add_argument(
        "--reason",
        action="append",
        default=[],
        choices=_REASONS,
        metavar="REASON",
        help=f"only dead letters with this reason, may be given several times: {', '.join(_REASONS)}",
    )
    parser.add_argument(
        "--since",
        type=moment,
        metavar="WHEN",
        help="only what was dead-lettered then or later: RFC 3339 with an offset, or a date in UTC",
    )
    parser.add_argument("--until", type=moment, metavar="WHEN", help="only what was dead-lettered before")
    parser.add_argument(
        "--rate",
        type=_rate,
        default=100.0,
        metavar="N",
        help="most messages a second, 0 for no limit (default: 100); a tenth of it shares one request",
    )
    parser.add_argument(
        "--limit", type=_limit, metavar="N", help="most dead letters to redrive (default: all)"
    )
    parser.add_argument(
        "--dry-run", action="store_true", help="publish and acknowledge nothing, show what would be redriven"
    )
    parser.add_argument(
        "--journal",
        type=Path,
        metavar="FILE",
        help="what earlier runs published (default: a file for each subscription below "
        "~/.local/state/meshpass/redrive); after a seek of the subscription name a new one",
    )
    parser.add_argument(
        "--in-doubt",
        choices=("leave", "publish", "acknowledge"),
        default="leave",
        help="events that a killed run may have published: leave them (default); publish them, which may make a second "
        "row; or acknowledge them, if their rows are there",
    )
    parser.add_argument(
        "--no-wait",
        action="store_true",
        help="do not wait for what a killed run on another machine may hold; after one on this machine it waits anyway",
    )


def run(options: argparse.Namespace, timing: Timing | None = None) -> int:
    """Run the command.

    Args:
        options: What `add_arguments` made of the command line.
        timing: How long to wait for what.

    Returns:
        The exit code: 0, all that was asked for is redriven (or looked at); 1, some is not; 2, the command line is
        wrong, or the installation lacks `meshpass-function[cli]`; 130, ended by Ctrl-C (143 by SIGTERM).
    """
    try:
        from enrichment.redrive import show
        from enrichment.redrive.report import Report
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] != "rich":
            raise
        sys.stderr.write("This command needs the package rich. Run `pip install 'rich>=15'`.\n")
        return _USAGE
    report = Report()
    interrupts = Interrupts()
    code = _OK
    try:
        with interrupts.handled(), show.progress(options.limit, options.dry_run) as progress:
            _redrive(options, timing or Timing(), report, progress, interrupts)
    except KeyboardInterrupt:
        code = _SIGNAL_BASE + interrupts.signal_number
        show.note("Stopped. What is done is done; run the same command again for the rest.")
    except UsageError as error:
        show.note(str(error))
        return _USAGE
    except RedriveError as error:
        code = _FAILED
        show.note(str(error))
    if code == _OK and not (report.kinds or report.left or report.acknowledged):
        show.note("No dead letters there.")
    (show.found if options.dry_run else show.done)(report)
    remarks = _remarks(report)
    for remark in remarks if not options.dry_run else []:
        show.note(remark)
    return code or (_FAILED if remarks and not options.dry_run else _OK)


def _remarks(report: "Report") -> list[str]:
    """Return one sentence or two for each kind of dead letters that were asked for and are not redriven."""
    found = []
    if count := report.failed.total():
        found.append(f"Pub/Sub refuses the events of {_counted(count)}; they are left.")
    if count := report.count_left(*CANNOT_BE_REDRIVEN):
        found.append(
            f"{_counted(count)} that {'was' if count == 1 else 'were'} asked for cannot be redriven; read "
            f"{'it' if count == 1 else 'them'} from the subscription."
        )
    if count := report.count_left(Verdict.UNNAMED_FUNCTION):
        names = f"of {', '.join(report.functions)}" if report.functions else "that name no function"
        found.append(
            f"{_counted(count)} {names} left: name the function with --function, or take all with --any-function."
        )
    if count := report.count_left(Verdict.UNKNOWN_SUBSCRIPTION):
        found.append(
            f"{_counted(count)} left, because the topic of their subscription cannot be seen: ask for "
            "roles/pubsub.viewer, or take all with --any-function."
        )
    if count := report.count_left(Verdict.IN_DOUBT):
        found.append(
            f"{_counted(count)} may have been published by a run that was killed, such as those of message "
            f"{', '.join(report.in_doubt)}: look for their rows, then run again with --in-doubt."
        )
    return found


def _counted(count: int) -> str:
    return "1 dead letter" if count == 1 else f"{count} dead letters"


def _redrive(
    options: argparse.Namespace,
    timing: Timing,
    report: "Report",
    progress: Callable[["Report"], None],
    interrupts: Interrupts,
) -> None:
    # Imported here because Google's client takes a quarter of a second, and a wrong option should not.
    from enrichment.redrive import show
    from enrichment.redrive.pubsub import DeadLetterSource, EventTarget

    selection = Selection(
        began_at=datetime.now(UTC),
        topic=options.topic,
        reasons=frozenset(options.reason),
        since=options.since,
        until=options.until,
        function=options.function or os.environ.get(_FUNCTION_VARIABLE, ""),
        any_function=options.any_function,
    )
    if selection.since and selection.until and selection.since >= selection.until:
        raise UsageError("--since must be earlier than --until.")
    if options.no_wait:
        timing = replace(timing, pull_wait_s=min(timing.pull_wait_s, _SHORT_PULL_S))
    with (
        Journal(options.journal or default_path(options.subscription)) as journal,
        closing(DeadLetterSource(options.subscription, timing.pull_wait_s)) as source,
        closing(EventTarget(options.topic)) as target,
    ):
        if journal.torn_lines:
            lines = ", ".join(map(str, journal.torn_lines))
            show.note(
                f"An earlier run could not write the journal to its end (line {lines}): the line counts for nothing. "
                "Dead letters that it named as published are in doubt."
            )
        described = source.describe()
        if described is None:
            show.note(
                "Not permitted to see the topic of the subscription (roles/pubsub.viewer): "
                f"{options.topic} must not be the dead-letter topic itself."
            )
        elif described.topic == options.topic:
            raise UsageError(
                f"{options.topic} is the dead-letter topic itself: --topic takes the one that the function listens to."
            )
        quiet_s = _quiet_s(timing, described)
        if options.no_wait and journal.was_killed:
            show.note(f"The run before did not end by itself: waiting {quiet_s:.0f} s for what it may hold.")
        elif options.no_wait:
            quiet_s = 0.0
        job = Job(selection, options.rate, options.limit, options.dry_run, options.in_doubt, quiet_s, timing)
        redrive = Redrive(job, source, target, journal, report, progress, interrupts.held)
        redrive.run()
        if redrive.limit_is_reached:
            show.note(f"The limit of {options.limit} is reached; there may be more.")


def _quiet_s(timing: Timing, described: "Described | None") -> float:
    """Return for how long pulls must bring nothing more, in seconds: longer than a run that was killed holds anything.

    Such a run holds for the subscription's own ack deadline what it had pulled and not extended yet.
    """
    if timing.quiet_s is not None:
        return timing.quiet_s
    ack_deadline_s = described.ack_deadline_s if described else _LONGEST_ACK_DEADLINE_S
    return max(timing.lease_s, ack_deadline_s) + _QUIET_MARGIN_S


def _full_name(collection: str) -> Callable[[str], str]:
    def check(text: str) -> str:
        if not re.fullmatch(rf"projects/[^/\s]+/{collection}/[^/\s]+", text):
            raise argparse.ArgumentTypeError(f"it must read projects/PROJECT/{collection}/NAME")
        return text

    return check


def _rate(text: str) -> float:
    try:
        rate = float(text)
    except ValueError:
        rate = math.nan
    if not (math.isfinite(rate) and rate >= 0):
        raise argparse.ArgumentTypeError("it must be a number, 0 or more")
    return rate


def _limit(text: str) -> int:
    if not re.fullmatch(r"[1-9][0-9]{0,9}", text):
        raise argparse.ArgumentTypeError("it must be a whole number, 1 or more")
    return int(text)
