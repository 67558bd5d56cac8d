"""The HTTP entry point for events: every form of push in, one status out.

==================================================  ======  ==================================================
when                                                status  then
==================================================  ======  ==================================================
the event is written, dead-lettered or dropped      200     Pub/Sub acknowledges the message
the error passes by itself                          503     Pub/Sub delivers again
configuration or contract is broken                 500     Pub/Sub delivers again
the request is no delivery                          400     the caller is at fault; a line of the log says why
the method is not POST                              405     the same
the body is larger than any delivery                413     the same
==================================================  ======  ==================================================
"""

import time
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import msgspec

from enrichment.core.enricher import Enricher
from enrichment.drivers.push import forms
from enrichment.errors import Disposition, Stage, of_unexpected_error
from enrichment.telemetry import trace
from enrichment.telemetry.log import Ending, Severity

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

MAX_BODY_BYTES = 32 * 1024 * 1024
"""Largest request of HTTP/1 that Cloud Run lets through (https://cloud.google.com/run/quotas). A message of 10 MB takes
13.4 MB in a push."""


class _Refusal(msgspec.Struct, frozen=True):
    status: int
    reason: str
    detail: str


_TOO_LARGE = _Refusal(413, "request_too_large", f"the body has more than {MAX_BODY_BYTES} bytes")


@dataclass(slots=True)
class PushEndpoint:
    """Answers pushes.

    Args:
        enricher: Takes each delivery to its end.
    """

    enricher: Enricher

    async def answer(self, request: "Request") -> "Response":
        """Take the message in a request to its end.

        Args:
            request: The request. Cloud Run's IAM decides who may send one.

        Returns:
            The response, whose status says whether Pub/Sub is to deliver the message again.
        """
        from starlette.responses import PlainTextResponse  # loaded by the framework already

        started_at = time.monotonic()
        if request.method != "POST":
            detail = f"the method is {request.method[:16]}, and a delivery is a POST"
            return self._refuse(_Refusal(405, "method_not_allowed", detail), started_at)
        body = await _body(request)
        if body is None:
            return self._refuse(_TOO_LARGE, started_at)
        try:
            found = forms.read(request.scope["headers"], body, datetime.now(UTC))
        except forms.NoPushError as error:
            detail = f"the request is no delivery of Pub/Sub: {error}"
            return self._refuse(_Refusal(400, "request_invalid", detail), started_at)
        except Exception as error:  # noqa: BLE001 - as in `Enricher`: a defect must leave a line, and lose no event
            found = forms.Push(body, of_unexpected_error(error, Stage.DECODE), {})
        outcome = await self.enricher.handle(found)
        if outcome.disposition in (Disposition.RETRY, Disposition.FAULT):
            return PlainTextResponse(
                f"{outcome.disposition.value}: {outcome.reason}", outcome.disposition.status
            )
        return PlainTextResponse("OK")

    def _refuse(self, refusal: _Refusal, started_at: float) -> "Response":
        from starlette.responses import PlainTextResponse

        self.enricher.count("pushes_refused", reason=refusal.reason)
        ending = Ending("refused", Severity.WARNING, "", refusal.reason, refusal.detail)
        # A fresh trace: what such a request says of itself is not believed.
        self.enricher.log.request(ending, trace.find({}, {}), started_at, refusal.status, None)
        return PlainTextResponse(f"{refusal.reason}: {refusal.detail}", refusal.status)


async def _body(request: "Request") -> bytes | None:
    """Return the body; None where it is too large, of which no more is read then."""
    chunks: list[bytes] = []
    size = 0
    async for chunk in request.stream():
        size += len(chunk)
        if size > MAX_BODY_BYTES:
            return None
        chunks.append(chunk)
    return chunks[0] if len(chunks) == 1 else b"".join(chunks)
