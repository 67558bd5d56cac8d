"""Cloud Functions API v2: functions, the services and triggers that it makes for them, their operations.

https://docs.cloud.google.com/functions/docs/reference/rest/v2/projects.locations.functions
"""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING

from tests.deploy.api.cloud import ApiError, not_found
from tests.deploy.api.routes import Route, updated

if TYPE_CHECKING:
    from tests.deploy.api.cloud import Cloud, Json
    from tests.deploy.api.routes import Request

RUNTIMES = ("python311", "python312", "python313")

# What Eventarc gives the subscription that it makes, whatever the function needs.
# https://docs.cloud.google.com/eventarc/docs/retry-events
_DEFAULT_DELIVERY = {
    "ackDeadlineSeconds": 10,
    "messageRetentionDuration": "86400s",
    "retryPolicy": {"minimumBackoff": "10s", "maximumBackoff": "600s"},
}
_LONGEST_EVENT_TIMEOUT_S = 540


def service_of(function: str) -> str:
    """Return the name of a function's Cloud Run service."""
    return function.replace("/functions/", "/services/")


def url_of(function: str) -> str:
    """Return the address of a function's Cloud Run service."""
    return f"https://{function.rpartition('/')[2]}-4f3kq2vbnq-ew.a.run.app"


def _get(cloud: Cloud, request: Request) -> Json:
    if request.resource not in cloud.functions:
        raise not_found(request.resource)
    return cloud.functions[request.resource]


def _create(cloud: Cloud, request: Request) -> Json:
    name = f"{request.resource}/{request.query['functionId']}"
    if name in cloud.functions:
        raise ApiError(409, "ALREADY_EXISTS", f"Could not create the function: {name} exists.")
    function = {**copy.deepcopy(request.body), "name": name}
    _check(function)
    if error := cloud.build_error:
        cloud.functions[name] = {**function, "environment": "GEN_2", "state": "FAILED"}
        return _operation(cloud, name, error)
    _deploy(cloud, function)
    return _operation(cloud, name)


def _patch(cloud: Cloud, request: Request) -> Json:
    old = _get(cloud, request)
    new = updated(old, copy.deepcopy(request.body), request.query["updateMask"])
    _check(new)
    if error := cloud.build_error:
        return _operation(cloud, request.resource, error)
    _deploy(cloud, new)
    return _operation(cloud, request.resource)


def _delete(cloud: Cloud, request: Request) -> Json:
    _drop_trigger(cloud, _get(cloud, request))
    del cloud.functions[request.resource]
    cloud.policies.pop(service_of(request.resource), None)
    return _operation(cloud, request.resource)


def _check(function: Json) -> None:
    config = function.get("serviceConfig", {})
    if function.get("buildConfig", {}).get("runtime") not in RUNTIMES:
        raise ApiError(400, "INVALID_ARGUMENT", "Runtime is not supported.")
    if function.get("eventTrigger") and config.get("timeoutSeconds", 60) > _LONGEST_EVENT_TIMEOUT_S:
        raise ApiError(400, "INVALID_ARGUMENT", "timeout must be at most 540 s for event-driven functions.")
    if config.get("maxInstanceRequestConcurrency", 1) > 1 and float(config.get("availableCpu") or 1) < 1:
        raise ApiError(400, "INVALID_ARGUMENT", "Total cpu < 1 is not supported with concurrency > 1.")


def _deploy(cloud: Cloud, function: Json) -> None:
    name = function["name"]
    before = cloud.functions.get(name, {})
    config = {
        **function.get("serviceConfig", {}),
        "service": service_of(name),
        "uri": url_of(name),
        "revision": f"{name.rpartition('/')[2]}-{cloud.serial()}",
        "allTrafficOnLatestRevision": True,
    }
    _set_trigger(cloud, before, function)
    cloud.functions[name] = {
        **function,
        "environment": "GEN_2",
        "state": "ACTIVE",
        "serviceConfig": config,
        "url": f"https://europe-west1-{cloud.project}.cloudfunctions.net/{name.rpartition('/')[2]}",
    }


