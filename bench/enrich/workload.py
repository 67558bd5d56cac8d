"""What the contenders work on. Everything follows from an event's number and a seed, so that all get the same."""

import base64
import itertools
import json
import random
import zlib
from collections.abc import Iterable, Sequence

PROJECT = "bench-project"
TABLE = f"{PROJECT}.events.enriched"
TOPIC = f"projects/{PROJECT}/topics/events"
SECRET = f"projects/{PROJECT}/secrets/signing-key"

INSERT_S = 0.030
"""How long BigQuery takes over a request, whatever is in it, in seconds."""

ZIPF_KEYS = 10_000
_SLOW_S = 0.200
# 1.25 %, a little over the 1 % that a percentile of 99 splits off: with exactly 1 % that percentile would stand on the
# edge of the tail, and a single event would move it by 180 ms.
_ONE_SLOW_IN = 80
_SEED = 20_261_120


def user_id(key: int) -> str:
    """The user of this number."""
    return f"u-{key:07d}"


def account_id(key: int) -> str:
    """The account of the user of this number."""
    return f"a-{key:07d}"


def event_id(number: int) -> str:
    """The event of this number."""
    return f"e-{number:08d}"


def service_s(key: int) -> float:
    """How long the service takes over a key, in seconds: 10 to 30 ms, 20 in the middle; 200 ms for one in 80."""
    if key % _ONE_SLOW_IN == 0:
        return _SLOW_S
    return 0.010 + zlib.crc32(key.to_bytes(8)) % 201 / 10_000


def zipf_keys(events: int) -> Sequence[int]:
    """A key for each event, of 10,000, the n-th most frequent with weight 1/n."""
    weights = list(itertools.accumulate(1 / rank for rank in range(1, ZIPF_KEYS + 1)))
    return random.Random(_SEED).choices(range(1, ZIPF_KEYS + 1), cum_weights=weights, k=events)


def arrivals(rate_hz: float) -> Iterable[float]:
    """Seconds from the start to each arrival, as many publishers that know nothing of each other make them."""
    draw = random.Random(_SEED)
    return itertools.accumulate(draw.expovariate(rate_hz) for _ in itertools.count())


def event(number: int, key: int) -> bytes:
    """An event of about 500 bytes."""
    draw = zlib.crc32(number.to_bytes(8))
    items = [
        {"sku": f"SKU-{(draw >> shift) % 100_000:05d}", "quantity": 1 + shift % 3, "unit_price": 4.95 + shift}
        for shift in (0, 4, 8, 12)
    ]
    content = {
        "event_id": event_id(number),
        "user_id": user_id(key),
        "type": "order.placed",
        "occurred_at": f"2026-11-20T12:{number // 60 % 60:02d}:{number % 60:02d}.250+01:00",
        "order": {"id": f"{draw:08x}", "currency": "EUR", "total": 59.4, "items": items},
        "session": {"channel": "web", "campaign": "autumn-2026", "ip_country": "NL"},
    }
    return json.dumps(content).encode()


def wide_event(number: int, key: int) -> bytes:
    """An event of about 1,000 bytes, for the shape that `wide` describes: 32 fields, two levels down."""
    draw = zlib.crc32(number.to_bytes(8))
    fields = {
        "text": {f"text_{n:02d}": f"{draw:08x}-{n}" for n in range(1, 15)},
        "count": {f"count_{n:02d}": draw % (n * 1_000) for n in range(1, 9)},
        "amount": {f"amount_{n:02d}": draw % 10_000 / (4 * n) for n in range(1, 7)},
        "time": {f"time_{n:02d}": f"2026-11-20T12:{draw % 60:02d}:{n:02d}.250+01:00" for n in range(1, 3)},
        "flag": {f"flag_{n:02d}": draw % (n + 1) == 0 for n in range(1, 3)},
    }
    content = {
        "event_id": event_id(number),
        "user_id": user_id(key),
        "account_id": account_id(key),
        "type": "order.placed",
        "occurred_at": f"2026-11-20T12:{number // 60 % 60:02d}:{number % 60:02d}.250+01:00",
        "fields": fields,
    }
    return json.dumps(content).encode()


def account(name: bytes) -> bytes:
    """What the service knows of an account, about 150 bytes of JSON."""
    return (
        b'{"account_id": "%b", "tier": "gold", "limit": 25000, "currency": "EUR", "opened": "2019-02-11", '
        b'"contacts": ["billing", "legal"], "region": "eu-west"}' % name
    )


def profile(user: bytes) -> bytes:
    """What the service knows of a user, about 200 bytes of JSON."""
    return (
        b'{"user_id": "%b", "plan": "pro", "country": "NL", "language": "nl", "since": "2021-04-09", '
        b'"segments": ["early", "beta", "newsletter"], "lifetime_value": 1834.2, "score": 0.87}' % user
    )


def delivery(number: int, key: int, authority: str, *, wide: bool = False) -> bytes:
    """The request by which Eventarc delivers an event to a function: a CloudEvent in binary mode."""
    data = wide_event(number, key) if wide else event(number, key)
    body = (
        b'{"message": {"data": "%b", "messageId": "%d", "publishTime": "2026-11-20T11:00:00.123Z"}, '
        b'"subscription": "projects/bench-project/subscriptions/events"}'
        % (base64.b64encode(data), 10_000_000 + number)
    )
    return b"%b%d\r\ncontent-length: %d\r\n\r\n%b" % (
        _HEAD % authority.encode(),
        10_000_000 + number,
        len(body),
        body,
    )


_HEAD = (
    b"POST / HTTP/1.1\r\n"
    b"host: %%b\r\n"
    b"content-type: application/json\r\n"
    b"ce-specversion: 1.0\r\n"
    b"ce-type: google.cloud.pubsub.topic.v1.messagePublished\r\n"
    b"ce-source: //pubsub.googleapis.com/%b\r\n"
    b"ce-time: 2026-11-20T11:00:00.123Z\r\n"
    b"ce-id: " % TOPIC.encode()
)
