"""Entry points."""

import contextlib
import functools
import os
from typing import TYPE_CHECKING

import functions_framework.aio
from enrichment import assembly
from enrichment.drivers.push.endpoint import PushEndpoint
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

if TYPE_CHECKING:
    from enrichment.drivers.http_lookup import HttpLookup


@functions_framework.aio.http
async def enrich(request: Request) -> Response:
    """Turn one Pub/Sub message into enriched rows.

    An HTTP function and none for CloudEvents, because messages come in several forms: from Eventarc as a CloudEvent,
    from a push subscription wrapped or unwrapped. The decorator goes before the signature type that a trigger sets.

    Args:
        request: The delivery; Cloud Run's IAM decides who may send one.

    Returns:
        200 acknowledges the message. 503 and 500 ask for it again: 503 for an error that passes by itself, 500 for one
        in our configuration. 400, 405 and 413 answer what is no delivery.
    """
    reply = await _push_endpoint().answer(request.method, request.scope["headers"], request.receive)
    return PlainTextResponse(reply.text, reply.status, dict(reply.headers))


@functions_framework.aio.http
async def lookup(request: Request) -> Response:
    """Answer `GET /lookup/{key}` with what an event for this key would be joined with.

    Args:
        request: The request; Cloud Run's IAM decides who may send one.

    Returns:
        The profile as JSON, or a JSON object that says why not.
    """
    scope = request.scope
    response = await _http_lookup().answer(
        request.method, scope.get("raw_path"), scope["query_string"], scope["headers"]
    )
    return Response(response.body, response.status, response.headers)


@functools.cache
def _push_endpoint() -> PushEndpoint:
    return PushEndpoint(assembly.enricher(os.environ))


@functools.cache
def _http_lookup() -> "HttpLookup":
    return assembly.http_lookup(os.environ)


# At the start and not at the first request: wrong settings end the process before it is sent anything. The framework
# sets the variable before it imports this, also where the target came as an argument.
if os.environ.get("FUNCTION_TARGET") == "lookup":
    _http_lookup()
else:
    _push_endpoint()

assembly.collect_less_often()

# gunicorn's worker is uvicorn's, with a loop that accepts all waiting connections and a connection that has limits
# (enrichment/drivers/event_loop.py, http_connection.py). functions-framework chooses the worker's class
# and reads no setting of gunicorn's, so they can only be named here: gunicorn makes its worker in this process, after
# this module is loaded. Without gunicorn, as with --debug, uvicorn's own run.
with contextlib.suppress(ImportError):
    from uvicorn_worker import UvicornWorker  # type: ignore[import-untyped]

    UvicornWorker.CONFIG_KWARGS = {
        "loop": "enrichment.drivers.event_loop:EventLoop",
        "http": "enrichment.drivers.http_connection:HttpConnection",
        "proxy_headers": False,  # they would change what a request says of its client, which is not looked at
    }
