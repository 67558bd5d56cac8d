"""Resource Manager, Service Usage, Eventarc and Cloud Build, as far as gcloud asks them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.deploy.api import iam
from tests.deploy.api.cloud import not_found
from tests.deploy.api.routes import Route

if TYPE_CHECKING:
    from tests.deploy.api.cloud import Cloud, Json
    from tests.deploy.api.routes import Request


def _get_project(cloud: Cloud, request: Request) -> Json:
    del request
    return {"projectId": cloud.project, "projectNumber": cloud.number, "lifecycleState": "ACTIVE"}


def _get_service(cloud: Cloud, request: Request) -> Json:
    del cloud
    return {"name": request.resource, "state": "ENABLED"}


def _get_trigger(cloud: Cloud, request: Request) -> Json:
    if request.resource not in cloud.triggers:
        raise not_found(request.resource)
    return cloud.triggers[request.resource]


def _default_account(cloud: Cloud, request: Request) -> Json:
    account = f"{cloud.number}-compute@developer.gserviceaccount.com"
    return {
        "name": request.resource,
        "serviceAccountEmail": f"projects/{cloud.project}/serviceAccounts/{account}",
    }


_PROJECT = r"projects/[^/:]+"

ROUTES = [
    Route(
        "cloudresourcemanager",
        "GET",
        rf"/v1/(?P<resource>{_PROJECT})",
        "resourcemanager.projects.get",
        _get_project,
    ),
    *iam.routes("cloudresourcemanager", "v1", _PROJECT, "resourcemanager.projects", read="POST"),
    Route(
        "serviceusage",
        "GET",
        r"/v1/(?P<resource>projects/[^/]+/services/[^/]+)",
        "serviceusage.services.get",
        _get_service,
    ),
    Route(
        "eventarc",
        "GET",
        r"/v1/(?P<resource>projects/[^/]+/locations/[^/]+/triggers/[^/]+)",
        "eventarc.triggers.get",
        _get_trigger,
    ),
    Route(
        "cloudbuild",
        "GET",
        r"/v1/(?P<resource>projects/[^/]+/locations/[^/]+/defaultServiceAccount)",
        "cloudbuild.builds.get",
        _default_account,
    ),
]
