"""Which failure leads to which end."""

import asyncio
import json
from datetime import UTC, datetime

import pytest
from enrichment.deadline import TimeBudget
from enrichment.enricher import Enricher
from enrichment.errors import BadEventError, Disposition, FaultError, Stage, TransientError, of_google_error
from enrichment.event.message import Message
from enrichment.event.push import Push
from enrichment.lookup import Lookups
from enrichment.settings import pipeline_file
from enrichment.settings.environment import PIPELINE_FILE, TABLE_FILE
from enrichment.settings.lookup_rules import OnMiss
from enrichment.telemetry.log import Log, Severity
from google.api_core import exceptions
from google.auth.exceptions import DefaultCredentialsError, RefreshError, TransportError
from msgspec.structs import replace

from .world import World

SECRET = "4111-1111"


def forbidden(reason: str) -> exceptions.GoogleAPICallError:
    return exceptions.Forbidden(SECRET, errors=[{"reason": reason}])


def refresh_error(cause: Exception | None) -> RefreshError:
    error = RefreshError(SECRET)
    error.__cause__ = cause
    return error


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (exceptions.NotFound(SECRET), FaultError),
        (exceptions.Unauthorized(SECRET), FaultError),
        (exceptions.BadRequest(SECRET), FaultError),
        (forbidden("accessDenied"), FaultError),
        (forbidden("quotaExceeded"), TransientError),
        (forbidden("rateLimitExceeded"), TransientError),
        (exceptions.TooManyRequests(SECRET), TransientError),
        (exceptions.InternalServerError(SECRET), TransientError),
        (exceptions.ServiceUnavailable(SECRET), TransientError),
        (exceptions.RetryError(SECRET, None), TransientError),
        (ConnectionError(SECRET), TransientError),
        (TimeoutError(SECRET), TransientError),
        (DefaultCredentialsError(SECRET), FaultError),
        (refresh_error(None), FaultError),
        (refresh_error(TransportError()), TransientError),
        (TypeError(SECRET), FaultError),
    ],
)
def test_a_google_error_is_never_the_events_fault_and_its_words_are_not_repeated(
    error: Exception, kind: type
) -> None:
    decided = of_google_error(error, Stage.WRITE, "bigquery", "p.d.t")
    assert type(decided) is kind
    assert SECRET not in decided.detail


BAD = BadEventError(Stage.WRITE, "row_invalid", "")
BUSY = TransientError(Stage.WRITE, "busy", "")


def pipeline(world: World, on_miss: str = "dead-letter") -> Enricher:
    """The pipeline as it is shipped, but for what becomes of an unknown key."""
    config = pipeline_file.read(PIPELINE_FILE, TABLE_FILE)
    (rules,) = config.lookups
    lookups = Lookups([(replace(rules, on_miss=OnMiss(on_miss)), world)])
    now = datetime(2026, 3, 1, tzinfo=UTC)
    log = Log("p", Severity.CRITICAL, write=lambda _: None)
    return Enricher(config, lookups, world, world, TimeBudget(10.0), log, version="v", now=lambda: now)


def delivery(**fields: str) -> Push:
    """A delivery of a good event with some fields changed."""
    event = {"event_id": "e", "user_id": "u", "type": "t", "occurred_at": "2026-03-01T12:00:00Z", **fields}
    return Push(b"", Message(json.dumps(event).encode(), {}, "1", datetime(2026, 3, 1, 12, tzinfo=UTC)), {})


@pytest.mark.parametrize(
    ("failures", "disposition"),
    [
        ({}, Disposition.WRITTEN),
        ({"write": BAD}, Disposition.DEAD_LETTERED),
        ({"write": BUSY}, Disposition.RETRY),
        ({"write": ValueError()}, Disposition.FAULT),
        ({"lookup": KeyError()}, Disposition.FAULT),
        ({"write": BAD, "publish": BUSY}, Disposition.RETRY),
        ({"write": BAD, "publish": ValueError()}, Disposition.FAULT),
        ({"write": BAD, "publish": BAD}, Disposition.FAULT),
    ],
)
def test_nothing_is_acknowledged_before_its_row_or_its_dead_letter_is_safe(
    failures: dict[str, Exception], disposition: Disposition
) -> None:
    world = World()
    world.failures = failures
    outcome = asyncio.run(pipeline(world).handle(delivery()))
    assert outcome.disposition is disposition
    assert (outcome.disposition.status == 200) == (
        disposition in (Disposition.WRITTEN, Disposition.DEAD_LETTERED)
    )
    assert len(world.rows) + len(world.letters) == (outcome.disposition.status == 200)


@pytest.mark.parametrize(
    ("on_miss", "disposition", "rows", "letters"),
    [
        ("dead-letter", Disposition.DEAD_LETTERED, 0, 1),
        ("write", Disposition.WRITTEN, 1, 0),
        ("retry", Disposition.RETRY, 0, 0),
    ],
)
def test_what_becomes_of_an_event_with_an_unknown_key_is_a_setting(
    on_miss: str, disposition: Disposition, rows: int, letters: int
) -> None:
    world = World()
    outcome = asyncio.run(pipeline(world, on_miss).handle(delivery(user_id="nobody")))
    assert outcome.disposition is disposition
    assert (len(world.rows), len(world.letters)) == (rows, letters)
    assert all("profile" not in row.columns for row in world.rows)


@pytest.mark.parametrize(
    ("ack_deadline_s", "timeout_s", "total_s"), [(60, 60, 54), (10, 540, 9), (600, 60, 54), (2, 60, 1)]
)
def test_an_event_gives_up_while_there_is_time_to_answer(
    ack_deadline_s: float, timeout_s: float, total_s: float
) -> None:
    budget = TimeBudget.within(ack_deadline_s, timeout_s)
    assert budget.total_s == pytest.approx(total_s)
    time = budget.start()
    assert time.end.at - time.lookup.at == pytest.approx(total_s / 2)
