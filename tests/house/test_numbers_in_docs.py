"""Numbers that a page states are those of the code: each is found on its page, and compared with its constant."""

from __future__ import annotations

import importlib
import re
from dataclasses import dataclass
from typing import Any

import pytest

from tests.docs.pages import ROOT

_WORDS = {
    **{word: number for number, word in enumerate(("none", "one", "two", "three", "four", "five", "six"))},
    "seven": 7,
    "eight": 8,
    "nine": 9,
    "ten": 10,
    "twenty": 20,
    "thirty": 30,
    "sixty": 60,
    "a": 1,
    "once": 1,
    "second": 2,
    "third": 3,
    "fifth": 5,
    "tenths": 10,
    "minute": 1,
}
KIB, MIB, MB, MINUTE_S, DAY_S = 1024, 1024**2, 1_000_000, 60, 86_400


@dataclass(frozen=True)
class Stated:
    """A number on a page.

    Attributes:
        page: The page.
        pattern: What stands on it, white space folded; the group is the number, in digits or as a word.
        where: The constant: module, colon, name, with further attributes behind dots and items in brackets.
        unit: How much of the constant's unit one of the page's is.
    """

    page: str
    pattern: str
    where: str
    unit: float = 1


FUNCTION, SDK, WORKER = "function/README.md", "sdk/README.md", "docs/pull-worker.md"
STATED = [
    Stated(
        "docs/architecture.md",
        r"or because (\d+) rows wait",
        "enrichment.sink.when_to_write:SHARING.many_rows",
    ),
    Stated("docs/architecture.md", r"tried again, (\w+) attempts in all", "meshpass:RetryPolicy.attempts"),
    Stated("docs/architecture.md", r"with (\w+) in hand, so an outage", "meshpass:RetryPolicy.budget_burst"),
    Stated(
        "docs/architecture.md",
        r"a fifth of the calls and (\w+) a second",
        "meshpass:RetryPolicy.budget_floor_per_s",
    ),
    Stated(
        "docs/architecture.md",
        r"it lives (\w+) minutes at most",
        "meshpass._tokens.signed_jwt:MAX_LIFETIME_S",
        MINUTE_S,
    ),
    Stated(
        "docs/architecture.md",
        r"that has been down for (\w+) minutes",
        "enrichment.telemetry.states:RULES[retry].lasting_s",
        MINUTE_S,
    ),
    Stated(
        FUNCTION,
        r"At most once (\w) minute from each",
        "enrichment.telemetry.states:MIN_INTERVAL_S",
        MINUTE_S,
    ),
    Stated(
        FUNCTION,
        r"for (\w+) minutes no event got through",
        "enrichment.telemetry.states:RULES[retry].lasting_s",
        MINUTE_S,
    ),
    Stated(
        FUNCTION,
        r"no event got through, and (\w+) or more were nacked",
        "enrichment.telemetry.states:RULES[retry].least",
    ),
    Stated(
        FUNCTION,
        r"for (\w+) minute no event got through",
        "enrichment.telemetry.states:RULES[dead-lettered].lasting_s",
        MINUTE_S,
    ),
    Stated(
        FUNCTION,
        r"and (\w+) or more were dead-lettered",
        "enrichment.telemetry.states:RULES[dead-lettered].least",
    ),
    Stated(
        FUNCTION,
        r"next to nothing under way, or (\d+) rows waiting",
        "enrichment.sink.when_to_write:SHARING.many_rows",
    ),
    Stated(
        FUNCTION,
        r"`TABLE_RECREATED_HOLD_S` old \((\d+) minutes\)",
        "enrichment.sink.bigquery:RECREATED_HOLD_S",
        MINUTE_S,
    ),
    Stated(
        FUNCTION,
        r"(Once) a minute, and after each 404",
        "enrichment.sink.table_watch:CHECK_EVERY_S",
        MINUTE_S,
    ),
    Stated(FUNCTION, r"may hold, (\d+) MiB if absent", "enrichment.settings.model:MAX_UNPACKED_BYTES", MIB),
    Stated(
        FUNCTION, r"16 MiB if absent, at most (\d+) MiB", "enrichment.settings.model:MOST_UNPACKED_BYTES", MIB
    ),
    Stated(FUNCTION, r"A message may hold ([\d,]+) events", "enrichment.event.formats:MAX_EVENTS"),
    Stated(FUNCTION, r"which make up to ([\d,]+) rows", "enrichment.core.plan:MAX_MESSAGE_ROWS"),
    Stated(FUNCTION, r"and ([\d,]+) MB of rows together", "enrichment.core.plan:MAX_MESSAGE_ROW_BYTES", MB),
    Stated(FUNCTION, r"within its last ([\d,]+) rows", "enrichment.event.recent_ids:MAX_IDS"),
    Stated(FUNCTION, r"more than the (\d+) MB that BigQuery takes", "enrichment.row.row:MAX_ROW_BYTES", MB),
    Stated(FUNCTION, r"optional: the port; default (\d+), 0 for", "enrichment.drivers.serve.command:_PORT"),
    Stated(
        FUNCTION,
        r"after SIGTERM; default (\d+), since Cloud Run",
        "enrichment.drivers.serve.command:_DRAIN_S",
    ),
    Stated(FUNCTION, r"A body has at most (\d+) MiB", "enrichment.drivers.push.endpoint:MAX_BODY_BYTES", MIB),
    Stated(
        FUNCTION,
        r"at most (\d+) KiB beyond the piece",
        "enrichment.drivers.http_connection:MAX_HEAD_BYTES",
        KIB,
    ),
    Stated(
        FUNCTION,
        r"At most (\d+) requests wait on a connection",
        "enrichment.drivers.http_connection:MAX_PIPELINED",
    ),
    Stated(FUNCTION, r"a request arrives within (\d+) s", "enrichment.drivers.serve.server:_REQUEST_S"),
    Stated(FUNCTION, r"It may be idle for (\d+) s", "enrichment.drivers.serve.server:_KEEP_ALIVE_S"),
    Stated(FUNCTION, r"hard one, at most ([\d,]+); beyond", "enrichment.drivers.serve.server:_OPEN_FILES"),
    Stated(
        WORKER, r"`EVENT_TIMEOUT_S` and (\d+) s are over", "enrichment.drivers.work.worker:EVENT_MARGIN_S"
    ),
    Stated(
        WORKER,
        r"waiting in the process for (\d+) minutes",
        "enrichment.drivers.work.worker:MAX_WAIT_S",
        MINUTE_S,
    ),
    Stated(
        WORKER, r"else after (\d+) s, and after twice as long", "enrichment.drivers.work.flow:_FIRST_PAUSE_S"
    ),
    Stated(WORKER, r"twice as long each time, up to (\d+) s", "enrichment.drivers.work.flow:_MAX_PAUSE_S"),
    Stated(
        WORKER, r"Acks of (\d+) ms share a request", "enrichment.drivers.work.acknowledgements:BATCH_S", 0.001
    ),
    Stated(
        WORKER,
        r"transient error is sent again for (\w) minute",
        "enrichment.drivers.work.acknowledgements:RETRY_S",
        MINUTE_S,
    ),
    Stated(WORKER, r"counts as open (\d+) s after its begin", "enrichment.drivers.work.stream:OPEN_AFTER_S"),
    Stated(
        WORKER,
        r"tried within the last (\d+) minutes",
        "enrichment.drivers.work.health:STUCK_AFTER_S",
        MINUTE_S,
    ),
    Stated(
        "docs/sdk.md",
        r"`max_response_bytes` \((\d+) MiB",
        "meshpass._call.service:DEFAULT_MAX_RESPONSE_BYTES",
        MIB,
    ),
    Stated("docs/sdk.md", r"are tried up to (\w+) times", "meshpass:RetryPolicy.attempts"),
    Stated(
        SDK, r"`max_response_bytes` \((\d+) MiB", "meshpass._call.service:DEFAULT_MAX_RESPONSE_BYTES", MIB
    ),
    Stated(SDK, r"are sent up to (\w+) times", "meshpass:RetryPolicy.attempts"),
    Stated(SDK, r"Waits are random, up to ([\d.]+) s", "meshpass:RetryPolicy.backoff_s"),
    Stated(SDK, r"a fifth of its calls, and (\w+) a second", "meshpass:RetryPolicy.budget_floor_per_s"),
    Stated(SDK, r"`client.cookies`: at most (\d+) and", "meshpass._call.cookies:MAX_COOKIES"),
    Stated(SDK, r"at most 50 and (\d+) KiB, ASCII", "meshpass._call.cookies:MAX_HEADER_BYTES", KIB),
    Stated(SDK, r"identity takes at most (\d+) seconds", "meshpass._tokens.cache:FETCH_LIMIT_S"),
    Stated(SDK, r"A fetch takes (\d+) seconds at most", "meshpass._tokens.cache:FETCH_LIMIT_S"),
    Stated(SDK, r"as Envoy would: (\d+) s of skew", "meshpass.testing._verifier:CLOCK_SKEW_S"),
    Stated(SDK, r"at most (\w+) minutes early", "meshpass._tokens.cached_token:_WINDOW_MAX_S", MINUTE_S),
    Stated(
        "docs/keys.md", r"\| (\d+) minutes later \| `retire`", "meshpass.keys._ring:DEFAULT_DRAIN_S", MINUTE_S
    ),
    Stated(
        "SECURITY.md",
        r"tokens live (\w+) minutes; Envoy",
        "meshpass._tokens.signed_jwt:MAX_LIFETIME_S",
        MINUTE_S,
    ),
    Stated("SECURITY.md", r"Envoy forgives (\d+) s of skew", "meshpass.testing._verifier:CLOCK_SKEW_S"),
    Stated(
        "docs/lambda-bridge.md",
        r"an answer have at most (\d+) MB",
        "lambda_bridge.answer:MAX_ANSWER_BYTES",
        MB,
    ),
]


def _number(text: str) -> float:
    word = text.lower()
    return float(_WORDS[word]) if word in _WORDS else float(word.replace(",", ""))


def _value(where: str) -> float:
    module, _, path = where.partition(":")
    found: Any = importlib.import_module(module)
    for part in re.findall(r"[\w-]+", path):
        found = (
            found[part]
            if isinstance(found, dict)
            else getattr(found() if isinstance(found, type) else found, part)
        )
    return float(found)


def test_there_are_enough_numbers_and_none_is_listed_twice() -> None:
    assert len(STATED) >= 40
    assert len({(one.page, one.pattern) for one in STATED}) == len(STATED)


@pytest.mark.parametrize("stated", STATED, ids=lambda one: f"{one.page}:{one.where}")
def test_a_page_states_the_number_of_the_code(stated: Stated) -> None:
    page = " ".join((ROOT / stated.page).read_text(encoding="utf-8").split())
    found = re.search(stated.pattern, page)

    assert found, f"{stated.page} does not say {stated.pattern!r} any more: change the entry with the page"
    said = next(group for group in found.groups() if group)
    assert _number(said) * stated.unit == pytest.approx(_value(stated.where)), (
        f"{stated.page} says {said!r} where {stated.where} is {_value(stated.where)}"
    )
