"""A fake for Google Cloud Pub/Sub: gRPC, in memory, tested with the official client.

Start it with `python -m meshlab.cloud.pubsub` and point `PUBSUB_EMULATOR_HOST` at the address it prints.

It has topics, subscriptions, publish, pull, streaming pull, push (plain, or as the CloudEvents of Eventarc),
ack deadlines, retry policies, dead-letter policies, message ordering and exactly-once delivery, with the service's
defaults, limits and wording.

It does not have seek and snapshots, schemas, UpdateTopic, detaching and IAM: these methods answer
UNIMPLEMENTED. Nor does it have filters, message transforms, export to BigQuery, Bigtable or Cloud Storage and signed
push requests: a subscription that asks for one of them is refused with INVALID_ARGUMENT. Nothing expires: retention
and expiration settings are kept and shown, without effect. A streaming pull lives until its client ends it or a fault
that was ordered does, while the service closes it now and then. Without such an order nothing is delivered twice
before its deadline. Pushes go to loopback hosts only.
"""

from __future__ import annotations

from .control import backlog, end_streams, fail_publish, fail_pull, pull_counts
from .faults import PullCounts, PullFaults
from .subscription import Backlog

__all__ = [
    "Backlog",
    "PullCounts",
    "PullFaults",
    "backlog",
    "end_streams",
    "fail_publish",
    "fail_pull",
    "pull_counts",
]
