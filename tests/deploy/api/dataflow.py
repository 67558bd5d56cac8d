"""Dataflow, and what its jobs need around them: a bucket, images, accounts, subnets.

https://docs.cloud.google.com/dataflow/docs/reference/rest
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from tests.deploy.api.cloud import ApiError, not_found
from tests.deploy.api.routes import Route

if TYPE_CHECKING:
    from tests.deploy.api.cloud import Cloud, Json
    from tests.deploy.api.routes import Request

_ACTIVE = ("JOB_STATE_RUNNING", "JOB_STATE_PENDING", "JOB_STATE_DRAINING", "JOB_STATE_CANCELLING")


def _bucket(cloud: Cloud, request: Request) -> Json:
    if request.resource not in cloud.buckets:
        raise not_found(request.resource)
    return cloud.buckets[request.resource]


def _object(cloud: Cloud, request: Request) -> Json:
    bucket, _, name = request.resource.partition("/o/")
    name = unquote(name)
    if name not in cloud.objects.get(bucket, {}):
        raise not_found(name)
    return {"kind": "storage#object", "bucket": bucket, "name": name, "size": "1", "generation": "1"}


def _insert(cloud: Cloud, request: Request) -> Json:
    """Take an upload in several parts: the object's metadata as JSON, then its content."""
    boundary = request.body.partition(b"\n")[0].strip()
    parts = [
        part.partition(b"\n\n")[2] for part in request.body.replace(b"\r\n", b"\n").split(boundary)[1:-1]
    ]
    # The last line end belongs to the boundary.
    name, content = request.query["name"], parts[1].removesuffix(b"\n")
    cloud.objects.setdefault(request.resource, {})[name] = content
    return {"kind": "storage#object", "bucket": request.resource, "name": name, "size": str(len(content))}


def _account(cloud: Cloud, request: Request) -> Json:
    email = request.resource.rpartition("/")[2]
    if email not in cloud.accounts:
        raise not_found(email)
    return {
        "name": request.resource,
        "email": email,
        "uniqueId": cloud.accounts[email],
        "projectId": cloud.project,
    }


def _subnet(cloud: Cloud, request: Request) -> Json:
    if request.resource not in cloud.subnets:
        raise ApiError(404, "notFound", f"The resource '{request.resource}' was not found")
    return {"kind": "compute#subnetwork", **cloud.subnets[request.resource]}


def _tags(cloud: Cloud, request: Request) -> Json:
    found = cloud.images.get(request.resource)
    if found is None:
        raise not_found(request.resource)
    return {
        "tags": [
            {
                "name": f"{request.resource}/tags/{tag}",
                "version": f"{request.resource}/versions/sha256:{tag:0<64}",
            }
            for tag in found
        ]
    }


def _launch(cloud: Cloud, request: Request) -> Json:
    wanted = request.body["launchParameter"]
    name = wanted["jobName"]
    running = [job for job in cloud.jobs.values() if job["name"] == name and job["currentState"] in _ACTIVE]
    if running and not wanted.get("update"):
        raise ApiError(409, "ALREADY_EXISTS", f"There is already an active job named {name}.")
    bucket, _, path = wanted["containerSpecGcsPath"].removeprefix("gs://").partition("/")
    if path not in cloud.objects.get(bucket, {}):
        raise ApiError(
            400, "INVALID_ARGUMENT", f"Unable to open template file: {wanted['containerSpecGcsPath']}."
        )
    _check_parameters(json.loads(cloud.objects[bucket][path]), wanted["parameters"])
    for job in running:
        job["currentState"] = "JOB_STATE_UPDATED"
    environment = wanted["environment"]
    key = f"2026-11-30_00_00_00-{cloud.serial()}"
    cloud.jobs[key] = {
        "id": key,
        "name": name,
        "type": "JOB_TYPE_STREAMING",
        "currentState": "JOB_STATE_RUNNING",
        "createTime": "2026-11-30T00:00:00Z",
        "currentStateTime": "2026-11-30T00:00:01Z",
        "location": request.resource.rpartition("/")[2],
        "labels": environment.get("additionalUserLabels", {}),
        "environment": {
            "serviceAccountEmail": environment.get("serviceAccountEmail"),
            "workerPools": [
                {
                    "ipConfiguration": environment.get("ipConfiguration", "WORKER_IP_PUBLIC"),
                    "subnetwork": environment.get("subnetwork", ""),
                    "machineType": environment.get("machineType", ""),
                    "autoscalingSettings": {"maxNumWorkers": environment.get("maxWorkers", 1)},
                }
            ],
        },
    }
    return {"job": cloud.jobs[key]}


