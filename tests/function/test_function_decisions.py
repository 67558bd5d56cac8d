"""Which failure leads to which end."""

import asyncio
import base64
import json
from datetime import UTC, datetime

import pytest
from enrichment.dead_letter import DeadLetter
from enrichment.outcome import (
    BadEventError,
    Fate,
    FaultError,
    Stage,
    TransientError,
    of_google_error,
)
from enrichment.pipeline import Pipeline
from enrichment.row import Row
from enrichment.trace import Trace
from google.api_core import exceptions
from google.auth.exceptions import DefaultCredentialsError, RefreshError, TransportError

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


class _Parts:
    """Profiles, sink and dead letters in one, each raising what it is told to."""

    def __init__(self, **failures: Exception) -> None:
        self.failures = failures

    def _fail(self, name: str) -> None:
        if name in self.failures:
            raise self.failures[name]

    async def fetch(self, user_id: str, trace: Trace) -> str:
        self._fail("fetch")
        return "{}"

    def warm_up(self) -> None:
        pass

    async def write(self, row: Row) -> None:
        self._fail("write")

    async def publish(self, letter: DeadLetter) -> None:
        self._fail("publish")


BAD = BadEventError(Stage.WRITE, "row_invalid", "")
BUSY = TransientError(Stage.WRITE, "busy", "")


@pytest.mark.parametrize(
    ("failures", "fate"),
    [
        ({}, Fate.WRITTEN),
        ({"write": BAD}, Fate.DEAD_LETTERED),
        ({"write": BUSY}, Fate.RETRY),
        ({"write": ValueError()}, Fate.FAULT),
        ({"fetch": KeyError()}, Fate.FAULT),
        ({"write": BAD, "publish": BUSY}, Fate.RETRY),
        ({"write": BAD, "publish": ValueError()}, Fate.FAULT),
        ({"write": BAD, "publish": BAD}, Fate.FAULT),
    ],
)
def test_nothing_is_acknowledged_before_its_row_or_its_dead_letter_is_safe(
    failures: dict[str, Exception], fate: Fate
) -> None:
    parts = _Parts(**failures)
    pipeline = Pipeline(parts, parts, parts, version="v", now=lambda: datetime(2026, 3, 1, tzinfo=UTC))
    event = {"event_id": "e", "user_id": "u", "type": "t", "occurred_at": "2026-03-01T12:00:00Z"}
    data = {
        "message": {
            "messageId": "1",
            "publishTime": "2026-03-01T12:00:00Z",
            "data": base64.b64encode(json.dumps(event).encode()).decode(),
        }
    }
    outcome = asyncio.run(pipeline.handle(data, {}))
    assert outcome.fate is fate
    assert (outcome.fate.status == 200) == (fate in (Fate.WRITTEN, Fate.DEAD_LETTERED))
