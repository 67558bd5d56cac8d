"""The HTTP entry point for events: every form of push in, one status out. It knows no web framework.

==================================================  ======  ==================================================
when                                                status  then
==================================================  ======  ==================================================
the event is written, dead-lettered or dropped      200     Pub/Sub acknowledges the message
the error passes by itself                          503     Pub/Sub delivers again
configuration or contract is broken                 500     Pub/Sub delivers again
the request is no delivery                          400     the caller is at fault; a line of the log says why
the method is not POST                              405     the same
the caller goes before the body is whole            400     the same, which only the log sees
the body is larger than any delivery                413     the same
==================================================  ======  ==================================================
"""

import time
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, TypeAlias

import msgspec

from enrichment.core.enricher import Enricher
from enrichment.core.received import Received
from enrichment.drivers.push import forms
from enrichment.drivers.push.forms import MAX_BODY_BYTES
from enrichment.errors import Disposition, Stage, of_unexpected_error
from enrichment.telemetry import trace
from enrichment.telemetry.log import Ending, Severity


class Reply(msgspec.Struct, frozen=True):
    """The answer to a request.

    Args:
        status: The HTTP status.
        text: The body, plain text.
        headers: Those beside the length and the type of the body, names in lower case.
    """

    status: int
    text: str
    headers: tuple[tuple[str, str], ...] = ()


class _Refusal(msgspec.Struct, frozen=True):
    status: int
    reason: str
    detail: str
    headers: tuple[tuple[str, str], ...] = ()
    is_push: bool = True


Receive: TypeAlias = Callable[[], Awaitable[Mapping[str, Any]]]
"""Gives the next message of a request: `receive` of ASGI
(https://asgi.readthedocs.io/en/latest/specs/www.html#request-receive-event)."""

ACKNOWLEDGED = Reply(200, "OK")
"""The reply to every message that is acknowledged."""

_ALLOW = (("allow", "POST"),)
"""What a 405 must have (RFC 9110, section 15.5.6)."""

_INCOMPLETE = _Refusal(400, "request_incomplete", "the connection was closed before the body was whole")
_TOO_LARGE = _Refusal(413, "request_too_large", f"the body has more than {MAX_BODY_BYTES} bytes")


@dataclass(slots=True)
class PushEndpoint:
    """Answers pushes.

    Args:
        enricher: Takes each delivery to its end.
    """

    enricher: Enricher

    async def answer(self, method: str, headers: Iterable[tuple[bytes, bytes]], receive: Receive) -> Reply:
        """Take the message in a request to its end.

        Args:
            method: The request's method. Cloud Run's IAM decides who may send one.
            headers: Its headers, names in lower case, as ASGI gives them.
            receive: Gives its body, in pieces.

        Returns:
            The reply, whose status says whether Pub/Sub is to deliver the message again. Where the caller has gone
            before the body was whole, it has no reader.
        """
        started_at = time.monotonic()
        if method != "POST":
            detail = f"the method is {method[:16]}, and a delivery is a POST"
            # Such as a probe's GET.
            refusal = _Refusal(405, "method_not_allowed", detail, _ALLOW, is_push=False)
            return self._refuse(refusal, started_at)
        try:
            whole = await _whole(receive)
        except _DisconnectedError:
            return self._refuse(_INCOMPLETE, started_at)
        if whole is None:
            return self._refuse(_TOO_LARGE, started_at)
        try:
            found = forms.read(headers, whole, datetime.now(UTC))
        except forms.NoPushError as error:
            detail = f"the request is no delivery of Pub/Sub: {error}"
            return self._refuse(_Refusal(400, "request_invalid", detail), started_at)
        except Exception as error:  # noqa: BLE001 - as in `Enricher`: a defect must leave a line, and lose no event
            found = Received(whole, of_unexpected_error(error, Stage.DECODE), {})
        outcome = await self.enricher.handle(found)
        if outcome.disposition in (Disposition.RETRY, Disposition.FAULT):
            return Reply(outcome.disposition.status, f"{outcome.disposition.value}: {outcome.reason}")
        return ACKNOWLEDGED

    def _refuse(self, refusal: _Refusal, started_at: float) -> Reply:
        self.enricher.count("pushes_refused", reason=refusal.reason)
        state = "push-refused" if refusal.is_push else ""
        ending = Ending("refused", Severity.WARNING, "", refusal.reason, refusal.detail, state)
        # A fresh trace: what such a request says of itself is not believed.
        self.enricher.log.request(ending, trace.find({}, {}), started_at, refusal.status, None)
        return Reply(refusal.status, f"{refusal.reason}: {refusal.detail}", refusal.headers)


class _DisconnectedError(Exception):
    """The caller closed the connection before the body was whole."""


async def _whole(receive: Receive) -> bytes | None:
    """Return the body; None where it is too large, of which no more is read then.

    Raises:
        _DisconnectedError: The caller closed the connection before the last piece.
    """
    chunks: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise _DisconnectedError
        chunk: bytes = message.get("body", b"")
        size += len(chunk)
        if size > MAX_BODY_BYTES:
            return None
        if not message.get("more_body"):
            return b"".join([*chunks, chunk]) if chunks else chunk
        if chunk:
            chunks.append(chunk)
