"""What both clients are but for their waiting: arguments, settings and the call as its caller writes it."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Generic, TypeVar, Unpack

from meshpass._call.service import ClientOptions, make_service
from meshpass._settings import Settings

if TYPE_CHECKING:
    from typing import Self

    import httpx

    from meshpass._call.client_state import ClientState
    from meshpass._call.request import Call, Params
    from meshpass._call.retry import RetryPolicy
    from meshpass._deadline import Deadline
    from meshpass._token import TokenSource

Result = TypeVar("Result", covariant=True)


class BaseClient(Generic[Result]):
    """The part of a client that does no I/O; `Result` is what a call gives: an answer, or one to await."""

    def __init__(
        self,
        base_url: str,
        *,
        auth: "TokenSource",
        address: str | None = None,
        ca_file: Path | str | None = None,
        **options: Unpack[ClientOptions],
    ) -> None:
        self._service = make_service(base_url, address, ca_file, options)
        self._address = address
        self._options = options
        self._auth = auth
        self._state: tuple[int, ClientState] | None = None
        self._closed = False

    @classmethod
    def from_env(cls, environ: Mapping[str, str] | None = None, **options: Unpack[ClientOptions]) -> "Self":
        """Build a client from `GKE_GATEWAY_*`, `IDENTITY`, `JWT_*` and `SIGNING_KEY_*`; see `Settings`.

        Args:
            environ: The variables; the process's own when None.
            options: As for the client itself: `timeout_s=5`, for instance.

        Raises:
            ConfigurationError: variables are missing or wrong; it lists all of them.
        """
        found = Settings.from_env(environ)
        return cls(
            found.base_url,
            auth=found.token_source(),
            address=found.address,
            ca_file=found.ca_file,
            **options,
        )

    def for_service(
        self, base_url: str, *, auth: "TokenSource | None" = None, **options: Unpack[ClientOptions]
    ) -> "Self":
        """Build a client for another virtual host behind the same gateway.

        It has the same address, CAs and options, and connections, cookies and a retry budget of its own. It is
        closed by itself.

        Args:
            base_url: The other service's virtual origin.
            auth: Where its tokens come from; this client's source when None.
            options: What differs from this client's options.

        Raises:
            ConfigurationError: an argument is wrong.
        """
        merged = self._options.copy()
        merged.update(options)
        return type(self)(
            base_url,
            auth=self._auth if auth is None else auth,
            address=self._address if self._service.pinned else str(self._service.address),
            ca_file=self._service.ca_file,
            **merged,
        )

    @property
    def cookies(self) -> "httpx.Cookies":
        """The cookies that this service has set, and that are sent back to it."""
        return self._client_state().cookies.jar

    def get(
        self,
        path_template: str,
        /,
        *,
        params: "Params | None" = None,
        headers: Mapping[str, str] | None = None,
        timeout_s: "float | Deadline | None" = None,
        retry: "RetryPolicy | None" = None,
        **path_values: str | int,
    ) -> Result:
        """Send a GET; see `request`."""
        return self.request(
            "GET",
            path_template,
            params=params,
            headers=headers,
            json=None,
            content=None,
            timeout_s=timeout_s,
            idempotent=None,
            retry=retry,
            **path_values,
        )

    def request(
        self,
        method: str,
        path_template: str,
        /,
        *,
        params: "Params | None" = None,
        headers: Mapping[str, str] | None = None,
        json: object = None,
        content: bytes | None = None,
        timeout_s: "float | Deadline | None" = None,
        idempotent: bool | None = None,
        retry: "RetryPolicy | None" = None,
        **path_values: str | int,
    ) -> Result:
        """Send a request and return the service's own answer, whatever its status.

        Args:
            method: The HTTP method, in capitals.
            path_template: The path with placeholders, such as `/profile/{user_id}`.
            params: The query; a sequence makes one pair per item.
            headers: Further headers; Host and Authorization are the client's own.
            json: A body to send as JSON.
            content: A body to send as it is.
            timeout_s: Limit for this call in seconds, token, retries and waits included, or a `Deadline` that
                several calls share; the client's when None.
            idempotent: Whether it may be sent again when nobody knows if it was carried out. When None, as the
                method says: GET, HEAD, OPTIONS, TRACE, PUT and DELETE may.
            retry: How to retry this call; as the client does when None. The budget is the client's.
            path_values: A value for each placeholder, encoded into exactly one segment.

        Raises:
            InvalidRequest: the call cannot be sent safely as written; nothing was sent.
            SigningKeyError: there is no token, for want of a key.
            RequestRefused: the mesh answered in the service's place.
            UpstreamUnavailable: no working service, or no connection.
            GatewayTLSError: the gateway is not trusted.
            BadResponse: the answer is too large, or cannot be decoded.
            MeshTimeout: the time was used up.
        """
        from meshpass._call.request import Call

        return self._run(
            Call(
                method,
                path_template,
                path_values,
                params,
                headers,
                json,
                content,
                timeout_s,
                idempotent,
                retry,
            )
        )

    def _run(self, call: "Call") -> Result:
        raise NotImplementedError

    def _client_state(self) -> "ClientState":
        # A forked child has a home of its own: its parent's locks may be held by threads that it does not have.
        if self._state is None or self._state[0] != os.getpid():
            from meshpass._call.client_state import ClientState

            self._state = (os.getpid(), ClientState(self._service, self._auth))
        return self._state[1]
