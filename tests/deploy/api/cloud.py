"""State of the fake project, and the recording of every request that gcloud sends to it."""

from __future__ import annotations

import itertools
import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable

Json = dict[str, Any]

_WRITING_VERBS = ("create", "update", "delete", "setIamPolicy", "detach")


class ApiError(Exception):
    """An error of a Google API.

    Args:
        code: the HTTP status.
        status: the name of the canonical code, such as NOT_FOUND.
        message: the text that gcloud prints.
    """

    def __init__(self, code: int, status: str, message: str) -> None:
        super().__init__(message)
        self.code, self.status, self.message = code, status, message

    def body(self) -> Json:
        """Return the error as Google's APIs write it (https://google.aip.dev/193)."""
        return {"error": {"code": self.code, "status": self.status, "message": self.message}}


def not_found(resource: str) -> ApiError:
    return ApiError(404, "NOT_FOUND", f"Resource not found (resource={resource}).")


@dataclass(frozen=True)
class Call:
    """One request.

    Attributes:
        permission: the permission that it needs, such as ``run.services.setIamPolicy``.
        resource: the resource's name.
        body: the request's JSON body; empty for a read.
        query: the query's parameters.
        code: the status of the answer.
    """

    permission: str
    resource: str
    body: Json
    query: dict[str, str] = field(default_factory=dict)
    code: int = 200

    @property
    def writes(self) -> bool:
        return self.permission.rpartition(".")[2] in _WRITING_VERBS


class Cloud:
    """What exists in one project, who may do what with it, and what it was asked.

    Attributes:
        denied: permissions that the caller lacks.
        failures: for a permission, the errors that its next requests end with, one for each request.
        build_error: the message with which the next builds fail, if any.
        policies: the IAM policy of each resource that has one.
        annotations: annotations of Cloud Run services, by the service's name.
        buckets: buckets by name.
        objects: for a bucket, its objects by name.
        accounts: the unique id of each service account, by its e-mail address.
        subnets: subnets by their full names.
        images: the tags of each image, by the full name of its package in Artifact Registry.
        jobs: Dataflow jobs by their ids.
    """

    def __init__(self, project: str = "acme-mesh", number: str = "123456789012") -> None:
        self.project, self.number = project, number
        self.denied: set[str] = set()
        self.failures: dict[str, list[ApiError]] = {}
        self.build_error: str | None = None
        self.functions: dict[str, Json] = {}
        self.topics: set[str] = set()
        self.subscriptions: dict[str, Json] = {}
        self.triggers: dict[str, Json] = {}
        self.operations: dict[str, Json] = {}
        self.policies: dict[str, Json] = {}
        self.annotations: dict[str, dict[str, str]] = {}
        self.uploads: list[bytes] = []
        self.buckets: dict[str, Json] = {}
        self.objects: dict[str, dict[str, bytes]] = {}
        self.accounts: dict[str, str] = {}
        self.subnets: dict[str, Json] = {}
        self.images: dict[str, list[str]] = {}
        self.jobs: dict[str, Json] = {}
        self.calls: list[Call] = []
        self.unknown: list[str] = []
        self._serials = itertools.count(1)
        self.lock = threading.RLock()

    def serial(self) -> str:
        """Return a number that no other resource has."""
        return f"{next(self._serials):06d}"

    def add_topics(self, *names: str, readers: bool = False) -> None:
        """Make topics, each with a pull subscription if it is to have a reader."""
        for name in names:
            topic = f"projects/{self.project}/topics/{name}"
            self.topics.add(topic)
            if readers:
                subscription = f"projects/{self.project}/subscriptions/{name}"
                self.subscriptions[subscription] = {"name": subscription, "topic": topic}

    def check(self, permission: str, resource: str) -> None:
        """Raise the error that the caller gets for this permission, if there is one."""
        if permission in self.denied:
            message = f"Permission '{permission}' denied on resource '{resource}' (or it may not exist)."
            raise ApiError(403, "PERMISSION_DENIED", message)
        if waiting := self.failures.get(permission):
            raise waiting.pop(0)

    def bind(self, resource: str, role: str, *members: str) -> None:
        """Add members to a role of a resource's policy."""
        policy = self.policies.setdefault(resource, {"bindings": []})
        policy["bindings"].append({"role": role, "members": list(members)})

    def members(self, resource: str, role: str) -> set[str]:
        """Return the members that hold a role on a resource."""
        bindings: Iterable[Json] = self.policies.get(resource, {}).get("bindings", [])
        return {member for binding in bindings if binding["role"] == role for member in binding["members"]}

    def writes(self) -> list[str]:
        """Return the permissions of the requests that changed something, or would have, in order."""
        return [call.permission for call in self.calls if call.writes]

    def call(self, permission: str) -> Call:
        """Return the one request that needed a permission."""
        (found,) = [call for call in self.calls if call.permission == permission]
        return found

    def forget_calls(self) -> None:
        """Begin a new recording."""
        self.calls.clear()
