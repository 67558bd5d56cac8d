"""Flask service that calls a service in the mesh by `requests`, as code that exists already does."""

from __future__ import annotations

import logging
import os
import re
from typing import TYPE_CHECKING

import meshpass
import requests
from flask import Flask, abort, current_app, render_template_string

if TYPE_CHECKING:
    from flask.typing import ResponseReturnValue

TIMEOUT_S = float(os.environ.get("PROFILE_TIMEOUT_S", "2"))
USER_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")
PAGE = "<!doctype html><title>{{ name }}</title><h1>{{ name }}</h1><p>{{ segment }}</p>"

log = logging.getLogger("profile_page")


def mesh_session() -> tuple[requests.Session, str]:
    """Return a session that reaches the service in the mesh, and the service's origin.

    Everything else that the session is asked for goes the usual way, without a token of the mesh.
    """
    origin = meshpass.Settings.from_env().base_url
    session = requests.Session()
    session.mount(f"{origin}/", meshpass.RequestsAdapter.from_env(timeout_s=TIMEOUT_S))
    return session, origin


def create_app() -> Flask:
    """Make the application. Wrong settings end the start, not the first request."""
    app = Flask(__name__)
    app.extensions["profiles"] = mesh_session()
    app.add_url_rule("/health", view_func=health)
    app.add_url_rule("/users/<user_id>", view_func=user)
    app.register_error_handler(requests.RequestException, call_failed)
    return app


def health() -> ResponseReturnValue:
    """Answer while the process serves. It does not ask the mesh: a restart here does not repair the mesh."""
    return {"status": "ok"}


def user(user_id: str) -> ResponseReturnValue:
    """Show the page of a user."""
    # requests resolves `..` in a URL before it sends it. So only what can be an id gets into one.
    if not USER_ID.fullmatch(user_id):
        abort(404)
    session, origin = current_app.extensions["profiles"]
    response = session.get(f"{origin}/profile/{user_id}")
    if response.status_code == 404:
        abort(404)
    response.raise_for_status()
    profile = response.json()
    return render_template_string(PAGE, name=profile["name"], segment=profile.get("segment", ""))


def call_failed(error: requests.RequestException) -> ResponseReturnValue:
    """Answer for a call that failed. The reason goes to the log: it describes our mesh, not the caller's request."""
    code = error.code if isinstance(error, meshpass.MeshError) else type(error).__name__
    log.error("call_failed code=%s", code)
    if isinstance(error, requests.Timeout):
        return "The profile service did not answer in time.\n", 504
    if isinstance(error, meshpass.MeshError) and error.retryable:
        return "The profile service is not available.\n", 503, {"Retry-After": "1"}
    return "The profile service failed.\n", 502
