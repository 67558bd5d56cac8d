"""Services that answer lookups in the lab: documents by key, over HTTP, from files.

`GET` of a lookup's path answers 200 with the document of the key in that path, or says as the lookup expects that the
key is unknown: for `/profile/{user_id}` 404 and `{"error": "profile_not_found", "user_id": "u-1"}`. A placeholder is
one path segment, percent-decoded once, so `a%2Fb` is the key `a/b` and `a%252Fb` is the key `a%2Fb`. The parts of a
key with several placeholders or query parameters are joined with a slash. Any other path answers 404
`{"error": "not_found"}`.
"""

from __future__ import annotations

import json
import pathlib
import re
from dataclasses import asdict
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, unquote_to_bytes

from meshlab.cloud import serving
from meshlab.lab.pipeline import Lookup

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence

    Send = Callable[[dict[str, Any]], Awaitable[None]]

_PLACEHOLDER = re.compile(rb"\\\{[^{}]*\\\}")


class ProfilesError(ValueError):
    """The file of documents cannot be used; the message says where and why."""


def load_profiles(path: pathlib.Path, echo: str = "user_id") -> dict[str, dict[str, Any]]:
    """Read documents from a JSON file.

    Args:
        path: A file with either an object of documents by key, or a list of documents that each have `echo`.
        echo: The field that repeats the key; empty for none, and then the file is an object.

    Returns:
        The documents by key; each has `echo` as its first field.

    Raises:
        ProfilesError: The file is missing, is not JSON, or has an entry that is no such document.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ProfilesError(f"Cannot read the profiles in {path}: {error.strerror}.") from error
    except (ValueError, RecursionError) as error:
        raise ProfilesError(f"Cannot read the profiles in {path}: not JSON in UTF-8 ({error}).") from error
    if isinstance(content, dict):
        entries = [(key, f"the profile {key!r}", profile) for key, profile in content.items()]
    elif isinstance(content, list) and echo:
        entries = [(None, f"the profile number {number}", item) for number, item in enumerate(content, 1)]
    else:
        raise ProfilesError(
            f"The profiles in {path} are neither an object by {echo or 'key'} nor a list of profiles with it."
        )
    profiles: dict[str, dict[str, Any]] = {}
    for key, where, profile in entries:
        if not isinstance(profile, dict):
            raise ProfilesError(f"In {path}, {where} is not an object.")
        if not echo and key is not None:
            profiles[key] = profile
            continue
        value = profile.get(echo, key)
        name = str(value) if isinstance(value, int) and not isinstance(value, bool) else value
        if not isinstance(name, str) or not name:
            raise ProfilesError(f"In {path}, {where} has no {echo} that is a non-empty string.")
        if key is not None and name != key:
            raise ProfilesError(f"In {path}, {where} has another {echo}: {name!r}. Make them equal.")
        if name in profiles:
            raise ProfilesError(f"In {path}, {where} repeats the {echo} {name!r}. Remove one of the two.")
        profiles[name] = {echo: value, **profile}
    return profiles


class LookupApp:
    """The service of one or more lookups, as an ASGI application.

    Args:
        served: Lookups, and for each the documents by key.
    """

    def __init__(self, served: Sequence[tuple[Lookup, Mapping[str, Mapping[str, Any]]]]) -> None:
        self._served = [_Served(lookup, documents) for lookup, documents in served]

    async def __call__(self, scope: dict[str, Any], receive: object, send: Send) -> None:
        """Answer one request."""
        # The raw path keeps an encoded slash apart from a separator; the decoded one has lost it.
        path: bytes = scope["raw_path"]
        found = None
        for served in self._served:
            key = served.key(path, scope.get("query_string", b""))
            if key is not None:
                found = served.answer(key)
                break
        if path == b"/healthz":
            found = 200, _json({"status": "ok"})
        if found is None:
            await _reply(send, 404, _json({"error": "not_found"}))
        elif scope["method"] != "GET":
            await _reply(send, 405, _json({"error": "method_not_allowed"}), (b"allow", b"GET"))
        else:
            await _reply(send, *found)


class _Served:
    """One lookup with its answers."""

    def __init__(self, lookup: Lookup, documents: Mapping[str, Mapping[str, Any]]) -> None:
        self._lookup = lookup
        self._path = re.compile(_PLACEHOLDER.sub(rb"([^/]+)", re.escape(lookup.path.encode())))
        self._bodies = {
            key.encode(): _json({**self._echoed(key), **document}) for key, document in documents.items()
        }

    def key(self, path: bytes, query: bytes) -> bytes | None:
        """Return the key that a request asks for, None if it is not for this lookup."""
        found = self._path.fullmatch(path)
        if found is None:
            return None
        # As text: of bytes parse_qsl takes ASCII alone. Bytes that are no UTF-8 are kept.
        text = query.decode("ascii", "surrogateescape")
        given = dict(parse_qsl(text, keep_blank_values=True, errors="surrogateescape"))
        if not all(name in given for name in self._lookup.query):
            return None
        parts = [unquote_to_bytes(part) for part in found.groups()]
        values = [given[name].encode(errors="surrogateescape") for name in self._lookup.query]
        return b"/".join([*parts, *values])

    def answer(self, key: bytes) -> tuple[int, bytes]:
        """Return the status and body for a key."""
        if key in self._bodies:
            return 200, self._bodies[key]
        lookup = self._lookup
        said = {lookup.miss_field: lookup.miss_value} if lookup.miss_field else {}
        asked = {lookup.echo: key.decode(errors="replace")} if lookup.echo else {}
        return lookup.miss_status, _json({**said, **asked, **self._echoed(key.decode(errors="replace"))})

    def _echoed(self, key: str) -> dict[str, str]:
        """Return the fields that repeat the parts of a key."""
        parts = key.split("/")
        return {name: parts[number] for name, number in self._lookup.echoes if number < len(parts)}


def arguments_for(lookups: Sequence[tuple[Lookup, pathlib.Path]]) -> list[str]:
    """Return the arguments by which this program serves some lookups from files."""
    return [
        argument
        for lookup, file in lookups
        for argument in ("--lookup", json.dumps({**asdict(lookup), "file": str(file)}))
    ]


def main() -> None:
    """Serve the documents of some files until a signal ends the process."""
    parser = serving.argument_parser(
        "meshlab.lab.lookup_service", "Answers of lookups over HTTP, from JSON files"
    )
    parser.add_argument("--profiles", type=pathlib.Path, help="JSON file of profiles, at /profile/{user_id}")
    parser.add_argument(
        "--lookup",
        action="append",
        default=[],
        metavar="JSON",
        help="a lookup and its file, as the lab writes it",
    )
    arguments = parser.parse_args()
    wanted = [_lookup(text) for text in arguments.lookup]
    if arguments.profiles:  # after the user's own, which may have the same path
        wanted.append((Lookup(), arguments.profiles))
    try:
        served = [(lookup, load_profiles(file, lookup.echo)) for lookup, file in wanted]
    except ProfilesError as error:
        raise SystemExit(str(error)) from error
    serving.serve(LookupApp(served), arguments.port)


def _lookup(text: str) -> tuple[Lookup, pathlib.Path]:
    words = json.loads(text)
    file = pathlib.Path(words.pop("file"))
    echoes = tuple((name, number) for name, number in words["echoes"])
    return Lookup(**{**words, "query": tuple(words["query"]), "echoes": echoes}), file


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
