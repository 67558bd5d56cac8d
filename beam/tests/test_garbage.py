"""An event's memory is freed when it ends, and not when the garbage collector runs."""

import gc
import threading
from collections.abc import Iterator
from types import FrameType

import pytest
from conftest import Gateway, event, pubsub
from enrichment.assembly import COLLECT_AFTER
from enrichment_beam import shared_engine
from enrichment_beam.engine import EngineOptions
from enrichment_beam.messages import of_pubsub
from enrichment_beam.settings import WorkerSettings

OURS = ("enrichment", "meshpass")
"""Packages whose objects belong to an event. The services of the test run in this process too, and leave their own."""


@pytest.fixture
def collector() -> Iterator[None]:
    """The garbage collector, as it was before the test when the test has ended."""
    before = gc.get_threshold()
    yield
    gc.set_debug(0)
    gc.garbage.clear()
    gc.enable()
    gc.set_threshold(*before)


def _ours(found: object) -> bool:
    if isinstance(found, FrameType):
        return any(f"/{name}" in found.f_code.co_filename for name in OURS)
    return type(found).__module__.startswith(OURS)


EVENTS = {
    "written": event(1),
    "dead-lettered/profile_not_found": event(2, user_id="unknown"),
    "dead-lettered/json_invalid": b"{broken",
    "fault/not_allowed": event(3, user_id="denied"),
    "retry/upstream_unavailable": event(4, user_id="u-refused"),
}


# What is left holds the event's bytes, and the collector runs rarely: an outage in which every event fails would fill
# the memory with them.
@pytest.mark.usefixtures("collector", "table", "dead_letters")
def test_no_event_is_left_to_the_garbage_collector_however_it_ends(
    settings: WorkerSettings, gateway: Gateway
) -> None:
    lease = shared_engine.lease(settings, EngineOptions(patience_s=0))
    found: dict[str, list[str]] = {}
    for is_measured in (False, True):  # first what is loaded and made once
        for name, data in EVENTS.items():
            gc.collect()
            gc.disable()
            gateway.failures = 10 if name.startswith("retry") else 0
            bundle = lease.bundle()
            bundle.add(None, of_pubsub(pubsub(1, data)))
            end = "/".join(
                filter(None, [(ended := bundle.wait_one()).outcome.disposition.value, ended.outcome.reason])
            )
            del bundle, ended
            threading.Event().wait(0.05)  # turns of the loop, in which it lets go of tasks that have ended
            gc.set_debug(gc.DEBUG_SAVEALL)
            gc.collect()
            if is_measured:
                found[end] = sorted({type(one).__name__ for one in gc.garbage if _ours(one)})
            gc.set_debug(0)
            gc.garbage.clear()
            gc.enable()
    lease.close()
    assert found == {name: [] for name in EVENTS}


@pytest.mark.usefixtures("collector")
@pytest.mark.parametrize(
    ("before", "after"),
    [(700, COLLECT_AFTER), (500_000, 500_000), (0, 0)],
    ids=["as Python has it", "less often already", "switched off"],
)
def test_a_worker_collects_less_often_unless_it_does_already(
    settings: WorkerSettings, before: int, after: int
) -> None:
    gc.set_threshold(before, 10, 10)
    shared_engine.lease(settings, EngineOptions()).close()
    assert gc.get_threshold() == (after, 10, 10)
