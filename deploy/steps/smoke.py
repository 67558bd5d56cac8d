"""``deploy/smoke``: one event through the deployed function, until its row or its dead letter is there.

The event has an id of its own, in its data and in an attribute. A dead letter keeps the attributes of its event, so a
subscription with a filter on that attribute sees this event's dead letter and takes none from the real readers.
https://docs.cloud.google.com/pubsub/docs/subscription-message-filter
"""

from __future__ import annotations

import argparse
import json
import re
import shlex
import sys
import time
import uuid
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import meshcontract

from . import RefusalError, bq, gcloud
from .arguments import contract_option, existing_file

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

ATTRIBUTE = "meshpass_smoke_test"

# Replaced by the id of this run wherever it stands in an event from --event.
PLACEHOLDER = "SMOKE_TEST_ID"

# The service has answered that it does not know the key: the way through the mesh is open.
EXPECTED_REASON = "profile_not_found"

# A first connection of Direct VPC egress can take over a minute, and Pub/Sub then delivers again.
# https://docs.cloud.google.com/run/docs/configuring/vpc-direct-vpc
DEFAULT_TIMEOUT_S = 300
_INTERVAL_S = 5

# A query by event id reads two columns of one day. This stops one that would read a whole table instead.
_MAX_BYTES_BILLED = 1_000_000_000


@dataclass(frozen=True)
class Outcome:
    """How the event ended.

    Attributes:
        kind: ``row`` or ``dead letter``.
        reason: the dead letter's reason; empty for a row.
        detail: the dead letter's detail; empty for a row.
    """

    kind: str
    reason: str = ""
    detail: str = ""


@dataclass(frozen=True)
class Test:
    """One run: what is published, and where its end is looked for.

    Attributes:
        values: a checked contract.
        run_id: the id of the event, different in every run.
        event: the event as JSON text.
        id_column: the column of the table that holds the event's id.
        time_column: the column that partitions the table; empty where it has none.
    """

    values: Mapping[str, str]
    run_id: str
    event: str
    id_column: str = "event_id"
    time_column: str = "publish_time"

    @property
    def subscription(self) -> str:
        """The name of the subscription that exists while the test runs."""
        return f"projects/{self.values['GOOGLE_CLOUD_PROJECT']}/subscriptions/{self.run_id}"

    def subscribe(self) -> list[str]:
        """Return the command that makes the filtered subscription on the dead-letter topic."""
        return [
            "pubsub", "subscriptions", "create", self.subscription,
            f"--topic={self.values['DEAD_LETTER_TOPIC']}",
            f'--message-filter=attributes.{ATTRIBUTE} = "{self.run_id}"',
            # Where this process dies before it deletes the subscription, Pub/Sub does so after a day.
            "--expiration-period=1d", "--message-retention-duration=1h", "--ack-deadline=10", "--format=none",
        ]  # fmt: skip

    def publish(self) -> list[str]:
        """Return the command that publishes the event."""
        topic = self.values["TRIGGER_TOPIC"]
        project = self.values["GOOGLE_CLOUD_PROJECT"]
        full = topic if topic.startswith("projects/") else f"projects/{project}/topics/{topic}"
        return [
            "pubsub", "topics", "publish", full,
            f"--message={self.event}", f"--attribute={ATTRIBUTE}={self.run_id}", "--format=value(messageIds)",
        ]  # fmt: skip

    def query(self) -> list[str]:
        """Return the arguments of ``bq`` that count the event's rows of the last day."""
        where = f"WHERE {self.id_column} = @id"
        if self.time_column:
            where += f" AND {self.time_column} >= TIMESTAMP_SUB(CURRENT_TIMESTAMP(), INTERVAL 1 DAY)"
        return [
            f"--project_id={self.values['GOOGLE_CLOUD_PROJECT']}", "--headless", "--quiet", "--format=json",
            "query", "--nouse_legacy_sql", f"--maximum_bytes_billed={_MAX_BYTES_BILLED}",
            f"--parameter=id:STRING:{self.run_id}",
            # The id is a parameter; the table is checked by the contract, and the columns by _column.
            f"SELECT COUNT(*) AS found FROM `{self.values['BIGQUERY_TABLE']}` {where}",  # noqa: S608
        ]  # fmt: skip

    def pull(self) -> list[str]:
        """Return the command that reads the event's dead letter, if it is there."""
        return [
            "pubsub", "subscriptions", "pull", self.subscription, "--limit=1", "--format=json(message.attributes)",
        ]  # fmt: skip

    def unsubscribe(self) -> list[str]:
        """Return the command that deletes the filtered subscription."""
        return ["pubsub", "subscriptions", "delete", self.subscription, "--quiet", "--format=none"]


def default_event(run_id: str, at: datetime) -> str:
    """Return the event of the shipped ``pipeline.toml``: a user that no service knows."""
    return json.dumps(
        {
            "event_id": run_id,
            "user_id": run_id,
            "type": "deploy.smoke",
            "occurred_at": at.strftime("%Y-%m-%dT%H:%M:%SZ"),
        },
        separators=(",", ":"),
    )


