"""The least a function can be: what functions-framework costs by itself."""

import functions_framework.aio
from cloudevents.http import CloudEvent


@functions_framework.aio.cloud_event
async def enrich(event: CloudEvent) -> None:
    """Does nothing."""
