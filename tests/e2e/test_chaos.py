"""Everything breaks while events flow, and every event still ends where it belongs.

The messages, what is broken and when come from one seed. A blow falls when so many messages are settled, so a slow
machine meets it at the same point of the work as a fast one.
"""

from __future__ import annotations

import os
from collections import Counter
from typing import TYPE_CHECKING

import pytest

from tests.e2e import chaos
from tests.e2e.chaos import Blow
from tests.e2e.chaos_run import Run, profiles_file

if TYPE_CHECKING:
    from pathlib import Path

    from meshlab.demo.events import EventClients
    from meshlab.lab.stack import Lab

    from tests.e2e.conftest import OwnLab

SEED = 20261120
EVENTS = int(os.environ.get("CHAOS_EVENTS", "20000"))
"""What the time of the whole run has room for: 100,000 take 200 s more on two cores. `make chaos` takes any number."""


@pytest.fixture
def lab(own_lab: OwnLab, tmp_path: Path) -> Lab:
    """A lab of its own, with enough profiles."""
    return own_lab(profiles_file(tmp_path, chaos.profiles()))


def test_whatever_breaks_every_event_ends_in_exactly_one_place(lab: Lab, clients: EventClients) -> None:
    run = Run(lab, clients, chaos.draw(SEED, EVENTS), report=print)
    found = run.go()
    print(found)

    assert found.complaints == [], "\n".join([*found.complaints, run.picture()])
    assert found.written == run.plan.kinds["good"]
    assert found.dead_letters.keys() == {"profile_not_found", "json_invalid", "event_invalid"}
    assert found.duplicates_after_view == 0


def test_the_plan_is_the_same_for_the_same_seed_and_another_for_another() -> None:
    plan, same, another = chaos.draw(SEED, 500), chaos.draw(SEED, 500), chaos.draw(SEED + 1, 500)
    assert plan == same
    assert list(plan.sent()) == list(same.sent())
    assert list(plan.sent()) != list(another.sent())
    assert Counter(blow for _, blow in plan.blows) == Counter([*Blow, Blow.GATEWAY_RESTARTED])


def test_a_plan_counts_what_it_sends() -> None:
    plan = chaos.draw(SEED, 5_000)
    sent = list(plan.sent())
    assert (len(sent), Counter(message.kind for message in sent)) == (plan.messages, plan.kinds)
    assert {message.number for message in sent} == set(range(5_000))
    assert list(plan.good()) == [m.number for m in sent if m.reason is None and not m.is_repeat]
    first = {message.number: place for place, message in reversed(list(enumerate(sent)))}
    assert all(first[message.number] < place for place, message in enumerate(sent) if message.is_repeat)


def test_a_larger_plan_breaks_things_more_often() -> None:
    plan = chaos.draw(SEED, 200_000)
    assert Counter(blow for _, blow in plan.blows)[Blow.FUNCTION_KILLED] == 2
    assert [settled for settled, _ in plan.blows] == sorted(settled for settled, _ in plan.blows)
