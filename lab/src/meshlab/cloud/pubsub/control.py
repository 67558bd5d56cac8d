"""Control of the running fake by a test, beyond Pub/Sub's API: its backlog, and injected faults.

Of the real service only Cloud Monitoring reports the first; the second is the fake's alone. They are gRPC methods of
their own, below `meshlab.Lab`, with JSON either way: nothing of them touches google.pubsub.v1.
"""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from .errors import InvalidArgumentError
from .subscription import Backlog

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from .clock import Clock
    from .faults import PublishFaults
    from .store import Store

_BACKLOG = "/meshlab.Lab/Backlog"
_FAIL_PUBLISH = "/meshlab.Lab/FailPublish"


def backlog(host: str, subscription: str, *, timeout_s: float = 5.0) -> Backlog:
    """Asks a running fake how many messages of a subscription are in which state.

    Args:
        host: `127.0.0.1:PORT`, as in PUBSUB_EMULATOR_HOST.
        subscription: The full name.
        timeout_s: How long to wait for the answer, in seconds.

    Raises:
        grpc.RpcError: NOT_FOUND for an unknown subscription, UNAVAILABLE if nothing listens at `host`.
    """
    return Backlog(**_ask(host, _BACKLOG, {"subscription": subscription}, timeout_s))


def fail_publish(host: str, topic: str, seconds: float | None, *, timeout_s: float = 5.0) -> int:
    """Makes a running fake refuse everything that is published to a topic, with UNAVAILABLE.

    What Pub/Sub itself forwards to a dead-letter topic is not refused.

    Args:
        host: `127.0.0.1:PORT`, as in PUBSUB_EMULATOR_HOST.
        topic: The full name.
        seconds: How long, by the server's clock; None for ever, 0 to end it.
        timeout_s: How long to wait for the answer, in seconds.

    Returns:
        How many requests to publish to the topic were refused so, up to now.

    Raises:
        grpc.RpcError: NOT_FOUND for an unknown topic, UNAVAILABLE if nothing listens at `host`.
    """
    return int(_ask(host, _FAIL_PUBLISH, {"topic": topic, "seconds": seconds}, timeout_s)["refused"])


def methods(store: Store, faults: PublishFaults, clock: Clock) -> dict[str, Callable[[bytes], bytes]]:
    """Returns the methods by their path; each takes and gives JSON, and raises PubSubError.

    Args:
        store: The topics and subscriptions.
        faults: Takes the orders to fail.
        clock: The server's time.
    """

    def answer_backlog(request: bytes) -> bytes:
        (name,) = _read(request, "subscription")
        return json.dumps(asdict(store.entry(name).subscription.backlog)).encode()

    def answer_fail_publish(request: bytes) -> bytes:
        name, seconds = _read(request, "topic", "seconds")
        store.topic(name)
        faults.order(name, seconds, clock.now_s())
        return json.dumps({"refused": faults.refused[name]}).encode()

    return {_BACKLOG: answer_backlog, _FAIL_PUBLISH: answer_fail_publish}


def _read(request: bytes, *keys: str) -> tuple[Any, ...]:
    """Returns the values of a JSON object that has exactly these keys, the first of them a text."""
    try:
        document = json.loads(request)
    except ValueError:
        document = None
    if (
        not isinstance(document, dict)
        or document.keys() != set(keys)
        or not isinstance(document[keys[0]], str)
    ):
        raise InvalidArgumentError(f"The request must be a JSON object with {' and '.join(keys)}.")
    return tuple(document[key] for key in keys)


def _ask(host: str, method: str, request: Mapping[str, object], timeout_s: float) -> dict[str, Any]:
    # The lab's command line imports this module; gRPC is worth its 0.05 s only when asked.
    import grpc

    with grpc.insecure_channel(host) as channel:
        answer = channel.unary_unary(method)(json.dumps(request).encode(), timeout=timeout_s)
    document: dict[str, Any] = json.loads(answer)
    return document
