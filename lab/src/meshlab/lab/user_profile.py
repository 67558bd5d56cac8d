"""The workload of the demo: profiles by user id, over HTTP, from a file.

`GET /profile/{user_id}` answers 200 with the profile as JSON, or 404 `{"error": "profile_not_found"}` with
the user id asked for. The user id is one path segment, percent-decoded once, so `a%2Fb` is the id `a/b` and
`a%252Fb` is the id `a%2Fb`. Any other path answers 404 `{"error": "not_found"}`.
"""

from __future__ import annotations

import json
import pathlib
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote_to_bytes

from meshlab.cloud import serving

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    Send = Callable[[dict[str, Any]], Awaitable[None]]

_PREFIX = b"/profile/"


class ProfilesError(ValueError):
    """The file of profiles cannot be used; the message says where and why."""


def load_profiles(path: pathlib.Path) -> dict[str, dict[str, Any]]:
    """Read profiles from a JSON file.

    Args:
        path: A file with either an object of profiles keyed by user id, or a list of profiles that each
            have a `user_id`.

    Returns:
        The profiles by user id; each has its `user_id` as first field.

    Raises:
        ProfilesError: The file is missing, is not JSON, or has an entry that is no profile.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ProfilesError(f"Cannot read the profiles in {path}: {error.strerror}.") from error
    except ValueError as error:
        raise ProfilesError(f"Cannot read the profiles in {path}: not JSON in UTF-8 ({error}).") from error
    if isinstance(content, dict):
        entries = [(key, f"the profile {key!r}", profile) for key, profile in content.items()]
    elif isinstance(content, list):
        entries = [(None, f"the profile number {number}", item) for number, item in enumerate(content, 1)]
    else:
        raise ProfilesError(
            f"The profiles in {path} are neither an object by user id nor a list of profiles."
        )
    profiles: dict[str, dict[str, Any]] = {}
    for key, where, profile in entries:
        if not isinstance(profile, dict):
            raise ProfilesError(f"In {path}, {where} is not an object.")
        user_id = profile.get("user_id", key)
        if not isinstance(user_id, str) or not user_id:
            raise ProfilesError(f"In {path}, {where} has no user_id that is a non-empty string.")
        if key is not None and user_id != key:
            raise ProfilesError(f"In {path}, {where} has another user_id: {user_id!r}. Make them equal.")
        if user_id in profiles:
            raise ProfilesError(f"In {path}, {where} repeats the user_id {user_id!r}. Remove one of the two.")
        profiles[user_id] = {"user_id": user_id, **profile}
    return profiles


class UserProfileApp:
    """The service as an ASGI application.

    Args:
        profiles: The profiles by user id.
    """

    def __init__(self, profiles: Mapping[str, Mapping[str, Any]]) -> None:
        self._bodies = {user_id.encode(): _json(profile) for user_id, profile in profiles.items()}

    async def __call__(self, scope: dict[str, Any], receive: object, send: Send) -> None:
        """Answer one request."""
        # The raw path keeps an encoded slash apart from a separator; the decoded one has lost it.
        path: bytes = scope["raw_path"]
        if path == b"/healthz":
            user_id = None
        elif path.startswith(_PREFIX) and len(path) > len(_PREFIX) and b"/" not in path[len(_PREFIX) :]:
            user_id = unquote_to_bytes(path[len(_PREFIX) :])
        else:
            await _reply(send, 404, _json({"error": "not_found"}))
            return
        if scope["method"] != "GET":
            await _reply(send, 405, _json({"error": "method_not_allowed"}), (b"allow", b"GET"))
        elif user_id is None:
            await _reply(send, 200, _json({"status": "ok"}))
        elif user_id in self._bodies:
            await _reply(send, 200, self._bodies[user_id])
        else:
            asked = user_id.decode(errors="replace")
            await _reply(send, 404, _json({"error": "profile_not_found", "user_id": asked}))


def main() -> None:
    """Serve the profiles of a file until a signal ends the process."""
    parser = serving.argument_parser("meshlab.lab.user_profile", "User profiles over HTTP, from a JSON file")
    parser.add_argument("--profiles", type=pathlib.Path, required=True, help="JSON file of profiles")
    arguments = parser.parse_args()
    try:
        profiles = load_profiles(arguments.profiles)
    except ProfilesError as error:
        raise SystemExit(str(error)) from error
    serving.serve(UserProfileApp(profiles), arguments.port)


def _json(value: Mapping[str, Any]) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()


async def _reply(send: Send, status: int, body: bytes, *headers: tuple[bytes, bytes]) -> None:
    length = (b"content-length", str(len(body)).encode())
    await send(
        {
            "type": "http.response.start",
            "status": status,
            "headers": [(b"content-type", b"application/json"), length, *headers],
        }
    )
    await send({"type": "http.response.body", "body": body})


if __name__ == "__main__":
    main()
