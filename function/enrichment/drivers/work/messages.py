"""Messages of Pub/Sub's API, as far as the worker reads and writes them: their fields.

Importing anything of `google.pubsub_v1` loads three clients: 160 ms of processor time and 24 MiB that the worker has no
use for. These classes are built from the same numbers and types, in a pool of their own, so that both can be loaded in
one process: the publisher of dead letters loads the official ones. A test compares them.
Source: https://cloud.google.com/pubsub/docs/reference/rpc/google.pubsub.v1
"""

from typing import Any, TypeAlias

from google.protobuf import descriptor_pool, message_factory  # type: ignore[import-untyped]
from google.protobuf.descriptor_pb2 import FieldDescriptorProto, FileDescriptorProto  # type: ignore[import-untyped]

Proto: TypeAlias = Any
"""A message of protobuf, whose classes are made at run time."""

_STRING, _BYTES, _BOOL = (
    FieldDescriptorProto.TYPE_STRING,
    FieldDescriptorProto.TYPE_BYTES,
    FieldDescriptorProto.TYPE_BOOL,
)
_INT32, _INT64 = FieldDescriptorProto.TYPE_INT32, FieldDescriptorProto.TYPE_INT64
_TEXTS = "map<string, string>"

FIELDS: dict[str, dict[str, tuple[int, Any, bool]]] = {
    "Timestamp": {"seconds": (1, _INT64, False), "nanos": (2, _INT32, False)},
    "PubsubMessage": {
        "data": (1, _BYTES, False),
        "attributes": (2, _TEXTS, True),
        "message_id": (3, _STRING, False),
        "publish_time": (4, "Timestamp", False),
        "ordering_key": (5, _STRING, False),
    },
    "ReceivedMessage": {
        "ack_id": (1, _STRING, False),
        "message": (2, "PubsubMessage", False),
        "delivery_attempt": (3, _INT32, False),
    },
    "StreamingPullRequest": {
        "subscription": (1, _STRING, False),
        "stream_ack_deadline_seconds": (5, _INT32, False),
        "client_id": (6, _STRING, False),
        "max_outstanding_messages": (7, _INT64, False),
        "max_outstanding_bytes": (8, _INT64, False),
    },
    "SubscriptionProperties": {
        "exactly_once_delivery_enabled": (1, _BOOL, False),
        "message_ordering_enabled": (2, _BOOL, False),
    },
    "StreamingPullResponse": {
        "received_messages": (1, "ReceivedMessage", True),
        "subscription_properties": (4, "SubscriptionProperties", False),
    },
    "AcknowledgeRequest": {"subscription": (1, _STRING, False), "ack_ids": (2, _STRING, True)},
    "ModifyAckDeadlineRequest": {
        "subscription": (1, _STRING, False),
        "ack_deadline_seconds": (3, _INT32, False),
        "ack_ids": (4, _STRING, True),
    },
    "GetSubscriptionRequest": {"subscription": (1, _STRING, False)},
    "PushConfig": {"push_endpoint": (1, _STRING, False)},
    "BigQueryConfig": {"table": (1, _STRING, False)},
    "CloudStorageConfig": {"bucket": (1, _STRING, False)},
    "BigtableConfig": {"table": (1, _STRING, False)},
    "RetryPolicy": {},
    "DeadLetterPolicy": {
        "dead_letter_topic": (1, _STRING, False),
        "max_delivery_attempts": (2, _INT32, False),
    },
    "Subscription": {
        "name": (1, _STRING, False),
        "topic": (2, _STRING, False),
        "push_config": (4, "PushConfig", False),
        "ack_deadline_seconds": (5, _INT32, False),
        "enable_message_ordering": (10, _BOOL, False),
        "dead_letter_policy": (13, "DeadLetterPolicy", False),
        "retry_policy": (14, "RetryPolicy", False),
        "detached": (15, _BOOL, False),
        "enable_exactly_once_delivery": (16, _BOOL, False),
        "bigquery_config": (18, "BigQueryConfig", False),
        "cloud_storage_config": (22, "CloudStorageConfig", False),
        "bigtable_config": (27, "BigtableConfig", False),
    },
}
"""By message, its fields: number, type or the message that it holds, and whether it is repeated."""

_PACKAGE = "pull"


def _classes() -> dict[str, Any]:
    file = FileDescriptorProto(name=f"{_PACKAGE}.proto", package=_PACKAGE, syntax="proto3")
    for name, fields in FIELDS.items():
        message = file.message_type.add(name=name)
        for field, (number, kind, repeated) in fields.items():
            added = message.field.add(name=field, number=number)
            added.label = (
                FieldDescriptorProto.LABEL_REPEATED if repeated else FieldDescriptorProto.LABEL_OPTIONAL
            )
            if kind is _TEXTS:
                added.type, added.type_name = FieldDescriptorProto.TYPE_MESSAGE, _map_of_texts(message, field)
            elif isinstance(kind, str):
                added.type, added.type_name = FieldDescriptorProto.TYPE_MESSAGE, f".{_PACKAGE}.{kind}"
            else:
                added.type = kind
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return {
        name: message_factory.GetMessageClass(pool.FindMessageTypeByName(f"{_PACKAGE}.{name}"))
        for name in FIELDS
    }


def _map_of_texts(message: Any, field: str) -> str:  # noqa: ANN401 - protobuf has no types
    """Add the type of an entry of a map, named as protobuf's compiler names it; return its full name."""
    entry = message.nested_type.add(name=f"{field.title()}Entry")
    entry.options.map_entry = True
    for number, name in enumerate(("key", "value"), 1):
        entry.field.add(name=name, number=number, type=_STRING, label=FieldDescriptorProto.LABEL_OPTIONAL)
    return f".{_PACKAGE}.{message.name}.{entry.name}"


_MADE = _classes()
StreamRequest: Proto = _MADE["StreamingPullRequest"]
StreamResponse: Proto = _MADE["StreamingPullResponse"]
AcknowledgeRequest: Proto = _MADE["AcknowledgeRequest"]
ModifyRequest: Proto = _MADE["ModifyAckDeadlineRequest"]
GetRequest: Proto = _MADE["GetSubscriptionRequest"]
Subscription: Proto = _MADE["Subscription"]
