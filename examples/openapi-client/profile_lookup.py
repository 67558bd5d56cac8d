"""Command that looks users up by a generated client, whose requests go through the mesh."""

from __future__ import annotations

import os
import sys

import meshpass
from user_profile_client import Client
from user_profile_client.api.profiles import get_profile
from user_profile_client.models import Profile

TIMEOUT_S = float(os.environ.get("PROFILE_TIMEOUT_S", "5"))


def generated_client(origin: str, transport: meshpass.Transport) -> Client:
    """Return the generated client over the transport of the mesh.

    It is `Client` and not `AuthenticatedClient`: the transport puts the token on each request. Its own time limit is
    off, because that of the transport is for the whole call.
    """
    return Client(
        base_url=origin,
        timeout=None,
        raise_on_unexpected_status=True,
        httpx_args={"transport": transport},
    )


def lookup(client: Client, user_id: str) -> str:
    """Return one line about a user."""
    found = get_profile.sync(user_id, client=client)
    if isinstance(found, Profile):
        return f"{user_id}: {found.name}, {found.segment or 'no segment'}"
    return f"{user_id}: unknown"


def main(users: list[str]) -> int:
    """Print a line for each user, and return the exit code."""
    try:
        origin = meshpass.Settings.from_env().base_url
        with generated_client(origin, meshpass.Transport.from_env(timeout_s=TIMEOUT_S)) as client:
            for user_id in users:
                print(lookup(client, user_id))
    except meshpass.MeshError as error:
        print(f"{error.code}: {error.hint}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
