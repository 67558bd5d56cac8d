"""Control of the running fake by a test, beyond Pub/Sub's API: its backlog, and injected faults.

Of the real service only Cloud Monitoring reports the first; the faults are the fake's alone. They are gRPC methods of
their own, below `meshlab.Lab`, with JSON either way: nothing of them touches google.pubsub.v1.
"""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from .errors import InvalidArgumentError
from .faults import PullCounts, PullFaults
from .subscription import Backlog

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from .clock import Clock
    from .faults import PublishFaults
    from .hub import Hub
    from .store import Store

_BACKLOG = "/meshlab.Lab/Backlog"
_FAIL_PUBLISH = "/meshlab.Lab/FailPublish"
_FAIL_PULL = "/meshlab.Lab/FailPull"
_END_STREAMS = "/meshlab.Lab/EndStreams"
_PULL_COUNTS = "/meshlab.Lab/PullCounts"


def backlog(host: str, subscription: str, *, timeout_s: float = 5.0) -> Backlog:
    """Ask a running fake how many messages of a subscription are in which state.

    Args:
        host: `127.0.0.1:PORT`, as in PUBSUB_EMULATOR_HOST.
        subscription: The full name.
        timeout_s: How long to wait for the answer, in seconds.

    Raises:
        grpc.RpcError: NOT_FOUND for an unknown subscription, UNAVAILABLE if nothing listens at `host`.
    """
    return Backlog(**_ask(host, _BACKLOG, {"subscription": subscription}, timeout_s))


def fail_publish(host: str, topic: str, seconds: float | None, *, timeout_s: float = 5.0) -> int:
    """Make a running fake refuse everything that is published to a topic, with UNAVAILABLE.

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


def fail_pull(host: str, subscription: str, faults: PullFaults, *, timeout_s: float = 5.0) -> None:
    """Make the consumers of a subscription of a running fake meet faults, in place of what was ordered before.

    Args:
        host: `127.0.0.1:PORT`, as in PUBSUB_EMULATOR_HOST.
        subscription: The full name.
        faults: What goes wrong; `PullFaults()` ends it all.
        timeout_s: How long to wait for the answer, in seconds.

    Raises:
        grpc.RpcError: NOT_FOUND for an unknown subscription, UNAVAILABLE if nothing listens at `host`.
    """
    _ask(host, _FAIL_PULL, {"subscription": subscription, "faults": asdict(faults)}, timeout_s)


def end_streams(host: str, subscription: str, status: str = "UNAVAILABLE", *, timeout_s: float = 5.0) -> int:
    """End the streaming pulls of a subscription that are open now. New ones may be opened at once.

    Args:
        host: `127.0.0.1:PORT`, as in PUBSUB_EMULATOR_HOST.
        subscription: The full name.
        status: What they end with: one of `faults.STREAM_STATUSES`.
        timeout_s: How long to wait for the answer, in seconds.

    Returns:
        How many were open. Each ends once it has sent what it is sending.

    Raises:
        grpc.RpcError: NOT_FOUND for an unknown subscription, INVALID_ARGUMENT for a status that the service ends no
            stream with, UNAVAILABLE if nothing listens at `host`.
    """
    return int(
        _ask(host, _END_STREAMS, {"subscription": subscription, "status": status}, timeout_s)["streams"]
    )


def pull_counts(host: str, subscription: str, *, timeout_s: float = 5.0) -> PullCounts:
    """Ask a running fake what the consumers of a subscription met so far.

    Args:
        host: `127.0.0.1:PORT`, as in PUBSUB_EMULATOR_HOST.
        subscription: The full name.
        timeout_s: How long to wait for the answer, in seconds.

    Raises:
        grpc.RpcError: NOT_FOUND for an unknown subscription, UNAVAILABLE if nothing listens at `host`.
    """
    return PullCounts(**_ask(host, _PULL_COUNTS, {"subscription": subscription}, timeout_s))


def methods(
    store: Store, faults: PublishFaults, clock: Clock, hub: Hub
) -> dict[str, Callable[[bytes], bytes]]:
    """Return the methods by their path; each takes and gives JSON, and raises PubSubError.

    Args:
        store: The topics and subscriptions.
        faults: Takes the orders to fail.
        clock: The server's time.
        hub: Wakes the streams that are to end.
    """

    def answer_backlog(request: bytes) -> bytes:
        (name,) = _read(request, "subscription")
        return json.dumps(asdict(store.entry(name).subscription.backlog)).encode()

    def answer_fail_publish(request: bytes) -> bytes:
        name, seconds = _read(request, "topic", "seconds")
        store.topic(name)
        faults.order(name, seconds, clock.now_s())
        return json.dumps({"refused": faults.refused[name]}).encode()

    def answer_fail_pull(request: bytes) -> bytes:
        name, order = _read(request, "subscription", "faults")
        plan = store.entry(name).plan
        if not isinstance(order, dict):
            raise InvalidArgumentError("faults must be a JSON object.")
        try:
            plan.order(PullFaults.from_json(order), clock.now_s())
        except ValueError as error:
            raise InvalidArgumentError(str(error)) from error
        hub.ring(name)
        return b"{}"

    def answer_end_streams(request: bytes) -> bytes:
        name, status = _read(request, "subscription", "status")
        plan = store.entry(name).plan
        try:
            plan.end_streams(status)
        except ValueError as error:
            raise InvalidArgumentError(str(error)) from error
        hub.ring(name)
        return json.dumps({"streams": plan.counts.streams}).encode()

    def answer_pull_counts(request: bytes) -> bytes:
        (name,) = _read(request, "subscription")
        return json.dumps(asdict(store.entry(name).plan.counts)).encode()

    return {
        _BACKLOG: answer_backlog,
        _FAIL_PUBLISH: answer_fail_publish,
        _FAIL_PULL: answer_fail_pull,
        _END_STREAMS: answer_end_streams,
        _PULL_COUNTS: answer_pull_counts,
    }


def _read(request: bytes, *keys: str) -> tuple[Any, ...]:
    """Return the values of a JSON object that has exactly these keys, the first of them a text."""
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
