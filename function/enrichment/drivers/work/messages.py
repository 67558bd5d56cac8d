"""Messages of Pub/Sub's API, as far as the worker reads and writes them: their fields.

Importing anything of `google.pubsub_v1` loads three clients: 160 ms of processor time and 24 MiB that the worker has no
use for. The publisher of dead letters loads them, where there is a bad event. A test compares both.
Source: https://cloud.google.com/pubsub/docs/reference/rpc/google.pubsub.v1
"""

from typing import Any, TypeAlias

from enrichment.message_classes import BOOL, BYTES, INT32, INT64, STRING, TEXTS, Fields, message_classes

Proto: TypeAlias = Any
"""A message of protobuf, whose classes are made at run time."""

FIELDS: Fields = {
    "Timestamp": {"seconds": (1, INT64, False), "nanos": (2, INT32, False)},
    "PubsubMessage": {
        "data": (1, BYTES, False),
        "attributes": (2, TEXTS, True),
        "message_id": (3, STRING, False),
        "publish_time": (4, "Timestamp", False),
        "ordering_key": (5, STRING, False),
    },
    "ReceivedMessage": {
        "ack_id": (1, STRING, False),
        "message": (2, "PubsubMessage", False),
        "delivery_attempt": (3, INT32, False),
    },
    "StreamingPullRequest": {
        "subscription": (1, STRING, False),
        "stream_ack_deadline_seconds": (5, INT32, False),
        "client_id": (6, STRING, False),
        "max_outstanding_messages": (7, INT64, False),
        "max_outstanding_bytes": (8, INT64, False),
    },
    "SubscriptionProperties": {
        "exactly_once_delivery_enabled": (1, BOOL, False),
        "message_ordering_enabled": (2, BOOL, False),
    },
    "StreamingPullResponse": {
        "received_messages": (1, "ReceivedMessage", True),
        "subscription_properties": (4, "SubscriptionProperties", False),
    },
    "AcknowledgeRequest": {"subscription": (1, STRING, False), "ack_ids": (2, STRING, True)},
    "ModifyAckDeadlineRequest": {
        "subscription": (1, STRING, False),
        "ack_deadline_seconds": (3, INT32, False),
        "ack_ids": (4, STRING, True),
    },
    "GetSubscriptionRequest": {"subscription": (1, STRING, False)},
    "PushConfig": {"push_endpoint": (1, STRING, False)},
    "BigQueryConfig": {"table": (1, STRING, False)},
    "CloudStorageConfig": {"bucket": (1, STRING, False)},
    "BigtableConfig": {"table": (1, STRING, False)},
    "RetryPolicy": {},
    "DeadLetterPolicy": {
        "dead_letter_topic": (1, STRING, False),
        "max_delivery_attempts": (2, INT32, False),
    },
    "Subscription": {
        "name": (1, STRING, False),
        "topic": (2, STRING, False),
        "push_config": (4, "PushConfig", False),
        "ack_deadline_seconds": (5, INT32, False),
        "enable_message_ordering": (10, BOOL, False),
        "dead_letter_policy": (13, "DeadLetterPolicy", False),
        "retry_policy": (14, "RetryPolicy", False),
        "detached": (15, BOOL, False),
        "enable_exactly_once_delivery": (16, BOOL, False),
        "bigquery_config": (18, "BigQueryConfig", False),
        "cloud_storage_config": (22, "CloudStorageConfig", False),
        "bigtable_config": (27, "BigtableConfig", False),
    },
}
_MADE = message_classes("pull", FIELDS)
StreamRequest: Proto = _MADE["StreamingPullRequest"]
StreamResponse: Proto = _MADE["StreamingPullResponse"]
AcknowledgeRequest: Proto = _MADE["AcknowledgeRequest"]
ModifyRequest: Proto = _MADE["ModifyAckDeadlineRequest"]
GetRequest: Proto = _MADE["GetSubscriptionRequest"]
Subscription: Proto = _MADE["Subscription"]
