"""Directory of a metadata server: entries by path, listings, the recursive form, and the rules for every request.

Both metadata servers of the lab answer from such a directory. A directory's path ends with a slash; without it the
server redirects. `?recursive=true` gives a directory as one JSON document, in which names are written in camel case
and tokens are left out.

Source: https://cloud.google.com/compute/docs/metadata/querying-metadata
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from http import HTTPStatus
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs

if TYPE_CHECKING:
    from collections.abc import Awaitable, Iterable

    Send = Callable[[dict[str, Any]], Awaitable[None]]

__all__ = ["Directory", "Endpoint", "MetadataTreeApp", "Query", "Reply"]

Query = Mapping[str, str]
"""The last value of each parameter of the query."""

Reply = tuple[int, object]
"""The status, and the body: text, or what JSON can express."""

Endpoint = Callable[[Query], Reply]
"""An entry that is made for each request, such as a token. The recursive form leaves it out."""

Directory = Mapping[str, "str | Sequence[str] | Endpoint | Directory"]
"""Names and their entries: a text, a list of lines, an endpoint or another directory."""

_ROOT = "/computeMetadata/v1/"
_KEBAB = re.compile(r"[a-z]+(?:-[a-z]+)+")


class MetadataTreeApp:
    """A metadata server as an ASGI application.

    Args:
        tree: What is below `/computeMetadata/v1/`.
        public: Documents by their whole path that need no `Metadata-Flavor` header.
    """

    def __init__(self, tree: Directory, public: Mapping[str, Callable[[], object]] | None = None) -> None:
        self._tree = tree
        self._public = public or {}

    async def __call__(self, scope: dict[str, Any], receive: object, send: Send) -> None:
        """Answer one request."""
        status, body = self.answer(scope)
        if isinstance(body, str):
            content, kind = body.encode(), b"application/text"
        else:
            content, kind = json.dumps(body).encode(), b"application/json"
        headers = [
            (b"content-type", kind),
            (b"content-length", str(len(content)).encode()),
            (b"metadata-flavor", b"Google"),
        ]
        if status == HTTPStatus.MOVED_PERMANENTLY:
            headers.append((b"location", f"{scope['path']}/".encode()))
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": content})

    def answer(self, scope: dict[str, Any]) -> Reply:
        """Return the reply to the request of an ASGI scope."""
        headers = dict(scope["headers"])
        path: str = scope["path"]
        if scope["method"] != "GET":
            return 405, f"{scope['method']} is not allowed; use GET.\n"
        if path == "/":
            return 200, "computeMetadata/\n"
        if path in self._public:
            return 200, self._public[path]()
        # Both rules keep a page in a browser, or a proxy that was talked into it, from reading the token.
        if headers.get(b"metadata-flavor", b"").lower() != b"google":
            return 403, "Missing required header: Metadata-Flavor: Google\n"
        if b"x-forwarded-for" in headers:
            return 403, "Requests with an X-Forwarded-For header are refused.\n"
        query = {
            name: values[-1] for name, values in parse_qs(scope["query_string"].decode("latin-1")).items()
        }
        found = self._entry(path)
        if found is None:
            return 404, f"No metadata at {path}\n"
        if isinstance(found, Mapping):
            return _directory(found, path, query)
        if callable(found):
            return found(query)
        return 200, found if isinstance(found, str) else _lines(found)

    def _entry(self, path: str) -> str | Sequence[str] | Endpoint | Directory | None:
        if not path.startswith(_ROOT):
            return None
        found: Any = self._tree
        for name in path.removeprefix(_ROOT).removesuffix("/").split("/") if path != _ROOT else ():
            if not isinstance(found, Mapping) or name not in found:
                return None
            found = found[name]
        if path.endswith("/") and not isinstance(found, Mapping):
            return None
        return found  # type: ignore[no-any-return]


def _directory(found: Directory, path: str, query: Query) -> Reply:
    if not path.endswith("/"):
        return HTTPStatus.MOVED_PERMANENTLY, f"{path}/\n"
    if query.get("recursive", "").lower() == "true":
        return 200, _recursive(found)
    return 200, _lines(f"{name}/" if isinstance(entry, Mapping) else name for name, entry in found.items())


def _recursive(found: Directory) -> dict[str, object]:
    return {
        _json_name(name): _recursive(entry) if isinstance(entry, Mapping) else entry
        for name, entry in found.items()
        if not callable(entry)
    }


def _json_name(name: str) -> str:
    """Return a name in camel case; the address of an account stays as it is."""
    if not _KEBAB.fullmatch(name):
        return name
    first, *rest = name.split("-")
    return first + "".join(word.title() for word in rest)


def _lines(lines: Iterable[str]) -> str:
    return "".join(f"{line}\n" for line in lines)
