"""A message as a driver received it: what the core takes."""

from collections.abc import Mapping

import msgspec

from enrichment.errors import EnrichmentError
from enrichment.event.message import Message


class Received(msgspec.Struct, frozen=True):
    """One delivery of one message.

    Args:
        body: The bytes that the driver received, for the dead letter of a delivery that holds no message.
        message: The message, or why the delivery holds none.
        extensions: The attributes and extensions of the CloudEvent around it; empty where there is none.
    """

    body: bytes
    message: Message | EnrichmentError
    extensions: Mapping[str, str]
