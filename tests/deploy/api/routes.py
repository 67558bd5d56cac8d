"""Routes: which request needs which permission, and which code answers it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from tests.deploy.api.cloud import Cloud, Json


@dataclass(frozen=True)
class Request:
    """A request as a handler sees it; ``resource`` is the name in its path."""

    method: str
    resource: str
    query: dict[str, str]
    body: Any


class Handler(Protocol):
    def __call__(self, cloud: Cloud, request: Request) -> Json: ...


@dataclass(frozen=True)
class Route:
    """One method of an API.

    Attributes:
        api: the first label of the API's host, without a region.
        method: the HTTP method.
        path: an expression for the path; its group ``resource`` is the resource's name.
        permission: what the caller needs.
        handler: makes the answer.
    """

    api: str
    method: str
    path: str
    permission: str
    handler: Handler

    def match(self, api: str, method: str, path: str) -> str | None:
        """Return the resource's name if the request is for this route."""
        if (api, method) != (self.api, self.method):
            return None
        found = re.fullmatch(self.path, path)
        return found["resource"] if found else None


def updated(old: Json, new: Json, mask: str) -> Json:
    """Return a resource with the fields of an update mask taken from another; a field that it lacks is removed.

    https://google.aip.dev/161: paths are written in snake case or camel case.
    """
    result = dict(old)
    for path in filter(None, mask.split(",")):
        head, _, rest = path.partition(".")
        key = re.sub(r"_([a-z])", lambda match: match[1].upper(), head)
        if rest:
            result[key] = updated(result.get(key) or {}, new.get(key) or {}, rest)
        elif key in new:
            result[key] = new[key]
        else:
            result.pop(key, None)
    return result
