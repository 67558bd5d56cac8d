"""HTTP requests to one endpoint outside the mesh, by the transport of the asyncio client.

For other parts of this project, which bring their own credentials, retries and reading of responses. The endpoint is
dialled by its own name, and its responses are returned whatever their status.
"""

import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from meshpass._address import Address, parse_origin, plaintext_problem
from meshpass._call.failures import no_time, timed_out
from meshpass._call.request import Attempt, Request
from meshpass._call.service import Service
from meshpass._deadline import Deadline
from meshpass._http.loop_pools import LoopPools
from meshpass._http.time_limit import TimeLimit

if TYPE_CHECKING:
    import ssl

    from meshpass._call.response import RawResponse
    from meshpass._errors import MeshError


class _Direct(Service):
    """A service that is dialled by its own name, with no gateway before it."""

    __slots__ = ()

    @property
    def peer(self) -> str:
        """What sends responses, for messages."""
        return f"the server at {self.where}"

    @property
    def kind(self) -> str:
        """What the peer is, for advice."""
        return "server"

    def setting(self, variable: str) -> str:
        """Return nothing: the variables are those of a gateway."""
        return ""


class Endpoint:
    """One endpoint. Connections are kept, and belong to the event loop that opened them.

    Args:
        url: `scheme://host[:port]`.
        connect_timeout_s: Limit for connecting alone, in seconds.
        max_response_bytes: The largest response.
        context: Makes what says whom to trust, in a thread and once; not called for http://.

    Attributes:
        takes_secrets: Whether a secret may be sent there: by TLS, or to an address of this machine or its own network.

    Raises:
        ValueError: the URL is anything else.
    """

    def __init__(
        self,
        url: str,
        *,
        connect_timeout_s: float,
        max_response_bytes: int,
        context: "Callable[[], ssl.SSLContext]",
    ) -> None:
        origin = parse_origin(url)
        self._service: Service = _Direct(
            origin,
            Address(origin.host, origin.port),
            None,
            connect_timeout_s=connect_timeout_s,
            max_response_bytes=max_response_bytes,
        )
        self._pools = LoopPools(self._service, context)
        self.takes_secrets = plaintext_problem(origin, None) is None

    async def open(self) -> None:
        """Open a connection for the next request. A failure is left for that request to meet again."""
        await (await self._pools.get()).open()

    async def send(
        self,
        method: str,
        target: str,
        headers: Mapping[str, str],
        secrets: Mapping[str, str],
        content: bytes,
        timeout_s: float,
        *,
        fresh: bool = False,
    ) -> "RawResponse | MeshError":
        """Send a request once and read its response.

        Args:
            method: The HTTP method.
            target: Path and query, encoded.
            headers: Headers that may be shown, by their names in lower case; neither Host nor Content-Length.
            secrets: Headers that may not.
            content: The body.
            timeout_s: How long it may take, in seconds.
            fresh: Whether to send it on a new connection.

        Returns:
            The response whatever its status, or why there is none. An error is returned and not raised, so that no
            traceback keeps a frame that holds the secrets.
        """
        if timeout_s <= 0:
            return no_time(self._service)
        deadline = Deadline(time.monotonic() + timeout_s)
        fields = {**headers, "content-length": str(len(content))}
        attempt = Attempt(
            Request(
                method,
                target,
                fields,
                content,
                deadline,
                timeout_s,
                connect_timeout_s=self._service.connect_timeout_s,
                max_response_bytes=self._service.max_response_bytes,
            ),
            fields,
            dict(secrets),
            deadline.at,
            fresh=fresh,
        )
        try:
            with TimeLimit(timeout_s):
                return await (await self._pools.get()).send(attempt)
        except TimeoutError:
            return timed_out(self._service, timeout_s, attempt.phase)

    async def aclose(self) -> None:
        """Close all connections. A later request opens new ones."""
        await self._pools.aclose(for_good=False)
