"""The command line of a redrive."""

import argparse
import math
import re
import sys
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from enrichment.commands.arguments import moment
from enrichment.errors import DEAD_LETTER_REASONS
from enrichment.redrive.dead_letters import Selection
from enrichment.redrive.errors import RedriveError, UsageError
from enrichment.redrive.interrupts import Interrupts
from enrichment.redrive.run import Job, Redrive, Timing

if TYPE_CHECKING:
    from enrichment.redrive.report import Report

DESCRIPTION = """\
Publishes the events behind dead letters again, once what stopped them is mended:
the same bytes, attributes and ordering key, with the identity of their first
publication beside them, so that they make the rows they would have made.

A letter is acknowledged once its event is published and Pub/Sub has confirmed it.
Letters that are not asked for are left as they are. The command can be ended at any
time and run again: what was redriven is gone from the subscription, and an event
that is redriven twice makes no second row. Letters that a killed run held come back
within a minute.

Credentials are those of gcloud's application default login, or of the machine.
"""

_OK, _FAILED, _USAGE = 0, 1, 2
_SIGNAL_BASE = 128


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the command's options to its parser."""
    parser.description = DESCRIPTION
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument(
        "--subscription",
        required=True,
        metavar="NAME",
        type=_full_name("subscriptions"),
        help="pull subscription of the dead-letter topic: projects/P/subscriptions/S",
    )
    parser.add_argument(
        "--topic",
        required=True,
        metavar="NAME",
        type=_full_name("topics"),
        help="topic that the function listens to: projects/P/topics/T",
    )
    parser.add_argument(
        "--reason",
        action="append",
        default=[],
        choices=DEAD_LETTER_REASONS,
        metavar="REASON",
        help=f"only letters with this reason, may be given several times: {', '.join(DEAD_LETTER_REASONS)}",
    )
    parser.add_argument(
        "--since",
        type=moment,
        metavar="WHEN",
        help="only letters dead-lettered then or later: RFC 3339 with an offset, or a date in UTC",
    )
    parser.add_argument("--until", type=moment, metavar="WHEN", help="only letters dead-lettered before")
    parser.add_argument(
        "--rate",
        type=_rate,
        default=100.0,
        metavar="N",
        help="most messages a second, 0 for no limit (default: 100)",
    )
    parser.add_argument("--limit", type=_limit, metavar="N", help="most letters to redrive (default: all)")
    parser.add_argument(
        "--dry-run", action="store_true", help="publish and acknowledge nothing, show what would be redriven"
    )


def run(options: argparse.Namespace, timing: Timing | None = None) -> int:
    """Runs the command.

    Args:
        options: What `add_arguments` made of the command line.
        timing: How long to wait for what.

    Returns:
        The exit code: 0, every letter asked for is redriven (or looked at); 1, some are not; 2, the command line makes
        no sense, or an installation without `meshpass-function[cli]`; 130, ended by Ctrl-C (143 by SIGTERM).
    """
    try:
        from enrichment.redrive import show
        from enrichment.redrive.report import Report
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] != "rich":
            raise
        sys.stderr.write("This command needs rich: pip install 'meshpass-function[cli]'\n")
        return _USAGE
    report = Report()
    interrupts = Interrupts()
    code = _OK
    try:
        with interrupts.handled(), show.progress(options.limit, options.dry_run) as tell:
            _redrive(options, timing or Timing(), report, tell, interrupts)
    except KeyboardInterrupt:
        code = _SIGNAL_BASE + interrupts.signal_number
        show.note("Stopped. What is done is done; run the same command again for the rest.")
    except UsageError as error:
        show.note(str(error))
        return _USAGE
    except RedriveError as error:
        code = _FAILED
        show.note(str(error))
    if code == _OK and not (report.kinds or report.left):
        show.note("No letters there. Those that a killed run held come back within a minute.")
    (show.found if options.dry_run else show.done)(report)
    if report.failed:
        show.note(f"Pub/Sub does not take {report.failed.total()} of the events; their letters are left.")
    if report.hopeless and not options.dry_run:
        letters = "letter that was" if report.hopeless == 1 else "letters that were"
        show.note(
            f"{report.hopeless} {letters} asked for cannot be redriven; read them from the subscription."
        )
        code = code or _FAILED
    return code or (_FAILED if report.failed else _OK)


def _redrive(
    options: argparse.Namespace,
    timing: Timing,
    report: "Report",
    tell: Callable[["Report"], None],
    interrupts: Interrupts,
) -> None:
    # Loaded here: Google's client takes a quarter of a second, and a mistaken option should not.
    from enrichment.redrive import show
    from enrichment.redrive.pubsub import DeadLetterSource, EventTarget

    selection = Selection(datetime.now(UTC), frozenset(options.reason), options.since, options.until)
    if selection.since and selection.until and selection.since >= selection.until:
        raise UsageError("--since must be earlier than --until.")
    job = Job(selection, options.rate, options.limit, options.dry_run, timing)
    with (
        closing(DeadLetterSource(options.subscription, timing.pull_wait_s)) as source,
        closing(EventTarget(options.topic)) as target,
    ):
        topic = source.topic()
        if not topic:
            show.note(
                f"Not permitted to see whose letters these are (roles/pubsub.viewer): {options.topic} must not be the "
                "dead-letter topic itself."
            )
        if topic == options.topic:
            raise UsageError(
                f"{options.topic} is the dead-letter topic itself: --topic takes the one that the function listens to."
            )
        Redrive(job, source, target, report, tell, interrupts.held).run()


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
