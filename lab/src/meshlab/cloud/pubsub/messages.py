"""The protobuf classes of google.pubsub.v1, and what the fake builds with them."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any, TypeAlias

from google.protobuf import empty_pb2, field_mask_pb2  # type: ignore[import-untyped]
from google.pubsub_v1.types import pubsub

from .subscription import Message

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .subscription import Lease

Proto: TypeAlias = Any
"""A protobuf message or its class: they are made at run time and have no static types."""


@cache
def raw(name: str) -> Proto:
    """Returns the protobuf class of that name, such as `Topic`; its proto-plus wrapper is far slower."""
    return empty_pb2.Empty if name == "Empty" else getattr(pubsub, name).pb()


def merge(changes: Proto, target: Proto, paths: Sequence[str]) -> None:
    """Copies the fields that `paths` name into `target`, replacing what is there.

    Raises:
        ValueError: A path names no field.
    """
    mask = field_mask_pb2.FieldMask(paths=paths)
    if not mask.IsValidForDescriptor(target.DESCRIPTOR):
        raise ValueError(f"{mask.ToJsonString()} names a field that does not exist")
    mask.MergeMessage(changes, target, True, True)


def to_message(pubsub_message: Proto, message_id: str, publish_time_s: float) -> Message:
    """Turns a message as published into one that subscriptions can hold."""
    return Message(
        message_id=message_id,
        publish_time_s=publish_time_s,
        data=pubsub_message.data,
        attributes=dict(pubsub_message.attributes),
        ordering_key=pubsub_message.ordering_key,
        size=pubsub_message.ByteSize(),
    )


def to_received(lease: Lease, *, show_attempt: bool) -> Proto:
    """Turns a lease into the `ReceivedMessage` a puller gets.

    Args:
        lease: The delivery.
        show_attempt: Whether to fill in `delivery_attempt`: only under a dead-letter policy.
    """
    message = lease.message
    received = raw("ReceivedMessage")(ack_id=lease.ack_id)
    received.message.data = message.data
    received.message.attributes.update(message.attributes)
    received.message.message_id = message.message_id
    received.message.ordering_key = message.ordering_key
    received.message.publish_time.FromNanoseconds(int(message.publish_time_s * 1000) * 1_000_000)
    if show_attempt:
        received.delivery_attempt = lease.attempt
    return received