def wait(
    look: Callable[[], Outcome | None],
    *,
    timeout_s: float,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> Outcome | None:
    """Look for the event's end until it is found or the time is over.

    Args:
        look: returns the outcome, or None while there is none.
        timeout_s: how long to look, in seconds; it looks once more at the end.
        clock: the time in seconds.
        sleep: waits that many seconds.

    Returns:
        The outcome, or None when the time is over.
    """
    end = clock() + timeout_s
    while (outcome := look()) is None and (left := end - clock()) > 0:
        sleep(min(_INTERVAL_S, left))
    return outcome


def look(test: Test) -> Outcome | None:
    """Return how the event ended, or None while it has not.

    Raises:
        RefusalError: gcloud or bq failed, or gave an output that is not its own.
    """
    rows = bq.rows(test.query())
    if rows and int(rows[0]["found"]) > 0:
        return Outcome("row")
    found = bq.json_list(gcloud.read(test.pull()), "gcloud pubsub subscriptions pull")
    if not found:
        return None
    attributes = found[0]["message"].get("attributes", {})
    return Outcome(
        "dead letter", attributes.get("dead_letter_reason", ""), attributes.get("dead_letter_detail", "")
    )


def judge(outcome: Outcome | None, expect: str, *, run_id: str, timeout_s: int) -> str:
    """Return what to report of an outcome that was expected.

    Raises:
        RefusalError: it was not; the message says what to look at.
    """
    if outcome is None:
        raise RefusalError(
            f"the event {run_id} became neither a row nor a dead letter within {timeout_s} s. Look at the function's "
            "log and at the age of the oldest event in its subscription, and run deploy/verify."
        )
    if outcome.kind == "row":
        if expect == "dead-letter":
            raise RefusalError(
                f"the event {run_id} became a row, and a dead letter was expected; is the key of the event known?"
            )
        return f"the event {run_id} is a row: lookup and table work"
    described = f"{outcome.reason or 'no reason'}: {outcome.detail}" if outcome.detail else outcome.reason
    if outcome.reason != EXPECTED_REASON or expect == "row":
        raise RefusalError(
            f"the event {run_id} was dead-lettered ({described}). "
            "Look the reason up in function/README.md#a-dead-letter."
        )
    return (
        f"the event {run_id} is a dead letter ({described}): the service answered. "
        "A row is only tested with an event whose key the service knows: --event."
    )


def script(test: Test) -> str:
    """Return shell commands that do the same as the test, without the waiting."""
    return "\n".join(
        (
            gcloud.show(test.subscribe()),
            gcloud.show(test.publish()),
            f"{shlex.join(['bq', *test.query()])} # until it finds 1",
            f"{gcloud.show(test.pull())} # or this finds the dead letter",
            gcloud.show(test.unsubscribe()),
            "",
        )
    )


def _event(path: Path, run_id: str) -> str:
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        raise RefusalError(f"cannot read the event {path}: {reason}") from None
    if PLACEHOLDER not in text:
        raise RefusalError(
            f"the event {path} does not have {PLACEHOLDER} where its id belongs; each run needs an id of its own"
        )
    return text.replace(PLACEHOLDER, run_id)


def main(arguments: Sequence[str]) -> None:
    """Send one event through the deployed function; see ``--help``."""
    options = _parser().parse_args(arguments)
    values = meshcontract.load(options.contract)
    run_id = f"smoke-{uuid.uuid4().hex}"
    event = _event(options.event, run_id) if options.event else default_event(run_id, datetime.now(UTC))
    test = Test(values, run_id, event, options.id_column, options.time_column)
    if options.dry_run:
        sys.stdout.write(script(test))
        return
    if meshcontract.placeholders(values):
        raise RefusalError(
            f"the contract still names the placeholder project {meshcontract.PLACEHOLDER_PROJECT!r}; write your own"
        )
    gcloud.require()
    bq.require()
    gcloud.run(test.subscribe())
    try:
        gcloud.run(test.publish())
        outcome = wait(lambda: look(test), timeout_s=options.timeout)
    finally:
        _delete(test)
    sys.stdout.write(judge(outcome, options.expect, run_id=run_id, timeout_s=options.timeout) + "\n")


def _delete(test: Test) -> None:
    """Delete the subscription; a failure is only reported, so that it hides no outcome and no earlier failure."""
    try:
        gcloud.run(test.unsubscribe())
    except RefusalError as refusal:
        sys.stderr.write(f"deploy/smoke: {refusal}; {test.subscription} expires by itself after a day\n")


def _column(name: str) -> str:
    """Return the name of a column, which stands in the query as it is.

    https://docs.cloud.google.com/bigquery/docs/schemas#column_names
    """
    if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]{0,299}", name):
        raise argparse.ArgumentTypeError(f"{name!r} is no column name: letters, digits and underscores")
    return name


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="deploy/smoke",
        description="Publishes one event with an id of its own and waits until its row or its dead letter is there. "
        "The default event names a user that no service knows, so it becomes a dead letter with the reason "
        f"{EXPECTED_REASON}; any other reason is a failure.",
        epilog="The roles that it needs: docs/cloud-build.md",
    )
    parser.add_argument(
        "--dry-run", action="store_true", help="print the commands, shell-quoted; run nothing"
    )
    contract_option(parser)
    parser.add_argument(
        "--event",
        type=existing_file,
        help=f"file with an event of your own, with {PLACEHOLDER} where its id belongs",
    )
    parser.add_argument(
        "--expect",
        choices=("row", "dead-letter", "either"),
        default="either",
        help="how the event must end (default: %(default)s)",
    )
    parser.add_argument(
        "--id-column",
        type=_column,
        default="event_id",
        help="the table's column that holds the id (default: %(default)s)",
    )
    parser.add_argument(
        "--time-column",
        type=lambda name: _column(name) if name else "",
        default="publish_time",
        help="the column that partitions the table, or an empty text (default: %(default)s)",
    )
    parser.add_argument(
        "--timeout", type=int, default=DEFAULT_TIMEOUT_S, help="seconds to wait (default: %(default)s)"
    )
    return parser
