"""`GET /lookup/{key}`: the private lookup of the other cloud, asked with this function's AWS identity.

Lambda gives the function AWS credentials. Google's workload identity federation takes them for a service account's ID
token, so no key of Google's is stored in AWS:

- `LOOKUP_URL` is the address of the private function, and the audience of its tokens.
- `GOOGLE_APPLICATION_CREDENTIALS` is the file that `gcloud iam workload-identity-pools create-cred-config --aws
  --service-account=...` writes. It holds no secret.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import unquote_to_bytes

from lambda_bridge.answer import Answer, json_answer

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import meshpass

__all__ = ["Lookup", "lookup_of"]

PREFIX = "/lookup/"
_MAX_KEY_LENGTH = 256
_MARGIN_S = 0.5
"""What is left of Lambda's time to answer in, in seconds."""
# RFC 3986, section 3.3: one segment of a path, in characters as they were sent.
_SEGMENT = re.compile(r"(?:[A-Za-z0-9._~!$&'()*+,;=:@-]|%[0-9A-Fa-f]{2})+")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")


@dataclass(frozen=True)
class Lookup:
    """Asks the private lookup. Safe to keep between invocations.

    Attributes:
        client: The client of the private lookup.
    """

    client: meshpass.Client

    def answer(self, path: str, remaining_s: float) -> Answer:
        """Return the service's answer for the key in a path, or a JSON object that says why not.

        Args:
            path: The path as it was sent, percent-encoded.
            remaining_s: How long Lambda lets the function go on, in seconds.
        """
        from meshpass import MeshError, MeshTimeout

        key = _key(path)
        if key is None:
            return json_answer(400, error="key_invalid", detail="the path is not /lookup/KEY with one KEY")
        time_s = remaining_s - _MARGIN_S
        if time_s <= 0:
            return json_answer(504, error="timeout", reason="deadline")
        try:
            response = self.client.get("/lookup/{key}", key=key, timeout_s=time_s)
        except MeshTimeout as error:
            return json_answer(504, error="timeout", reason=error.code)
        except MeshError as error:
            # Only the code: the words may name what is private in the other cloud.
            if error.retryable:
                return json_answer(503, {"retry-after": ("1",)}, error="unavailable", reason=error.code)
            return json_answer(500, error="fault", reason=error.code)
        if response.status_code in (200, 404) and _is_object(response.content):
            return Answer(response.status_code, response.text, "application/json")
        if response.status_code in (429, 503):
            return json_answer(503, {"retry-after": ("1",)}, error="unavailable", reason="lookup_unavailable")
        return json_answer(500, error="fault", reason=f"lookup_answered_{response.status_code}")


def lookup_of(environ: Mapping[str, str]) -> Callable[[], Lookup] | None:
    """Return what makes the lookup when it is first asked for; `None` where none is configured.

    Args:
        environ: The environment.
    """
    url = environ.get("LOOKUP_URL", "")
    return (lambda: _connect(url)) if url else None


def _connect(url: str) -> Lookup:
    import meshpass

    # The pool of connections and the token outlive an invocation, and Lambda freezes the process in between: meshpass
    # replaces a connection that turns out to be closed, and a token that expired meanwhile.
    return Lookup(meshpass.Client(url, auth=meshpass.GoogleIDToken(url), timeout_s=8, connect_timeout_s=2))


def _key(path: str) -> str | None:
    segment = path.removeprefix(PREFIX)
    if segment == path or not _SEGMENT.fullmatch(segment):
        return None
    try:
        key = unquote_to_bytes(segment).decode()
    except UnicodeDecodeError:
        return None
    if key in (".", "..") or _CONTROL.search(key) or len(key) > _MAX_KEY_LENGTH:
        return None
    return key


def _is_object(body: bytes) -> bool:
    try:
        return isinstance(json.loads(body), dict)
    except ValueError:
        return False
