"""A fake for Google Cloud Pub/Sub: gRPC, in memory, tested with the official client.

Start it with `python -m meshlab.cloud.pubsub` and point `PUBSUB_EMULATOR_HOST` at the address it prints.

It has topics, subscriptions, publish, pull, streaming pull, push (plain, or as the CloudEvents of Eventarc),
ack deadlines, retry policies and dead-letter policies, with the service's defaults, limits and wording.

It does not have seek and snapshots, schemas, UpdateTopic, detaching and IAM: these methods answer
UNIMPLEMENTED. Nor does it have filters, ordering, exactly-once delivery, message transforms, export to
BigQuery, Bigtable or Cloud Storage, signed push requests and unwrapped push payloads: a subscription that
asks for one of them is refused with INVALID_ARGUMENT. Nothing expires: retention and expiration settings are
kept and shown, without effect. A streaming pull lives until its client ends it, while the service closes it
now and then. Pushes go to loopback hosts only.
"""

from .control import backlog, fail_publish
from .subscription import Backlog

__all__ = ["Backlog", "backlog", "fail_publish"]
