"""Eventarc's part that another Pub/Sub emulator lacks: it turns plain pushes into CloudEvents.

The lab's own Pub/Sub delivers CloudEvents itself. When `PUBSUB_EMULATOR_HOST` names another server, such as Google's
emulator, that server pushes here, and this hands every push on to the function in binary mode and answers with the
function's own status, so that acks and nacks keep their meaning.

Run it with `python -m meshlab.cloud.eventarc --target URL --topic projects/P/topics/T`.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from meshlab.cloud.serving import argument_parser, serve

if TYPE_CHECKING:
    from starlette.applications import Starlette
    from starlette.requests import Request
    from starlette.responses import Response

_TIMEOUT_S = 600.0  # the longest ack deadline: the pushing side decides when to give up


def cloud_event_headers(envelope: bytes, topic: str) -> dict[str, str]:
    """Return the headers that make a push a CloudEvent (https://cloud.google.com/eventarc/docs/cloudevents).

    Args:
        envelope: The body of the push.
        topic: The topic's full name.

    Raises:
        ValueError: The body is not Pub/Sub's envelope.
    """
    try:
        message = json.loads(envelope)["message"]
        message_id, publish_time = message["messageId"], message["publishTime"]
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(
            "not a push of Pub/Sub: expected a JSON body with a message, its id and its time"
        ) from error
    return {
        "content-type": "application/json",
        "ce-id": str(message_id),
        "ce-source": f"//pubsub.googleapis.com/{topic}",
        "ce-specversion": "1.0",
        "ce-time": str(publish_time),
        "ce-type": "google.cloud.pubsub.topic.v1.messagePublished",
    }


def application(target: str, topic: str) -> Starlette:
    """Return the converter as an ASGI application.

    Args:
        target: URL of the function.
        topic: The topic's full name.
    """
    import aiohttp
    from starlette.applications import Starlette
    from starlette.responses import Response
    from starlette.routing import Route

    async def convert(request: Request) -> Response:
        envelope = await request.body()
        try:
            headers = cloud_event_headers(envelope, topic)
        except ValueError as error:
            return Response(str(error), status_code=400)
        timeout = aiohttp.ClientTimeout(total=_TIMEOUT_S)
        try:
            async with (
                aiohttp.ClientSession(timeout=timeout) as session,
                session.post(target, data=envelope, headers=headers, allow_redirects=False) as answer,
            ):
                return Response(await answer.read(), status_code=answer.status)
        except (aiohttp.ClientError, TimeoutError):
            return Response("the function does not answer", status_code=503)

    return Starlette(routes=[Route("/{path:path}", convert, methods=["POST"])])


def main() -> None:
    """Serve until a signal ends it."""
    parser = argument_parser("meshlab.cloud.eventarc", "Turn Pub/Sub pushes into CloudEvents for a function.")
    parser.add_argument("--target", required=True, help="URL of the function")
    parser.add_argument("--topic", required=True, help="full name of the topic")
    arguments = parser.parse_args()
    serve(application(arguments.target, arguments.topic), arguments.port)


if __name__ == "__main__":
    main()
