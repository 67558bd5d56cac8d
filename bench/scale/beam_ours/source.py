"""Messages of the events. Beam pickles what stands in the main module, so this is another one."""

import json
import time
from datetime import UTC, datetime

from enrichment_beam.messages import PubsubMessage  # type: ignore[import-not-found] # it has an environment of its own

cpu_s_at_messages: list[float] = []
"""Processor time that this process had taken when the first messages were made."""

_PUBLISHED = datetime(2026, 11, 20, 11, tzinfo=UTC)


def message(line: str) -> PubsubMessage:
    if not cpu_s_at_messages:
        cpu_s_at_messages.append(time.process_time())
    return PubsubMessage(
        line.encode(), {}, message_id=f"m-{json.loads(line)['event_id']}", publish_time=_PUBLISHED
    )
