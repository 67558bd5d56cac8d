"""Entry points."""

import os

import functions_framework.aio
from cloudevents.http import CloudEvent
from enrichment import pipeline
from enrichment.outcome import Fate
from starlette.exceptions import HTTPException

_pipeline = pipeline.from_env(os.environ)


@functions_framework.aio.cloud_event
async def enrich(event: CloudEvent) -> None:
    """Turns one Pub/Sub event into one enriched row.

    Args:
        event: A `google.cloud.pubsub.topic.v1.messagePublished` CloudEvent.

    Raises:
        HTTPException: the event was not dealt with and must come again: 503, the trouble will pass; 500,
            somebody has to mend our configuration first.
    """
    outcome = await _pipeline.handle(event.data, event.get_attributes())
    if outcome.fate in (Fate.RETRY, Fate.FAULT):
        raise HTTPException(outcome.fate.status, detail=f"{outcome.fate.value}: {outcome.reason}")
