"""One run of the demo, from the first process to the last line."""

from __future__ import annotations

import os
import time
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from meshlab.bench.report import terminal
from meshlab.cloud.bigquery.control import stats
from meshlab.cloud.pubsub.control import backlog
from meshlab.demo import terminal_tables
from meshlab.demo.events import EventClients, read_events
from meshlab.demo.function_log import FunctionLog, read_log
from meshlab.demo.ledger import Ledger, Published, balance
from meshlab.demo.lookup_access import call_all, show_access
from meshlab.demo.own import Own, Ready, prepare
from meshlab.errors import LabError
from meshlab.lab.lookup_access import LookupAccess
from meshlab.lab.policy_tests import run_policy_tests
from meshlab.lab.stack import Driver, Lab, shipped

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from rich.console import Console

    from meshlab.lab.project import Project

_POLL_S = 0.1
# The function's slowest honest path is one deadline of a lookup and one of a write, then a redelivery.
_PATIENCE_S = 45.0
# A fault does not pass by itself, so a run in which nothing but faults happens is over sooner.
_FAULT_PATIENCE_S = 10.0
_SHOWN_ROWS = 8


def run_demo(
    project: Project,
    events_file: Path | None,
    console: Console,
    *,
    attributes: Mapping[str, str] | None = None,
    own: Own | None = None,
    driver: str = "function",
    policy_tests: bool = True,
    verbose: bool = False,
) -> bool:
    """Run the demo and show it.

    Args:
        project: The checkout to run.
        events_file: Events to publish, in a JSON array or one a line; the shipped sample when None.
        console: Where to show it.
        attributes: The attributes of every message.
        own: A pipeline, a table or a service of the user; None for the shipped ones.
        driver: What receives the events: `function` or `work`.
        policy_tests: Whether to run the policy tests after the events.
        verbose: Whether to show every policy test, and not only those that failed.

    Returns:
        Whether every event ended in exactly one place, and every policy test and every call of the private function had
        its expected outcome.

    Raises:
        LabError: A part did not start, or what the user named cannot be used.
    """
    if driver not in set(Driver):
        raise LabError(f"--driver is {driver[:80]!r}: write one of {', '.join(Driver)}")
    events = read_events(events_file or shipped("events.jsonl"))
    began_at = time.monotonic()
    with ExitStack() as ends:
        ready = None
        if own is not None:
            with console.status("checking the pipeline, and making the mesh for its lookups"):
                ready = prepare(project, own, Path(ends.enter_context(TemporaryDirectory(prefix="meshlab-"))))
                if events_file and ready.own.pipeline.holds_arrays:
                    events = read_events(events_file, holds_arrays=True)
        with console.status("starting the mesh, the fakes and the function"):
            lab = ends.enter_context(Lab(project, own=ready.own if ready else None, driver=Driver(driver)))
        console.print(terminal_tables.started(lab.parts, lab.ready_after_s))
        if project.is_keyless:
            account = project.contract()["FUNCTION_SERVICE_ACCOUNT"]
            console.print(
                f"no key anywhere: the function calls with Google's ID token of {account}", highlight=False
            )
        copied = f"{ready.own.mesh.root}/" if ready else ""
        for sentence in lab.mesh.not_enforced:
            where = sentence.replace(copied, "") if copied else sentence
            console.print(f"only a cluster enforces: {where}", style="dim", highlight=False)
        # It starts while the events are under way. A user's own events are shown alone: their pipeline may have no
        # lookup that the function could serve.
        shipped_alone = own is None and events_file is None
        access = ends.enter_context(LookupAccess(project, lab)) if shipped_alone else None
        ledger, log = _send_events(lab, events, attributes or {}, console)
        complaints = list(ledger.complaints)
        if ledger.lost and log.problems:
            complaints.append(
                "the function handed messages back to Pub/Sub, which would deliver them again: mend what the table of"
                " retries and faults says"
            )
        elif ledger.lost and not ledger.replaced:
            complaints.append(f"the end of the function's log:\n{lab.function.log_tail()}")
        if access:
            complaints += _call_function(access, console)
        if policy_tests:
            complaints += _run_policy_tests(ready.own.mesh if ready else project, console, verbose=verbose)
    _show_remarks(ready, ledger, console)
    for complaint in complaints:
        console.print(f"[red]broken:[/] {complaint}", highlight=False)
    seconds = time.monotonic() - began_at
    console.print(f"took {seconds:.1f} s in all; nothing is left running", highlight=False)
    console.print(f"demo: {ledger}", highlight=False)
    return not complaints


