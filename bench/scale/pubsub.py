# ruff: noqa: ANN401 - grpcio and protobuf have no types
"""A lean subscription for a pull worker: it keeps a number of events delivered, and times each up to its ack.

A process of its own: `python -m bench.scale.pubsub PORT`. Each line of JSON on its standard input is the plan of one
phase, and for each it prints what came of it as a line of JSON. So that serving costs next to nothing beside the
worker, it knows one subscription, and no lease ever ends.
"""

import asyncio
import json
import sys
import time
from collections.abc import AsyncIterator
from dataclasses import asdict, dataclass
from typing import Any

import grpc
import uvloop
from google.pubsub_v1 import types
from meshlab.processes.ports import LOOPBACK

from bench.enrich import workload
from bench.harness import percentile

SUBSCRIPTION = f"projects/{workload.PROJECT}/subscriptions/events"
_FLUSH_S = 0.001
"""Pub/Sub sends what is ready in one response. Events wait for each other this long, in seconds."""


@dataclass(frozen=True)
class Plan:
    """One phase.

    Attributes:
        first: Number of the first event; the others follow it.
        in_flight: How many events are delivered and not acked.
        seconds: For how long new ones are delivered.
    """

    first: int
    in_flight: int
    seconds: float


@dataclass(frozen=True)
class Findings:
    """What came of a phase.

    Attributes:
        events: How many events were delivered and acked.
        events_per_s: How many were acked a second, while new ones were delivered.
        p50_ms: Time to the ack that half of them did not exceed.
        p99_ms: Time to the ack that 99 % of them did not exceed.
        nacks: How many were nacked.
        busy_percent: Share of one processor that this process took meanwhile.
    """

    events: int
    events_per_s: float
    p50_ms: float
    p99_ms: float
    nacks: int
    busy_percent: float


class Feed:
    """The subscription."""

    def __init__(self) -> None:
        self._stream: Any = None
        self._opened = asyncio.Event()
        self._free = asyncio.Event()
        self._out: dict[str, float] = {}
        self._taken: list[tuple[float, float]] = []
        self._nacks = 0
        pb = {name: getattr(types, name).pb() for name in ("ReceivedMessage", "StreamingPullResponse")}
        self._received, self._response = pb["ReceivedMessage"], pb["StreamingPullResponse"]

    async def start(self, port: int) -> object:
        """Serve, and return the server."""
        unary = grpc.unary_unary_rpc_method_handler
        handlers = {
            "StreamingPull": grpc.stream_stream_rpc_method_handler(
                self._pull, types.StreamingPullRequest.pb().FromString, self._response.SerializeToString
            ),
            "Acknowledge": unary(self._acknowledge, types.AcknowledgeRequest.pb().FromString, bytes),
            "ModifyAckDeadline": unary(self._modify, types.ModifyAckDeadlineRequest.pb().FromString, bytes),
            "GetSubscription": unary(
                self._get,
                types.GetSubscriptionRequest.pb().FromString,
                types.Subscription.pb().SerializeToString,
            ),
        }
        server = grpc.aio.server()
        service = "google.pubsub.v1.Subscriber"
        server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(service, handlers),))
        server.add_insecure_port(f"{LOOPBACK}:{port}")
        await server.start()
        return server

    async def run(self, plan: Plan) -> Findings:
        """Deliver events until the time is over, and wait until the last one is acked."""
        await self._opened.wait()
        self._taken, self._nacks = [], 0
        number = plan.first
        cpu_s, started = time.process_time(), time.perf_counter()
        while time.perf_counter() < started + plan.seconds:
            batch = range(number, number + plan.in_flight - len(self._out))
            if batch:
                now_s = time.perf_counter()
                self._out.update((str(one), now_s) for one in batch)
                await self._stream.write(self._response(received_messages=map(self._message, batch)))
                number = batch.stop
            self._free.clear()
            await self._free.wait()
            await asyncio.sleep(_FLUSH_S)
        sending_s, cpu_s = time.perf_counter() - started, time.process_time() - cpu_s
        while self._out:
            self._free.clear()
            await self._free.wait()
        taken = [at_s - sent_s for sent_s, at_s in self._taken]
        in_time = sum(at_s <= started + plan.seconds for _, at_s in self._taken)
        return Findings(
            events=len(taken),
            events_per_s=in_time / plan.seconds,
            p50_ms=percentile(taken, 50) * 1e3,
            p99_ms=percentile(taken, 99) * 1e3,
            nacks=self._nacks,
            busy_percent=cpu_s / sending_s * 100,
        )

    def _message(self, number: int) -> Any:
        message = {
            "data": workload.event(number, number),
            "message_id": str(10_000_000 + number),
            "publish_time": {"seconds": 1_795_600_000},
        }
        return self._received(ack_id=str(number), message=message)

    async def _pull(self, requests: AsyncIterator[Any], context: Any) -> None:
        self._stream = context
        self._opened.set()
        async for request in requests:
            self._ack(request.ack_ids)

    async def _acknowledge(self, request: Any, _: Any) -> bytes:
        self._ack(request.ack_ids)
        return b""

    def _ack(self, ack_ids: Any) -> None:
        now_s = time.perf_counter()
        for ack_id in ack_ids:
            sent_s = self._out.pop(ack_id, None)
            if sent_s is not None:
                self._taken.append((sent_s, now_s))
        self._free.set()

    async def _modify(self, request: Any, _: Any) -> bytes:
        if request.ack_deadline_seconds == 0:
            self._nacks += len(request.ack_ids)
            for ack_id in request.ack_ids:
                self._out.pop(ack_id, None)
            self._free.set()
        return b""

    async def _get(self, request: Any, _: Any) -> Any:
        return types.Subscription.pb()(
            name=request.subscription, topic=workload.TOPIC, ack_deadline_seconds=60
        )


async def _main(port: int) -> None:
    feed = Feed()
    server = await feed.start(port)
    print(f"listening {LOOPBACK}:{port}", flush=True)
    while line := await asyncio.to_thread(sys.stdin.readline):
        print(json.dumps(asdict(await feed.run(Plan(**json.loads(line))))), flush=True)
    del server


if __name__ == "__main__":
    uvloop.run(_main(int(sys.argv[1])))
