"""Pub/Sub API: topics and their readers, subscriptions, policies.

https://docs.cloud.google.com/pubsub/docs/reference/rest/v1/projects.subscriptions
"""

from __future__ import annotations

import copy
import re
from typing import TYPE_CHECKING

from tests.deploy.api import iam
from tests.deploy.api.cloud import ApiError, not_found
from tests.deploy.api.routes import Route, updated

if TYPE_CHECKING:
    from tests.deploy.api.cloud import Cloud, Json
    from tests.deploy.api.routes import Request

DETACHED_TOPIC = "_deleted-topic_"


def _get_topic(cloud: Cloud, request: Request) -> Json:
    _require_topic(cloud, request.resource)
    return {"name": request.resource}


def _readers(cloud: Cloud, request: Request) -> Json:
    _require_topic(cloud, request.resource)
    names = [name for name, state in cloud.subscriptions.items() if state["topic"] == request.resource]
    return {"subscriptions": names} if names else {}


def _create_topic(cloud: Cloud, request: Request) -> Json:
    if request.resource in cloud.topics:
        raise ApiError(409, "ALREADY_EXISTS", f"Resource already exists in the project ({request.resource}).")
    cloud.topics.add(request.resource)
    return {"name": request.resource}


def _get(cloud: Cloud, request: Request) -> Json:
    if request.resource not in cloud.subscriptions:
        raise not_found(request.resource)
    return cloud.subscriptions[request.resource]


def _create(cloud: Cloud, request: Request) -> Json:
    if request.resource in cloud.subscriptions:
        raise ApiError(409, "ALREADY_EXISTS", f"Resource already exists in the project ({request.resource}).")
    subscription = {**copy.deepcopy(request.body), "name": request.resource, "state": "ACTIVE"}
    _check(cloud, subscription)
    cloud.subscriptions[request.resource] = subscription
    return subscription


def _update(cloud: Cloud, request: Request) -> Json:
    changed = updated(
        _get(cloud, request), copy.deepcopy(request.body["subscription"]), request.body["updateMask"]
    )
    _check(cloud, changed)
    cloud.subscriptions[request.resource] = changed
    return changed


def _delete(cloud: Cloud, request: Request) -> Json:
    _get(cloud, request)
    del cloud.subscriptions[request.resource]
    return {}


def _check(cloud: Cloud, subscription: Json) -> None:
    _require_topic(cloud, subscription["topic"])
    if dead_letters := subscription.get("deadLetterPolicy"):
        _require_topic(cloud, dead_letters["deadLetterTopic"])
        if not 5 <= dead_letters.get("maxDeliveryAttempts", 5) <= 100:
            raise ApiError(400, "INVALID_ARGUMENT", "max_delivery_attempts must be 5 to 100.")
    if not 10 <= subscription.get("ackDeadlineSeconds", 10) <= 600:
        raise ApiError(400, "INVALID_ARGUMENT", "ack_deadline_seconds must be 10 to 600.")
    endpoint = subscription.get("pushConfig", {}).get("pushEndpoint", "https://")
    if not re.match(r"https://", endpoint):
        raise ApiError(400, "INVALID_ARGUMENT", f"Invalid push endpoint given (endpoint={endpoint}).")


def _require_topic(cloud: Cloud, name: str) -> None:
    if name not in cloud.topics:
        raise not_found(name.rpartition("/")[2])


_TOPIC = r"projects/[^/]+/topics/[^/:]+"
_SUBSCRIPTION = r"projects/[^/]+/subscriptions/[^/:]+"
_ONE = rf"/v1/(?P<resource>{_SUBSCRIPTION})"

ROUTES = [
    Route("pubsub", "GET", rf"/v1/(?P<resource>{_TOPIC})", "pubsub.topics.get", _get_topic),
    Route("pubsub", "PUT", rf"/v1/(?P<resource>{_TOPIC})", "pubsub.topics.create", _create_topic),
    Route(
        "pubsub",
        "GET",
        rf"/v1/(?P<resource>{_TOPIC})/subscriptions",
        "pubsub.topics.listSubscriptions",
        _readers,
    ),
    Route("pubsub", "GET", _ONE, "pubsub.subscriptions.get", _get),
    Route("pubsub", "PUT", _ONE, "pubsub.subscriptions.create", _create),
    Route("pubsub", "PATCH", _ONE, "pubsub.subscriptions.update", _update),
    Route("pubsub", "DELETE", _ONE, "pubsub.subscriptions.delete", _delete),
    *iam.routes("pubsub", "v1", _TOPIC, "pubsub.topics"),
    *iam.routes("pubsub", "v1", _SUBSCRIPTION, "pubsub.subscriptions"),
]