def _show_remarks(ready: Ready | None, ledger: Ledger, console: Console) -> None:
    """Show what is not broken and still needs a person."""
    if ledger.is_counted_alone:
        console.print(
            "rows are counted and not matched with events: no column is filled from message.id or the event's id;"
            ' add one to [columns], such as message_id = "message.id"',
            highlight=False,
        )
    if ready and ready.edits:
        console.print(
            "the mesh of this run has a route and policies for the new lookup path; yours needs them too."
            " Edit these files and run `make manifests`:",
            highlight=False,
        )
        for edit in ready.edits:
            console.print(f"  {edit}", highlight=False, markup=False)


def _send_events(
    lab: Lab, events: Sequence[bytes], attributes: Mapping[str, str], console: Console
) -> tuple[Ledger, FunctionLog]:
    os.environ.update(lab.environment)
    clients = EventClients(lab.resources, lab.pipeline)
    try:
        began_at = time.monotonic()
        published = clients.publish(events, attributes)
        _wait_until_settled(lab, clients, published, console)
        log = _log(lab)
        # What only the function can work out, such as the value of an expression, is taken from its log.
        named = [
            replace(one, event_id=one.event_id or log.event_ids.get(one.message_id)) for one in published
        ]
        many = lab.pipeline.makes_many_rows
        ledger = balance(
            named,
            clients.rows(),
            clients.dead_letters(),
            log.dropped,
            makes_many_rows=many,
            event_ids=log.event_ids,
        )
        console.print(
            terminal_tables.events(
                ledger,
                time.monotonic() - began_at,
                lookups=lab.mesh.requests_served,
                inserts=stats(lab.environment["BIGQUERY_EMULATOR_HOST"]).requests,
            )
        )
        if log.problems:
            console.print(terminal_tables.problems(log.problems))
        if ledger.dead_letters:
            console.print(terminal_tables.dead_letters(ledger.dead_letters))
        for target in lab.pipeline.targets:
            console.print(
                terminal_tables.rows(target.table.rpartition(".")[2], clients.first_rows(target, _SHOWN_ROWS))
            )
    finally:
        clients.close()
    return ledger, log


def _wait_until_settled(
    lab: Lab, clients: EventClients, published: Sequence[Published], console: Console
) -> None:
    """Wait until every message is acknowledged, or nothing has moved for too long."""
    expected = len(published) if lab.own_pubsub else len({one.event or one.message_id for one in published})
    settled, moved_at = 0, time.monotonic()
    columns = (TextColumn("settling"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True) as progress:
        bar = progress.add_task("settling", total=expected)
        while (still_s := time.monotonic() - moved_at) < _PATIENCE_S:
            now_settled = _settled(lab, clients)
            if now_settled > settled:
                settled, moved_at = now_settled, time.monotonic()
            progress.update(bar, completed=settled)
            if settled >= expected:
                return
            if still_s > _FAULT_PATIENCE_S and any(one.outcome == "fault" for one in _log(lab).problems):
                return
            time.sleep(_POLL_S)


def _settled(lab: Lab, clients: EventClients) -> int:
    """Return how many messages have ended; of a Pub/Sub that is not the lab's own, how many ends can be seen."""
    if not lab.own_pubsub:
        return clients.count_rows() + len(clients.dead_letters())
    host = lab.environment["PUBSUB_EMULATOR_HOST"]
    events = backlog(host, lab.resources.subscription)
    on_their_way = backlog(host, lab.resources.dead_letter_subscription).unacked
    return events.acked + events.dead_lettered - on_their_way


def _log(lab: Lab) -> FunctionLog:
    return read_log(lab.directory / "function.log")


def _call_function(access: LookupAccess, console: Console) -> list[str]:
    """Call the private function in every way, show the outcomes, and return a sentence where one was another."""
    with console.status("calling the private function"):
        access.wait_ready()
        outcomes = call_all(access)
    if show_access(access, outcomes, console):
        return []
    failed = sum(not outcome.good for outcome in outcomes)
    return [f"{failed} of {len(outcomes)} calls of the private function"]


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
