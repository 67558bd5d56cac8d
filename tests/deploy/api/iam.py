"""IAM policies of Cloud Run services, topics, subscriptions and the project."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING

from tests.deploy.api.cloud import ApiError
from tests.deploy.api.routes import Route

if TYPE_CHECKING:
    from tests.deploy.api.cloud import Cloud, Json
    from tests.deploy.api.routes import Request

_NO_POLICY = "ACAB"


def get(cloud: Cloud, request: Request) -> Json:
    return {"version": 1, "etag": _NO_POLICY, **cloud.policies.get(request.resource, {})}


def put(cloud: Cloud, request: Request) -> Json:
    """Replace the policy, unless another caller changed it since it was read."""
    old = cloud.policies.get(request.resource, {})
    new = request.body["policy"]
    if new.get("etag", _NO_POLICY) != old.get("etag", _NO_POLICY):
        raise ApiError(409, "ABORTED", "There were concurrent policy changes.")
    cloud.policies[request.resource] = {**new, "etag": base64.b64encode(cloud.serial().encode()).decode()}
    return cloud.policies[request.resource]


def routes(api: str, version: str, resource: str, permission: str, read: str = "GET") -> list[Route]:
    """Return both methods for resources of one kind."""
    name = rf"/{version}/(?P<resource>{resource})"
    return [
        Route(api, read, f"{name}:getIamPolicy", f"{permission}.getIamPolicy", get),
        Route(api, "POST", f"{name}:setIamPolicy", f"{permission}.setIamPolicy", put),
    ]
