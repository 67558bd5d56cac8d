"""Entry points."""

import functools
import gc
import os
from typing import TYPE_CHECKING

import functions_framework.aio
from cloudevents.http import CloudEvent
from enrichment import assembly
from enrichment.enricher import Enricher
from enrichment.errors import Disposition
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

if TYPE_CHECKING:
    from enrichment.http_lookup import HttpLookup


@functions_framework.aio.cloud_event
async def enrich(event: CloudEvent) -> None:
    """Turns one Pub/Sub event into one enriched row.

    Args:
        event: A `google.cloud.pubsub.topic.v1.messagePublished` CloudEvent.

    Raises:
        HTTPException: the event was not dealt with and must come again: 503, the trouble will pass; 500,
            somebody has to mend our configuration first.
    """
    outcome = await _enricher().handle(event.data, event.get_attributes())
    if outcome.disposition in (Disposition.RETRY, Disposition.FAULT):
        raise HTTPException(
            outcome.disposition.status, detail=f"{outcome.disposition.value}: {outcome.reason}"
        )


@functions_framework.aio.http
async def lookup(request: Request) -> Response:
    """Answer `GET /lookup/{key}` with what an event for this key would be joined with.

    Args:
        request: The request; who may send one is for Cloud Run's IAM to say.

    Returns:
        The profile as JSON, or a JSON object that says why not.
    """
    return await _http_lookup().answer(request)


@functools.cache
def _enricher() -> Enricher:
    return assembly.enricher(os.environ)


@functools.cache
def _http_lookup() -> "HttpLookup":
    return assembly.http_lookup(os.environ)


# At the start and not at the first request: wrong settings end the process before it is sent anything. The framework
# sets the variable before it imports this, also where the target came as an argument.
if os.environ.get("FUNCTION_TARGET") == "lookup":
    _http_lookup()
else:
    _enricher()

# Most of what an event allocates is freed by reference counting while many more are under way; looking for cycles after
# every 700 allocations finds next to nothing and took a tenth of the processor time.
gc.set_threshold(10_000, 20, 20)
