"""The lab's own question to the stand-in, which the real service answers through Cloud Monitoring only.

It is a gRPC method of its own, `meshlab.Lab/Backlog`, with JSON either way: nothing of it touches
google.pubsub.v1.
"""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING

from .subscription import Backlog

if TYPE_CHECKING:
    from .store import Store

METHOD = "/meshlab.Lab/Backlog"


def backlog(host: str, subscription: str, *, timeout_s: float = 5.0) -> Backlog:
    """Asks a running stand-in how many messages of a subscription are in which state.

    Args:
        host: `127.0.0.1:PORT`, as in PUBSUB_EMULATOR_HOST.
        subscription: The full name.
        timeout_s: How long to wait for the answer, in seconds.

    Raises:
        grpc.RpcError: NOT_FOUND for an unknown subscription, UNAVAILABLE if nothing listens at `host`.
    """
    # The lab's command line imports this module; gRPC is worth its 0.05 s only when asked.
    import grpc

    with grpc.insecure_channel(host) as channel:
        ask = channel.unary_unary(METHOD)
        return Backlog(
            **json.loads(ask(json.dumps({"subscription": subscription}).encode(), timeout=timeout_s))
        )


def answer(store: Store, request: bytes) -> bytes:
    """Answers Backlog.

    Raises:
        InvalidArgumentError: A bad name.
        NotFoundError: No such subscription.
    """
    subscription = store.entry(json.loads(request)["subscription"]).subscription
    return json.dumps(asdict(subscription.backlog)).encode()
