"""Logs one delivery a request, from the request's task and from a thread."""

import asyncio
import time

import functions_framework.aio
from enrichment.errors import Disposition, Outcome
from enrichment.telemetry import trace
from enrichment.telemetry.delivery import Delivery
from enrichment.telemetry.log import Log
from starlette.requests import Request

_log = Log("project")


@functions_framework.aio.http
async def probe(request: Request) -> str:
    delivery = Delivery(trace.of_request(request.headers), time.monotonic())
    outcome = Outcome(Disposition.RETRY, None, "probed", "x" * 1024)
    if "thread" in request.query_params:
        await asyncio.to_thread(_log.delivery, outcome, delivery)
    else:
        _log.delivery(outcome, delivery)
    return "ok"
