"""HTTP service that shows the profile of a user. It asks a service in the mesh for each one."""

import logging
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated

import httpx
import meshpass
from fastapi import Depends, FastAPI, Header, Request
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ValidationError

PROFILE = "/profile/{user_id}"
TIMEOUT_S = float(os.environ.get("PROFILE_TIMEOUT_S", "2"))

log = logging.getLogger("profile_api")


class Profile(BaseModel):
    """What this service shows. Other fields of the mesh's profile, such as the e-mail address, are left out."""

    user_id: str
    name: str
    segment: str | None = None


class UnknownUserError(Exception):
    """The profile service does not know the user."""


class ProfileError(Exception):
    """The profile service sent a response that this service does not expect."""


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    """Open one client for the life of the process. Wrong settings end the start, not the first request."""
    async with meshpass.AsyncClient.from_env(timeout_s=TIMEOUT_S) as mesh:
        app.state.mesh = mesh
        yield


app = FastAPI(title="profile-api", lifespan=lifespan)


def mesh_client(request: Request) -> meshpass.AsyncClient:
    """Return the client of this process."""
    client: meshpass.AsyncClient = request.app.state.mesh
    return client


def deadline(x_request_timeout_ms: Annotated[int | None, Header(ge=1)] = None) -> meshpass.Deadline:
    """Return the end of this request: the caller's own limit where it is shorter than ours."""
    limits_s = [TIMEOUT_S] if x_request_timeout_ms is None else [TIMEOUT_S, x_request_timeout_ms / 1000]
    return meshpass.Deadline.after(min(limits_s))


Mesh = Annotated[meshpass.AsyncClient, Depends(mesh_client)]
Limit = Annotated[meshpass.Deadline, Depends(deadline)]


@app.get("/health")
async def health() -> dict[str, str]:
    """Answer while the process serves. It does not ask the mesh: a restart here does not repair the mesh."""
    return {"status": "ok"}


@app.get("/users/{user_id}", response_model_exclude_none=True)
async def user(user_id: str, mesh: Mesh, limit: Limit) -> Profile:
    """Return the profile of a user."""
    response = await mesh.get(PROFILE, user_id=user_id, timeout_s=limit)
    if response.status_code == 404:
        raise UnknownUserError
    try:
        response.raise_for_status()
        return Profile.model_validate_json(response.content)
    except (httpx.HTTPStatusError, ValidationError) as error:
        # The text of these errors may hold the response.
        raise ProfileError(f"status {response.status_code}, {type(error).__name__}") from None


@app.exception_handler(UnknownUserError)
@app.exception_handler(meshpass.InvalidPathValue)
async def unknown_user(request: Request, error: Exception) -> JSONResponse:
    """Answer 404. A value that cannot be a part of a path is no user's id either."""
    return JSONResponse({"error": "user_not_found"}, 404)


@app.exception_handler(meshpass.MeshError)
async def mesh_error(request: Request, error: meshpass.MeshError) -> JSONResponse:
    """Answer for a call that failed. The reason goes to the log: it describes our mesh, not the caller's request."""
    log.error("mesh_call_failed code=%s status=%s attempts=%s", error.code, error.status, error.attempts)
    if isinstance(error, meshpass.MeshTimeout) or error.code == "upstream_timeout":
        return JSONResponse({"error": "profile_timeout"}, 504)
    if error.retryable:
        wait_s = max(1, round(error.retry_after_s or 1))
        return JSONResponse({"error": "profile_unavailable"}, 503, {"Retry-After": str(wait_s)})
    return JSONResponse({"error": "profile_failed"}, 502)


@app.exception_handler(ProfileError)
async def profile_error(request: Request, error: ProfileError) -> JSONResponse:
    """Answer 502 for a response that this service cannot use."""
    log.error("profile_not_usable %s", error)
    return JSONResponse({"error": "profile_failed"}, 502)
