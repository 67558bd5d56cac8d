"""Cloud Run Admin API: the services behind functions, as Knative describes them, and their policies.

https://docs.cloud.google.com/run/docs/reference/rest/v1/namespaces.services
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.deploy.api import iam
from tests.deploy.api.cloud import not_found
from tests.deploy.api.functions import service_of, url_of
from tests.deploy.api.routes import Route

if TYPE_CHECKING:
    from tests.deploy.api.cloud import Cloud, Json
    from tests.deploy.api.routes import Request


def _get(cloud: Cloud, request: Request) -> Json:
    name = request.resource.rpartition("/")[2]
    for function, state in cloud.functions.items():
        if function.endswith(f"/functions/{name}") and "uri" in state.get("serviceConfig", {}):
            return _service(cloud, name, function)
    raise not_found(request.resource)


def _service(cloud: Cloud, name: str, function: str) -> Json:
    return {
        "apiVersion": "serving.knative.dev/v1",
        "kind": "Service",
        "metadata": {
            "name": name,
            "namespace": cloud.number,
            "annotations": {"run.googleapis.com/ingress": "internal", **cloud.annotations.get(name, {})},
        },
        "spec": {"template": {"spec": {"containers": [{"image": "image"}]}}},
        "status": {
            "url": url_of(function),
            "conditions": [{"type": "Ready", "status": "True"}],
            "latestReadyRevisionName": cloud.functions[function]["serviceConfig"]["revision"],
        },
    }


def _policy(cloud: Cloud, request: Request) -> Json:
    deployed = {
        service_of(name) for name, state in cloud.functions.items() if "uri" in state.get("serviceConfig", {})
    }
    if request.resource not in deployed:
        raise not_found(request.resource)
    return iam.get(cloud, request)


_SERVICE = r"projects/[^/]+/locations/[^/]+/services/[^/:]+"

ROUTES = [
    Route(
        "run",
        "GET",
        r"/apis/serving\.knative\.dev/v1/(?P<resource>namespaces/[^/]+/services/[^/]+)",
        "run.services.get",
        _get,
    ),
    Route("run", "GET", rf"/v1/(?P<resource>{_SERVICE}):getIamPolicy", "run.services.getIamPolicy", _policy),
    *iam.routes("run", "v1", _SERVICE, "run.services"),
]
