"""One run of the demo, from the first process to the last line."""

import os
import time
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from meshlab.bench.report import terminal
from meshlab.cloud.bigquery.control import stats
from meshlab.cloud.pubsub.control import backlog
from meshlab.demo import show
from meshlab.demo.events import EventClients, read_events
from meshlab.demo.ledger import Ledger, Published, balance
from meshlab.lab.policy_tests import run_policy_tests
from meshlab.lab.project import Project
from meshlab.lab.stack import Lab, shipped

_POLL_S = 0.1
# The function's slowest honest path is one deadline of a lookup and one of a write, then a redelivery.
_PATIENCE_S = 45.0
_SHOWN_ROWS = 8


def run_demo(project: Project, events_file: Path | None, console: Console, *, verbose: bool = False) -> bool:
    """Run the demo and show it.

    Args:
        project: The checkout to run.
        events_file: Events to publish, one a line; the shipped sample when None.
        console: Where to show it.
        verbose: Whether to show every policy test, and not only those that failed.

    Returns:
        Whether every event ended in exactly one place and every policy test had its expected outcome.

    Raises:
        LabError: A part did not start, or the events cannot be read.
    """
    events = read_events(events_file or shipped("events.jsonl"))
    began_at = time.monotonic()
    with ExitStack() as ends:
        with console.status("starting the mesh, the fakes and the function"):
            lab = ends.enter_context(Lab(project))
        console.print(show.started(lab.parts, lab.ready_after_s))
        for sentence in lab.mesh.not_enforced:
            console.print(f"only a cluster enforces: {sentence}", style="dim", highlight=False)
        ledger = _send_events(lab, events, console)
        complaints = list(ledger.complaints)
        if ledger.lost:
            complaints.append(f"the end of the function's log:\n{lab.function.log_tail()}")
    complaints += _run_policy_tests(project, console, verbose=verbose)
    for complaint in complaints:
        console.print(f"[red]broken:[/] {complaint}", highlight=False)
    seconds = time.monotonic() - began_at
    console.print(f"took {seconds:.1f} s in all; nothing is left running", highlight=False)
    console.print(f"demo: {ledger}", highlight=False)
    return not complaints


def _send_events(lab: Lab, events: Sequence[bytes], console: Console) -> Ledger:
    os.environ.update(lab.environment)
    clients = EventClients(lab.resources)
    try:
        began_at = time.monotonic()
        published = clients.publish(events)
        _wait_until_settled(lab, clients, published, console)
        ledger = balance(published, clients.rows(), clients.dead_letters())
        console.print(
            show.events(
                ledger,
                time.monotonic() - began_at,
                lookups=lab.mesh.requests_served,
                inserts=stats(lab.environment["BIGQUERY_EMULATOR_HOST"]).requests,
            )
        )
        console.print(show.dead_letters(ledger.dead_letters))
        console.print(show.rows(clients.first_rows(_SHOWN_ROWS)))
    finally:
        clients.close()
    return ledger


def _wait_until_settled(
    lab: Lab, clients: EventClients, published: Sequence[Published], console: Console
) -> None:
    """Wait until every message is acknowledged, or nothing has moved for too long."""
    named = {message.event_id for message in published if message.event_id}
    expected = len(named) + sum(message.event_id is None for message in published)
    settled, moved_at = 0, time.monotonic()
    columns = (TextColumn("settling"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True) as progress:
        bar = progress.add_task("settling", total=expected)
        while time.monotonic() - moved_at < _PATIENCE_S:
            now_settled = clients.count_rows() + len(clients.dead_letters())
            if now_settled > settled:
                settled, moved_at = now_settled, time.monotonic()
            progress.update(bar, completed=settled)
            if settled >= expected and _unacked(lab) == 0:
                return
            time.sleep(_POLL_S)


def _unacked(lab: Lab) -> int:
    """Return how many messages Pub/Sub still holds for the function; only the lab's own Pub/Sub reports it."""
    if not lab.own_pubsub:
        return 0
    return backlog(lab.environment["PUBSUB_EMULATOR_HOST"], lab.resources.subscription).unacked


def _run_policy_tests(project: Project, console: Console, *, verbose: bool) -> list[str]:
    """Run the policy tests, show what a person should see of them, and return a sentence where one failed."""
    with console.status("sending the requests of the policy tests"):
        run = run_policy_tests(project)
    console.print("Access matrix", style="bold")
    terminal.full(run, console, verbose=verbose)
    passed = run.counts["passed"]
    if passed == len(run.outcomes):
        return []
    return [f"{len(run.outcomes) - passed} of {len(run.outcomes)} policy tests"]