def _set_trigger(cloud: Cloud, before: Json, function: Json) -> None:
    """Make, keep or delete the trigger and its subscription: another topic means another subscription."""
    old, new = before.get("eventTrigger"), function.get("eventTrigger")
    if old and (not new or old["pubsubTopic"] != new["pubsubTopic"]):
        _drop_trigger(cloud, before)
        old = None
    if not new:
        return
    if old and "trigger" in old:  # a function whose build failed has none
        new["trigger"] = old["trigger"]
        return
    parent, _, short = function["name"].partition("/functions/")
    region = parent.rpartition("/")[2]
    trigger = f"{parent}/triggers/{short}-{cloud.serial()}"
    subscription = f"projects/{cloud.project}/subscriptions/eventarc-{region}-{short}-sub-{cloud.serial()}"
    cloud.triggers[trigger] = {
        "name": trigger,
        "serviceAccount": new.get("serviceAccountEmail"),
        "transport": {"pubsub": {"topic": new["pubsubTopic"], "subscription": subscription}},
    }
    cloud.subscriptions[subscription] = {
        "name": subscription,
        "topic": new["pubsubTopic"],
        "pushConfig": {
            "pushEndpoint": f"{url_of(function['name'])}?__GCP_CloudEventsMode=CUSTOM_PUBSUB",
            "oidcToken": {"serviceAccountEmail": new.get("serviceAccountEmail")},
        },
        **_DEFAULT_DELIVERY,
    }
    new["trigger"] = trigger


def _drop_trigger(cloud: Cloud, function: Json) -> None:
    if trigger_name := function.get("eventTrigger", {}).get("trigger"):
        trigger = cloud.triggers.pop(trigger_name)
        del cloud.subscriptions[trigger["transport"]["pubsub"]["subscription"]]


def _operation(cloud: Cloud, target: str, error: str | None = None) -> Json:
    name = f"{target.partition('/functions/')[0]}/operations/operation-{cloud.serial()}"
    metadata = {
        "@type": "type.googleapis.com/google.cloud.functions.v2.OperationMetadata",
        "target": target,
        "stages": [{"name": "BUILD", "state": "COMPLETE"}, {"name": "SERVICE", "state": "COMPLETE"}],
    }
    finished: Json = {"name": name, "done": True, "metadata": metadata}
    if error:
        finished["error"] = {"code": 3, "message": error}
    else:
        finished["response"] = {"name": target}
    cloud.operations[name] = finished
    return {"name": name, "done": False, "metadata": metadata}


def _get_operation(cloud: Cloud, request: Request) -> Json:
    if request.resource not in cloud.operations:
        raise not_found(request.resource)
    return cloud.operations[request.resource]


def _runtimes(cloud: Cloud, request: Request) -> Json:
    del cloud, request
    return {"runtimes": [{"name": name, "environment": "GEN_2", "stage": "GA"} for name in RUNTIMES]}


def _upload_url(cloud: Cloud, request: Request) -> Json:
    name = f"{request.resource.rpartition('/')[2]}-{cloud.serial()}.zip"
    source = {"bucket": f"gcf-v2-uploads-{cloud.number}", "object": name}
    return {"uploadUrl": f"http://storage.googleapis.test/upload/{name}", "storageSource": source}


def _upload(cloud: Cloud, request: Request) -> Json:
    cloud.uploads.append(request.body)
    return {}


_PARENT = r"/v2/(?P<resource>projects/[^/]+/locations/[^/]+)"
_FUNCTION = r"/v2/(?P<resource>projects/[^/]+/locations/[^/]+/functions/[^/:]+)"
_API = "cloudfunctions"

ROUTES = [
    Route(_API, "GET", _FUNCTION, "cloudfunctions.functions.get", _get),
    Route(_API, "POST", r"/v2/(?P<resource>[^:]+/functions)", "cloudfunctions.functions.create", _create),
    Route(_API, "PATCH", _FUNCTION, "cloudfunctions.functions.update", _patch),
    Route(_API, "DELETE", _FUNCTION, "cloudfunctions.functions.delete", _delete),
    Route(_API, "GET", f"{_PARENT}/runtimes", "cloudfunctions.runtimes.list", _runtimes),
    Route(
        _API,
        "POST",
        f"{_PARENT}/functions:generateUploadUrl",
        "cloudfunctions.functions.sourceCodeSet",
        _upload_url,
    ),
    Route(
        _API,
        "GET",
        r"/v2/(?P<resource>projects/[^/]+/locations/[^/]+/operations/[^/]+)",
        "cloudfunctions.operations.get",
        _get_operation,
    ),
    Route("storage", "PUT", "/upload/(?P<resource>.+)", "storage.objects.put", _upload),
]
