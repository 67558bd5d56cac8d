"""Profiles from services in the mesh, through the mesh's gateway."""

from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, Any

import meshpass

from enrichment.errors import EnrichmentError, TransientError, of_mesh_error, release_frames
from enrichment.lookup.overload import OverloadError, is_overload
from enrichment.lookup.profile import Profile
from enrichment.lookup.request import LookupKey, as_request
from enrichment.lookup.response import UPSTREAM_HEADER, read_response
from enrichment.settings.lookup_rules import LookupRules
from enrichment.telemetry.trace import Trace

if TYPE_CHECKING:
    import httpx

    from enrichment.lookup.batch_response import BatchResult

# One more try for a connection that broke or a pod that went. The mesh tries again by itself (Istio: twice), and so
# does Pub/Sub: every further attempt here multiplies with theirs.
_ATTEMPTS = 2
_MAX_BATCH_BYTES = 32 * 1024 * 1024
_JSON = "application/json"


class Clients:
    """Makes the clients of all lookups. They share one source of tokens, and so one signing key.

    A client is made at the first lookup, in the process and the loop that use it: functions-framework builds the app
    before its server forks.

    Args:
        closing: Takes what closes each client; None where a process ends with its clients.
    """

    def __init__(self, closing: "list[Callable[[], Awaitable[None]]] | None" = None) -> None:
        self._first: meshpass.AsyncClient | None = None
        self._closing = closing if closing is not None else []

    def make(self, rules: LookupRules) -> "meshpass.AsyncClient":  # in quotes: to name it would load it
        """Make a client with connections of its own.

        Args:
            rules: How a profile is looked up.

        Raises:
            ConfigurationError: Settings are missing or wrong.
        """
        most_bytes = rules.max_answer_bytes
        if rules.batch is not None:
            most_bytes = max(most_bytes, min(most_bytes * rules.batch.max_keys, _MAX_BATCH_BYTES))
        retry = meshpass.RetryPolicy(attempts=_ATTEMPTS)
        if self._first is None:
            from enrichment import large_blocks  # here, because it is not needed at the start

            large_blocks.return_when_freed()  # each of its connections has one
            self._first = meshpass.AsyncClient.from_env(
                max_response_bytes=most_bytes, timeout_s=rules.timeout_s, retry=retry
            )
            self._closing.append(self._first.aclose)
            if not rules.host:
                return self._first
        url = meshpass.Settings.from_env().base_url
        if rules.host:
            url = f"{url.partition('://')[0]}://{rules.host}"
        made = self._first.for_service(
            url, max_response_bytes=most_bytes, timeout_s=rules.timeout_s, retry=retry
        )
        self._closing.append(made.aclose)
        return made


def template_of(rules: LookupRules) -> tuple[str, tuple[str, ...]]:
    """Return the path of a lookup as the SDK takes it, and the names of its placeholders in their order.

    The SDK's placeholders are identifiers. Ours may be a path into the event, such as `{order.user}`.
    """
    names = tuple(f"key{number}" for number in range(len(rules.values)))
    template = rules.path
    for name, ours in zip(rules.values, names, strict=True):
        template = template.replace(f"{{{name}}}", f"{{{ours}}}")
    return template, names


class MeshProfiles:
    """Asks the service of one lookup, and remembers nothing.

    Args:
        rules: What to ask, and what the answers must be like.
        clients: Makes the client.
    """

    def __init__(self, rules: LookupRules, clients: Clients | None = None) -> None:
        self._rules = rules
        self._clients = clients or Clients()
        self._template, self._names = template_of(rules)
        self._client: meshpass.AsyncClient | None = None

    async def fetch(self, key: LookupKey, trace: Trace, deadline: meshpass.Deadline) -> Profile | None:
        """Make one request.

        Args:
            key: What to look up. The SDK encodes each value as one segment of the path or one parameter.
            trace: Sent on as `traceparent`.
            deadline: When to give up, tokens and retries included.

        Returns:
            The profile; None where the service does not know the key.

        Raises:
            BadEventError: `key_invalid`.
            OverloadError: The service, or the mesh before it, has too much to do.
            TransientError: The service or the way to it is unavailable.
            FaultError: The mesh refuses us, or the service broke its contract.
        """
        rules, request = self._rules, as_request(key)
        headers = {"traceparent": trace.traceparent}
        if request.body is not None:
            headers["content-type"] = _JSON
        values: dict[str, Any] = dict(zip(self._names, request.values, strict=True))
        try:
            response = await self._connected().request(
                rules.method,
                self._template,
                params=dict(request.query) if request.query else None,
                headers=headers,
                content=request.body,
                timeout_s=deadline,
                idempotent=rules.idempotent or None,
                **values,
            )
        except meshpass.MeshError as error:
            raise _decided(error) from release_frames(error)
        status = response.status_code
        return read_response(
            status,
            response.content,
            request,
            rules,
            _retry_after_s(response),
            from_service=status == 200 or UPSTREAM_HEADER in response.headers,  # asked of misses alone
        )

    async def fetch_batch(
        self, keys: Sequence[LookupKey], trace: Trace, deadline: meshpass.Deadline
    ) -> "Sequence[BatchResult]":
        """Ask for many keys in one request.

        Args:
            keys: No two of the same text.
            trace: Sent on as `traceparent`.
            deadline: When to give up, tokens and retries included.

        Returns:
            For each its profile, None where the service does not know the key, or what is wrong with this one.

        Raises:
            EnrichmentError: As for `fetch`: the request failed as a whole.
        """
        from enrichment.lookup.batch_response import batch_body, read_batch  # which few pipelines need

        rules, batch = self._rules, self._rules.batch
        if batch is None:
            raise TypeError("the lookup has no batch")
        try:
            response = await self._connected().request(
                "POST",
                self._template,
                headers={"traceparent": trace.traceparent, "content-type": _JSON},
                content=batch_body(keys, batch),
                timeout_s=deadline,
                idempotent=rules.idempotent,
            )
        except meshpass.MeshError as error:
            raise _decided(error) from release_frames(error)
        status = response.status_code
        return read_batch(
            status,
            response.content,
            keys,
            batch,
            rules.max_answer_bytes,
            _retry_after_s(response),
        )

    async def aclose(self) -> None:
        """Close the connections, if there are any; a later lookup opens new ones."""
        client, self._client = self._client, None
        if client is not None:
            await client.aclose()

    def _connected(self) -> "meshpass.AsyncClient":
        if self._client is None:
            self._client = self._clients.make(self._rules)
        return self._client


def _decided(error: meshpass.MeshError) -> EnrichmentError:
    decided = of_mesh_error(error)
    if isinstance(decided, TransientError) and is_overload(error.status):
        return OverloadError(decided.reason, decided.detail, error.retry_after_s)
    return decided


def _retry_after_s(response: "httpx.Response") -> float | None:
    if not is_overload(response.status_code):
        return None
    # Seconds alone, as rate limiters send it: RFC 9110's other form, a date, depends on two clocks.
    value = response.headers.get("retry-after", "")
    return float(value[:9]) if value.isascii() and value.isdigit() else None
