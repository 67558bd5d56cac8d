"""The metadata server on this machine: what `google.auth.default()` finds on Cloud Run.

Point clients at it with `GCE_METADATA_HOST` and `GCE_METADATA_IP`, both `127.0.0.1:PORT`. It reports the project,
describes the default service account, and hands out one access token, random at each start, that is good for
nothing. It makes identity tokens for any audience; a verifier finds their key where Google's own keys
lie on www.googleapis.com, at `/oauth2/v3/certs`.

Source: https://cloud.google.com/run/docs/container-contract#metadata-server
"""

from __future__ import annotations

import contextlib
import json
import secrets
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs

from meshlab.cloud import serving
from meshlab.cloud.identity import IdentityTokens

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator

    Send = Callable[[dict[str, Any]], Awaitable[None]]

DEFAULT_PROJECT = "meshpass-lab"
SCOPES = ("https://www.googleapis.com/auth/cloud-platform",)
TOKEN_LIFETIME_S = 3599

_ROOT = "/computeMetadata/v1/"
_ACCOUNTS = "instance/service-accounts/"
_CERTS = "/oauth2/v3/certs"


def service_account_email(project: str) -> str:
    """Return the address of the project's only service account.

    It is not under `gserviceaccount.com`: for such an address google-auth asks Google, from a thread of its
    own, for the account's regional access boundary, and nothing here may call out.
    """
    return f"function@{project}.meshlab.invalid"


class MetadataApp:
    """The metadata server as an ASGI application.

    Args:
        project: The project to report.
    """

    def __init__(self, project: str) -> None:
        email = service_account_email(project)
        token = {
            "access_token": f"lab.{secrets.token_urlsafe(32)}",
            "expires_in": TOKEN_LIFETIME_S,
            "token_type": "Bearer",
        }
        self._identity = IdentityTokens(email)
        self._identity_paths = {f"{_ACCOUNTS}{name}/identity" for name in ("default", email)}
        account = {"aliases": ["default"], "email": email, "scopes": list(SCOPES)}
        self._texts = {
            "project/project-id": project,
            "universe/universe-domain": "googleapis.com",
            _ACCOUNTS: f"default/\n{email}/\n",
        }
        self._objects: dict[str, object] = {}
        for name in ("default", email):
            path = f"{_ACCOUNTS}{name}/"
            self._texts[path] = "aliases\nemail\nidentity\nscopes\ntoken\n"
            self._texts[f"{path}aliases"] = "default\n"
            self._texts[f"{path}email"] = email
            self._texts[f"{path}scopes"] = "".join(f"{scope}\n" for scope in SCOPES)
            self._objects[f"{path}?recursive"] = account
            self._objects[f"{path}token"] = token

    async def __call__(self, scope: dict[str, Any], receive: object, send: Send) -> None:
        """Answer one request."""
        status, body = self._answer(scope)
        if isinstance(body, str):
            content, kind = body.encode(), b"application/text"
        else:
            content, kind = json.dumps(body).encode(), b"application/json"
        headers = [
            (b"content-type", kind),
            (b"content-length", str(len(content)).encode()),
            (b"metadata-flavor", b"Google"),
        ]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": content})

    def _answer(self, scope: dict[str, Any]) -> tuple[int, object]:
        headers = dict(scope["headers"])
        if scope["method"] != "GET":
            return 405, f"{scope['method']} is not allowed; use GET.\n"
        if scope["path"] == "/":
            return 200, "computeMetadata/\n"
        if scope["path"] == _CERTS:
            return 200, self._identity.jwks
        # Both rules keep a page in a browser, or a proxy that was talked into it, from reading the token.
        if headers.get(b"metadata-flavor", b"").lower() != b"google":
            return 403, "Missing required header: Metadata-Flavor: Google\n"
        if b"x-forwarded-for" in headers:
            return 403, "Requests with an X-Forwarded-For header are refused.\n"
        if not scope["path"].startswith(_ROOT):
            return 404, f"No metadata at {scope['path']}\n"
        path = scope["path"].removeprefix(_ROOT)
        query = parse_qs(scope["query_string"].decode("latin-1"))
        if path in self._identity_paths:
            return self._identity_token(query)
        recursive = query.get("recursive", ["false"])[-1]
        if recursive.lower() == "true":
            path = f"{path.rstrip('/')}/?recursive"
        found = self._objects.get(path, self._texts.get(path))
        return (200, found) if found is not None else (404, f"No metadata at {scope['path']}\n")

    def _identity_token(self, query: dict[str, list[str]]) -> tuple[int, object]:
        audience, form = query.get("audience", [""])[-1], query.get("format", ["standard"])[-1]
        if not audience:
            return 400, "non-empty audience parameter required\n"
        if form not in ("standard", "full"):
            return 400, "format parameter must be standard or full\n"
        return 200, self._identity.token(audience, full=form == "full")


@contextlib.contextmanager
def running(project: str = DEFAULT_PROJECT) -> Iterator[str]:
    """Serve metadata from a thread of this process, for as long as the block runs.

    Args:
        project: The project to report.

    Yields:
        The value for `GCE_METADATA_HOST` and `GCE_METADATA_IP`, as `127.0.0.1:PORT`.
    """
    with serving.serving(MetadataApp(project)) as address:
        yield address


def main() -> None:
    """Run the fake until a signal ends it."""
    parser = serving.argument_parser("meshlab.cloud.metadata", "Metadata server fake")
    parser.add_argument("--project", default=DEFAULT_PROJECT, help=f"project to report; {DEFAULT_PROJECT}")
    arguments = parser.parse_args()
    serving.serve(MetadataApp(arguments.project), arguments.port)


if __name__ == "__main__":
    main()
