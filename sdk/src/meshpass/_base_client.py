"""Part of both clients that does no I/O: their arguments, their settings and the state of their calls."""

import copy
import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from meshpass._call.service import ClientOptions, check_keywords, make_service
from meshpass._settings import Settings

if TYPE_CHECKING:
    from typing import Self, Unpack

    import httpx

    from meshpass._call.client_state import ClientState
    from meshpass._token import TokenSource


class BaseClient:
    """The part of a client that does no I/O."""

    # The client's own __init__: that of a subclass may have other parameters.
    _build: Any

    def __init__(
        self,
        base_url: str,
        *,
        auth: "TokenSource",
        address: str | None,
        ca_file: Path | str | None,
        options: ClientOptions,
    ) -> None:
        self._service = make_service(base_url, address, ca_file, options, _auth_problems(auth))
        self._address = address
        self._options = options
        self._auth = auth
        self._state: tuple[int, ClientState] | None = None
        self._closed = False

    @classmethod
    def from_env(cls, environ: Mapping[str, str] | None = None, **options: "Unpack[ClientOptions]") -> "Self":
        """Build a client from `GKE_GATEWAY_*`, `MESH_AUTH`, `JWT_*` and `SIGNING_KEY_*`; see `Settings`.

        Args:
            environ: The variables; the process's own when None.
            options: As for the client itself: `timeout_s=5`, for instance.

        Raises:
            ConfigurationError: variables are missing or wrong; it lists all of them.
        """
        check_keywords(options)
        found = Settings.from_env(environ)
        build: Any = cls
        client: Self = build(
            found.base_url,
            auth=found.token_source(),
            address=found.address,
            ca_file=found.ca_file,
            **options,
        )
        return client

    def for_service(
        self, base_url: str, *, auth: "TokenSource | None" = None, **options: "Unpack[ClientOptions]"
    ) -> "Self":
        """Build a client for another virtual host behind the same gateway.

        It has the same address, CAs and options, and connections, cookies and a retry budget of its own. It is
        closed by itself. What a subclass has added is copied; its `__init__` is not called.

        Args:
            base_url: The other service's virtual origin, and its base path.
            auth: Where its tokens come from; this client's source when None.
            options: What differs from this client's options.

        Raises:
            ConfigurationError: an argument is wrong.
        """
        check_keywords(options)
        merged = self._options.copy()
        merged.update(options)
        twin = copy.copy(self)  # what a subclass has added comes along
        twin._build(  # noqa: SLF001 - it is one of ours
            base_url,
            auth=self._auth if auth is None else auth,
            address=self._address if self._service.pinned else str(self._service.address),
            ca_file=self._service.ca_file,
            **merged,
        )
        return twin

    @property
    def cookies(self) -> "httpx.Cookies":
        """The cookies that this service has set, and that are sent back to it."""
        return self._client_state().cookies.jar

    def _client_state(self) -> "ClientState":
        # A forked child has a state of its own: its parent's locks may be held by threads that it does not have.
        if self._state is None or self._state[0] != os.getpid():
            from meshpass._call.client_state import ClientState

            self._state = (os.getpid(), ClientState(self._service, self._auth))
        return self._state[1]


def _auth_problems(auth: object) -> list[str]:
    methods = ("token", "atoken", "invalidate")
    missing = [name for name in methods if not callable(getattr(auth, name, None))]
    if isinstance(auth, type):
        return [f"auth is the class {auth.__name__}; it must be an object of it."]
    if missing:
        return [
            f"auth is of type {type(auth).__name__} and has no {', '.join(missing)}; it must be a source of tokens."
        ]
    return []
