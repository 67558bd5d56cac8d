"""Events, and the Pub/Sub messages that carry them."""

from enrichment.event.event import MAX_PROBLEMS, Event, check_fields, decode, scope_of
from enrichment.event.formats import Document, Part, read, split

__all__ = ["MAX_PROBLEMS", "Document", "Event", "Part", "check_fields", "decode", "read", "scope_of", "split"]
