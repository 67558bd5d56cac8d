"""Profiles from the service in the mesh, through the mesh's gateway."""

from collections.abc import Mapping

import meshpass

from enrichment.errors import EnrichmentError, TransientError, of_mesh_error
from enrichment.lookup.overload import OVERLOAD_STATUSES, OverloadError
from enrichment.lookup.profile import Profile
from enrichment.lookup.response import read_response
from enrichment.settings.model import LookupRules
from enrichment.telemetry.trace import Trace

# One more try for a connection that broke or a pod that went. The mesh tries again by itself (Istio: twice), and so
# does Pub/Sub: every further attempt here multiplies with theirs.
_ATTEMPTS = 2


class MeshProfiles:
    """Asks the service for one profile at a time, and remembers nothing.

    The client is made at the first lookup, in the process and the loop that use it: functions-framework
    builds the app before its server forks.

    Args:
        rules: The path to ask, and what the answers must be like.
    """

    def __init__(self, rules: LookupRules) -> None:
        self._rules = rules
        # The SDK's placeholders are identifiers; ours may be a path into the event, such as `{order.user}`.
        self._template = rules.path.replace(f"{{{rules.placeholder}}}", "{key}")
        self._client: meshpass.AsyncClient | None = None

    async def fetch(self, key: str, trace: Trace, deadline: meshpass.Deadline) -> Profile | None:
        """Asks for one key.

        Args:
            key: What to look up. The SDK encodes it as one segment of the path.
            trace: Sent on as `traceparent`.
            deadline: When to give up, tokens and retries included.

        Returns:
            The profile, which repeats the key; None where the service knows no such key.

        Raises:
            BadEventError: `key_invalid`.
            OverloadError: the service, or the mesh before it, has too much to do.
            TransientError: the service or the way to it is unavailable.
            FaultError: the mesh refuses us, or the service broke its contract.
        """
        try:
            response = await self._connected().get(
                self._template, key=key, headers={"traceparent": trace.traceparent}, timeout_s=deadline
            )
        except meshpass.MeshError as error:
            raise _decided(error) from error
        status = response.status_code
        asked_s = _retry_after_s(response.headers) if status in OVERLOAD_STATUSES else None
        return read_response(status, response.content, key, self._rules, asked_s)

    async def aclose(self) -> None:
        """Closes the connections, if there are any; a later lookup opens new ones."""
        client, self._client = self._client, None
        if client is not None:
            await client.aclose()

    def _connected(self) -> "meshpass.AsyncClient":  # in quotes: to name it would load it
        if self._client is None:
            self._client = meshpass.AsyncClient.from_env(
                max_response_bytes=self._rules.max_answer_bytes,
                timeout_s=self._rules.timeout_s,
                retry=meshpass.RetryPolicy(attempts=_ATTEMPTS),
            )
        return self._client


def _decided(error: meshpass.MeshError) -> EnrichmentError:
    decided = of_mesh_error(error)
    if isinstance(decided, TransientError) and error.status in OVERLOAD_STATUSES:
        return OverloadError(decided.reason, decided.detail, error.retry_after_s)
    return decided


def _retry_after_s(headers: Mapping[str, str]) -> float | None:
    # Seconds alone, as rate limiters send it: RFC 9110's other form, a date, hangs on two machines' clocks.
    value = headers.get("retry-after", "")
    return float(value[:9]) if value.isascii() and value.isdigit() else None
