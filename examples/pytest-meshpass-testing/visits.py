"""Program to test: it notes a visit of a user, and sends a greeting. Three services are behind the mesh."""

from __future__ import annotations

import meshpass

profiles = meshpass.Client.from_env(timeout_s=30)
visits = profiles.for_service("http://visits.internal")
"""Behind the same gateway, with the same token. In a real mesh this is https://."""


def visit(user_id: str, *, tags: tuple[str, ...] = ()) -> str:
    """Note a visit and return the greeting for the user.

    A visit is noted at most once: a POST is not sent again after a failure.
    """
    response = profiles.get("/profile/{user_id}", user_id=user_id)
    if response.status_code == 404:
        return "Welcome, guest"
    name: str = response.raise_for_status().json()["name"]
    visits.post("/visits", params={"tag": tags}, json={"user_id": user_id}).raise_for_status()
    return f"Welcome, {name}"


def greeting(user_id: str) -> str:
    """Return a greeting, also while the mesh is not available."""
    try:
        return visit(user_id)
    except meshpass.MeshError as error:
        return "Welcome back" if error.retryable else f"Please report: {error.code}"


class Reports:
    """Reports of a service that trusts Google's tokens: the identity of the machine, and no key.

    Args:
        client: A client of the service.
    """

    def __init__(self, client: meshpass.AsyncClient) -> None:
        self._client = client

    async def of_day(self, day: str) -> int:
        """Return the number of visits of a day."""
        response = await self._client.get("/reports/{day}", day=day)
        count: int = response.raise_for_status().json()["visits"]
        return count
