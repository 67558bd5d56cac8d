"""An event's memory is freed when it ends, and not when the garbage collector runs."""

import base64
import json
import socket
import subprocess
import sys
from typing import Any

import pytest

from .conftest import ANSWERS, FUNCTION, Topic

CODE = """
import asyncio, gc, json, sys
import uvloop  # the loop that the function is served in
import functions_framework.aio
app = functions_framework.aio.create_asgi_app("enrich", "main.py")

async def deliver(headers, body):
    statuses = []
    async def receive():
        return {"type": "http.request", "body": body.encode()}
    async def send(said):
        statuses.append(said.get("status"))
    scope = {
        "type": "http", "method": "POST", "path": "/", "raw_path": b"/", "query_string": b"", "root_path": "",
        "headers": [(name.encode(), value.encode()) for name, value in headers],
    }
    await app(scope, receive, send)
    return statuses[0]

async def main():
    for request in REQUESTS.values():  # what is loaded and made once
        await deliver(*request)
    gc.collect()
    gc.disable()
    found = {}
    for name, request in REQUESTS.items():
        status = await deliver(*request)
        for _ in range(5):  # turns of the loop, in which it lets go of tasks and connections that have ended
            await asyncio.sleep(0)
        gc.set_debug(gc.DEBUG_SAVEALL)
        gc.collect()
        found[name] = [status, sorted({type(garbage).__name__ for garbage in gc.garbage})]
        gc.set_debug(0)
        gc.garbage.clear()
        gc.collect()
    print(json.dumps(found), file=sys.stderr)

uvloop.run(main())
"""


def _request(event: dict[str, object]) -> tuple[list[tuple[str, str]], str]:
    message = {
        "data": base64.b64encode(json.dumps(event).encode()).decode(),
        "messageId": "m-1",
        "publishTime": "2026-03-01T12:00:00Z",
    }
    return _HEADERS, json.dumps({"message": message, "subscription": "projects/p/subscriptions/s"})


_HEADERS = [
    ("content-type", "application/json"),
    ("ce-specversion", "1.0"),
    ("ce-id", "1"),
    ("ce-source", "//pubsub"),
    ("ce-type", "google.cloud.pubsub.topic.v1.messagePublished"),
]


_EVENT: dict[str, object] = {"type": "t", "occurred_at": "2026-03-01T11:00:00Z"}


def _left(requests: dict[str, tuple[list[tuple[str, str]], str]], env: dict[str, str]) -> dict[str, Any]:
    """Give each request to a function; return its status and the types of what only the collector would free."""
    run = subprocess.run(
        [sys.executable, "-c", f"REQUESTS = {requests!r}{CODE}"],
        cwd=FUNCTION,
        env=env,
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    found: dict[str, Any] = json.loads(run.stderr)
    return found


# What is left holds the event's bytes, and the collector is called rarely (`main.py`): an outage in which every event
# fails would fill the memory with them.


def test_no_event_is_left_to_the_garbage_collector_however_it_ends(
    environment: dict[str, str], topic: Topic
) -> None:
    requests = {
        user: _request(_EVENT | {"event_id": f"e-garbage-{user}", "user_id": user})
        for user in ("known", *ANSWERS)
    }
    requests["invalid"] = _request({"event_id": "e-garbage-invalid"})
    requests["envelope"] = (_HEADERS, "{")
    requests["refused"] = ([("content-type", "application/cloudevents+json")], "{")
    found = _left(requests, environment)
    topic.dead_letters()  # taken off, for other tests count them
    assert {status for status, _ in found.values()} == {200, 400, 500, 503}
    assert {name: garbage for name, (_, garbage) in found.items() if garbage} == {}


@pytest.mark.parametrize("setting", ["GKE_GATEWAY_URL", "BIGQUERY_EMULATOR_HOST"])
@pytest.mark.parametrize("silent", [True, False], ids=["no answer", "no connection"])
def test_no_event_of_an_outage_is_left_to_the_garbage_collector(
    environment: dict[str, str], setting: str, silent: bool
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:  # which accepts connections and reads nothing
        down = f"http://127.0.0.1:{server.getsockname()[1]}"
        if not silent:
            server.close()
        requests = {"known": _request(_EVENT | {"event_id": "e-garbage-outage", "user_id": f"u-{setting}"})}
        found = _left(requests, environment | {setting: down, "FUNCTION_TIMEOUT_S": "1"})
    assert found == {"known": [503, []]}
