"""The blocking client."""

import os
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Unpack

from meshpass._base_client import BaseClient
from meshpass._call.request import GetToken, Work
from meshpass._call.service import ClientOptions
from meshpass._errors import MeshError
from meshpass._tokens.cache import CachedSource

if TYPE_CHECKING:
    from types import TracebackType

    import httpx

    from meshpass._call.client_state import ClientState
    from meshpass._call.plan import Outcome
    from meshpass._call.request import Attempt, Call
    from meshpass._http.pool import ConnectionPool
    from meshpass._token import Token, TokenSource


class Client(BaseClient["httpx.Response"]):
    """Calls one service in the mesh through the mesh's gateway.

    Builds nothing until the first call, so it may be created at import, before a server forks its workers.
    Safe for threads. A context manager; `close` does the same. Redirects are not followed and proxy settings of
    the environment are not read.

    Args:
        base_url: The service's virtual origin, such as `https://user-profile.internal`.
        auth: Where the caller's token comes from; a `SignedJWT`, for instance.
        address: Where to dial: `host` or `host:port`; the origin's own name and port when None.
        ca_file: PEM bundle of the CA that signed the gateway's certificate; the system's CAs when None.
        client_cert: Our own certificate chain, its key, and the key's password where it has one. A path names a file,
            bytes are PEM. Or a function that returns them, which is called for each new connection. Files are read
            again when they change, and so is `ca_file`.
        timeout_s: Limit for one call, in seconds: token, connecting, attempts, waits and the answer's last byte.
        connect_timeout_s: Limit for connecting alone, in seconds.
        attempt_timeout_s: Limit for each attempt, in seconds, so that there is time for another.
        retry: How calls are retried; `RetryPolicy(attempts=1)` for not at all.
        max_response_bytes: The largest answer that is read, before and after decoding.
        deadline_header: Header that tells the service how many milliseconds are left; None sends none.

    Raises:
        ConfigurationError: an argument is wrong, or `http://` would send the token over a public network.
    """

    def __init__(
        self,
        base_url: str,
        *,
        auth: "TokenSource",
        address: str | None = None,
        ca_file: Path | str | None = None,
        **options: Unpack[ClientOptions],
    ) -> None:
        super().__init__(base_url, auth=auth, address=address, ca_file=ca_file, **options)
        self._lock = threading.Lock()
        self._opened: ConnectionPool | None = None
        self._pid = os.getpid()

    def close(self) -> None:
        """Close all connections; the client cannot be used any more."""
        self._closed = True
        opened, self._opened = self._opened, None
        if opened is not None and self._pid == os.getpid():
            opened.close()

    def __enter__(self) -> "Client":
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: "TracebackType | None",
    ) -> None:
        self.close()

    def _run(self, call: "Call") -> "httpx.Response":
        from meshpass._call.plan import plan

        state, pool = self._open()
        steps = plan(state, call)
        try:
            step = next(steps)
            while True:
                outcome, failure = None, None
                try:
                    if isinstance(step, Work):
                        while not step.advance():
                            pass
                    else:
                        outcome = self._take(step, pool)
                except (MeshError, TimeoutError) as exc:
                    failure = exc
                # Out of the `except` block, so that one error does not hang on the other.
                step = steps.send(outcome) if failure is None else steps.throw(failure)
        except StopIteration as done:
            response: httpx.Response = done.value
            return response
        finally:
            steps.close()
            # An error's traceback holds this frame. With the error in it, only the garbage collector would free both.
            outcome = failure = None

    def _take(self, step: "GetToken | Attempt | float", pool: "ConnectionPool") -> "Outcome":
        if isinstance(step, float):
            time.sleep(step)
            return None
        if isinstance(step, GetToken):
            return self._token(step.left_s())
        return pool.send(step)

    def _token(self, left_s: float) -> "Token":
        # Only a source that fetches in a way that can be waited for can keep to our time.
        return self._auth.token(left_s) if isinstance(self._auth, CachedSource) else self._auth.token()

    def _open(self) -> "tuple[ClientState, ConnectionPool]":
        from meshpass._http.pool import ConnectionPool

        if self._closed:
            raise RuntimeError("This meshpass.Client is closed.")
        if self._pid != os.getpid():
            # A forked child must not speak on its parent's connections, nor wait for a lock of its threads.
            self._lock, self._opened, self._pid = threading.Lock(), None, os.getpid()
        opened = self._opened
        if opened is None:
            with self._lock:
                opened = self._opened = self._opened or ConnectionPool(self._service)
        return self._client_state(), opened
