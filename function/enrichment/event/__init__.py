"""Events, and the Pub/Sub messages that carry them."""

from enrichment.event.event import MAX_EVENT_ID_LENGTH, MAX_PROBLEMS, Event, check_fields, decode, scope

__all__ = ["MAX_EVENT_ID_LENGTH", "MAX_PROBLEMS", "Event", "check_fields", "decode", "scope"]