def _check_parameters(specification: Json, parameters: dict[str, str]) -> None:
    """Check parameters as Dataflow does: by the specification's metadata."""
    known: dict[str, dict[str, Any]] = {one["name"]: one for one in specification["metadata"]["parameters"]}
    for name, one in known.items():
        if not one.get("isOptional") and name not in parameters:
            raise ApiError(400, "INVALID_ARGUMENT", f"Missing required parameter: {name}.")
    for name, value in parameters.items():
        if name == "sdk_container_image":
            continue
        if name not in known:
            raise ApiError(400, "INVALID_ARGUMENT", f"Unrecognized parameter: {name}.")
        if not all(re.fullmatch(expression, value) for expression in known[name].get("regexes", ())):
            raise ApiError(400, "INVALID_ARGUMENT", f"Invalid value of the parameter {name}.")


def _list(cloud: Cloud, request: Request) -> Json:
    active = request.query.get("filter") == "ACTIVE"
    return {"jobs": [job for job in cloud.jobs.values() if not active or job["currentState"] in _ACTIVE]}


def _get(cloud: Cloud, request: Request) -> Json:
    key = request.resource.rpartition("/")[2]
    if key not in cloud.jobs:
        raise not_found(key)
    return cloud.jobs[key]


def _update(cloud: Cloud, request: Request) -> Json:
    job = _get(cloud, request)
    wanted = request.body["requestedState"]
    job["currentState"] = {
        "JOB_STATE_DRAINED": "JOB_STATE_DRAINING",
        "JOB_STATE_CANCELLED": "JOB_STATE_CANCELLED",
    }[wanted]
    return job


_PLACE = r"projects/[^/]+/locations/[^/]+"
_JOB = rf"/v1b3/(?P<resource>{_PLACE}/jobs/[^/]+)"

ROUTES = [
    Route("storage", "GET", r"/storage/v1/b/(?P<resource>[^/]+)", "storage.buckets.get", _bucket),
    Route("storage", "GET", r"/storage/v1/b/(?P<resource>[^/]+/o/.+)", "storage.objects.get", _object),
    Route(
        "storage",
        "POST",
        r"(?:/resumable)?/upload/storage/v1/b/(?P<resource>[^/]+)/o",
        "storage.objects.create",
        _insert,
    ),
    Route(
        "iam",
        "GET",
        r"/v1/(?P<resource>projects/[^/]+/serviceAccounts/[^/:]+)",
        "iam.serviceAccounts.get",
        _account,
    ),
    Route(
        "compute",
        "GET",
        r"/compute/v1/(?P<resource>projects/[^/]+/regions/[^/]+/subnetworks/[^/]+)",
        "compute.subnetworks.get",
        _subnet,
    ),
    Route(
        "artifactregistry",
        "GET",
        rf"/v1/(?P<resource>{_PLACE}/repositories/[^/]+/packages/[^/]+)/tags",
        "artifactregistry.tags.list",
        _tags,
    ),
    Route(
        "dataflow",
        "POST",
        rf"/v1b3/(?P<resource>{_PLACE})/flexTemplates:launch",
        "dataflow.jobs.create",
        _launch,
    ),
    Route("dataflow", "GET", rf"/v1b3/(?P<resource>{_PLACE})/jobs", "dataflow.jobs.list", _list),
    Route("dataflow", "GET", _JOB, "dataflow.jobs.get", _get),
    Route("dataflow", "PUT", _JOB, "dataflow.jobs.update", _update),
]
