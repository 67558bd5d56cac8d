"""The blocking client."""

import os
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from meshpass._base_client import BaseClient
from meshpass._call.failures import closed
from meshpass._call.request import Call, GetToken, RunHooks, Work, is_callers_own
from meshpass._call.retry import RetryPolicy
from meshpass._call.service import (
    DEADLINE_HEADER,
    DEFAULT_CONNECT_TIMEOUT_S,
    DEFAULT_MAX_RESPONSE_BYTES,
    DEFAULT_TIMEOUT_S,
    ClientOptions,
)
from meshpass._errors import ConfigurationError, MeshError
from meshpass._frames import seal_call
from meshpass._tokens.cache import CachedSource

if TYPE_CHECKING:
    from types import TracebackType

    import httpx

    from meshpass._call.client_state import ClientState
    from meshpass._call.fields import Headers
    from meshpass._call.payload import Content, Files, Form
    from meshpass._call.plan import Outcome
    from meshpass._call.query import Params
    from meshpass._call.request import Attempt
    from meshpass._call.service import ClientCert, EventHooks, Service
    from meshpass._call.url_text import PathValue
    from meshpass._deadline import Deadline
    from meshpass._http.pool import ConnectionPool
    from meshpass._token import Token, TokenSource


class Client(BaseClient):
    """Client of one service in the mesh, through the mesh's gateway.

    Builds nothing until the first call, so it may be created at import, before a server forks its workers.
    Safe for threads. A context manager; `close` does the same. Redirects are not followed and proxy settings of
    the environment are not read.

    Args:
        base_url: The service's virtual origin, such as `https://user-profile.internal`, and the base path that every
            call's path is put behind, if there is one: `https://orders.internal/v2`.
        auth: Where the caller's token comes from; a `SignedJWT`, for instance.
        address: Where to dial: `host` or `host:port`; the origin's own name and port when None.
        ca_file: PEM bundle of the CA that signed the gateway's certificate; the system's CAs when None.
        client_cert: Our own certificate chain, its key, and the key's password where it has one. A path names a file,
            bytes are PEM. Or a function that returns them, which is called for each new connection. Files are read
            again when they change, and so is `ca_file`.
        timeout_s: Limit for one call, in seconds: token, connecting, attempts, waits and the response's last byte.
        connect_timeout_s: Limit for connecting alone, in seconds.
        attempt_timeout_s: Limit for each attempt, in seconds, so that there is time for another.
        retry: How calls are retried; `RetryPolicy()` when None, and `RetryPolicy(attempts=1)` for not at all.
        max_response_bytes: The largest response that is read, before and after decoding.
        deadline_header: Header that says how many milliseconds are left for the response; None sends none.
        headers: Headers of every call; those of a call take their place.
        event_hooks: `{"request": [...], "response": [...]}`: functions that are called with the `httpx.Request`
            before each attempt, without token and cookies, and with each `httpx.Response` of the service. They
            cannot change what is sent. What they raise leaves the call as it is.

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
        client_cert: "ClientCert | None" = None,
        timeout_s: float = DEFAULT_TIMEOUT_S,
        connect_timeout_s: float = DEFAULT_CONNECT_TIMEOUT_S,
        attempt_timeout_s: float | None = None,
        retry: "RetryPolicy | None" = None,
        max_response_bytes: int = DEFAULT_MAX_RESPONSE_BYTES,
        deadline_header: str | None = DEADLINE_HEADER,
        headers: "Headers | None" = None,
        event_hooks: "EventHooks | None" = None,
    ) -> None:
        options = ClientOptions(
            client_cert=client_cert,
            timeout_s=timeout_s,
            connect_timeout_s=connect_timeout_s,
            attempt_timeout_s=attempt_timeout_s,
            retry=RetryPolicy() if retry is None else retry,
            max_response_bytes=max_response_bytes,
            deadline_header=deadline_header,
            headers=headers,
            event_hooks=event_hooks,
        )
        super().__init__(base_url, auth=auth, address=address, ca_file=ca_file, options=options)
        if event_hooks:
            _check_hooks(self._service)
        self._lock = threading.Lock()
        self._opened: ConnectionPool | None = None
        self._pid = os.getpid()

    _build = __init__

    def request(
        self,
        method: str,
        path_template: str,
        /,
        *,
        params: "Params | None" = None,
        headers: "Headers | None" = None,
        json: object = None,
        content: "Content | None" = None,
        data: "Form | None" = None,
        files: "Files | None" = None,
        timeout_s: "float | Deadline | None" = None,
        idempotent: bool | None = None,
        retry: "RetryPolicy | None" = None,
        max_response_bytes: int | None = None,
        path_values: "Mapping[str, PathValue] | None" = None,
        **values: "PathValue",
    ) -> "httpx.Response":
        """Send a request and return the service's own response, whatever its status.

        Args:
            method: The HTTP method, in capitals.
            path_template: The path with placeholders, such as `/profile/{user_id}`; it is put behind the base path.
            params: The query; a sequence makes one pair for each item.
            headers: Further headers; Host and Authorization are the client's own.
            json: A body to send as JSON.
            content: A body to send as it is: text (as UTF-8), bytes, a file, or an iterable of bytes. An iterable is
                sent once: such a call is not tried again after its body has begun.
            data: A body to send as a form.
            files: Files to send with the form (multipart/form-data).
            timeout_s: Limit for this call in seconds, token, retries and waits included, or a `Deadline` that
                several calls share; the client's when None.
            idempotent: Whether it may be sent again when it is not known if it was carried out. When None, as the
                method says: GET, HEAD, OPTIONS, TRACE, PUT and DELETE may.
            retry: How to retry this call; as the client does when None. The budget is the client's.
            max_response_bytes: The largest response that is read, before and after decoding; the client's when None.
            path_values: Values for placeholders that have the name of one of these arguments, such as `{json}`.
            values: A value for each placeholder, encoded into exactly one segment.

        Raises:
            InvalidRequest: the call cannot be sent safely as written; nothing was sent.
            SigningKeyError: there is no token, for want of a key.
            RequestRefused: the mesh answered in the service's place.
            UpstreamUnavailable: no working service, or no connection.
            GatewayTLSError: the gateway is not trusted.
            BadResponse: the response is too large, or cannot be decoded.
            MeshTimeout: the time was used up.
        """
        return self._run(
            Call(
                method,
                path_template,
                values,
                params,
                headers,
                json,
                content,
                timeout_s,
                idempotent,
                retry,
                data,
                files,
                path_values,
                max_response_bytes=max_response_bytes,
            )
        )

    def get(
        self,
        path_template: str,
        /,
        *,
        params: "Params | None" = None,
        headers: "Headers | None" = None,
        timeout_s: "float | Deadline | None" = None,
        retry: "RetryPolicy | None" = None,
        max_response_bytes: int | None = None,
        path_values: "Mapping[str, PathValue] | None" = None,
        **values: "PathValue",
    ) -> "httpx.Response":
        """Send a GET; see `request`."""
        return self._run(
            Call(
                "GET",
                path_template,
                values,
                params,
                headers,
                timeout=timeout_s,
                retry=retry,
                path_values=path_values,
                max_response_bytes=max_response_bytes,
            )
        )

    def head(
        self,
        path_template: str,
        /,
        *,
        params: "Params | None" = None,
        headers: "Headers | None" = None,
        timeout_s: "float | Deadline | None" = None,
        retry: "RetryPolicy | None" = None,
        max_response_bytes: int | None = None,
        path_values: "Mapping[str, PathValue] | None" = None,
        **values: "PathValue",
    ) -> "httpx.Response":
        """Send a HEAD; see `request`."""
        return self._run(
            Call(
                "HEAD",
                path_template,
                values,
                params,
                headers,
                timeout=timeout_s,
                retry=retry,
                path_values=path_values,
                max_response_bytes=max_response_bytes,
            )
        )

    def options(
        self,
        path_template: str,
        /,
        *,
        params: "Params | None" = None,
        headers: "Headers | None" = None,
        timeout_s: "float | Deadline | None" = None,
        retry: "RetryPolicy | None" = None,
        max_response_bytes: int | None = None,
        path_values: "Mapping[str, PathValue] | None" = None,
        **values: "PathValue",
    ) -> "httpx.Response":
        """Send an OPTIONS; see `request`."""
        return self._run(
            Call(
                "OPTIONS",
                path_template,
                values,
                params,
                headers,
                timeout=timeout_s,
                retry=retry,
                path_values=path_values,
                max_response_bytes=max_response_bytes,
            )
        )

    def delete(
        self,
        path_template: str,
        /,
        *,
        params: "Params | None" = None,
        headers: "Headers | None" = None,
        timeout_s: "float | Deadline | None" = None,
        retry: "RetryPolicy | None" = None,
        max_response_bytes: int | None = None,
        path_values: "Mapping[str, PathValue] | None" = None,
        **values: "PathValue",
    ) -> "httpx.Response":
        """Send a DELETE; see `request`."""
        return self._run(
            Call(
                "DELETE",
                path_template,
                values,
                params,
                headers,
                timeout=timeout_s,
                retry=retry,
                path_values=path_values,
                max_response_bytes=max_response_bytes,
            )
        )

    def post(
        self,
        path_template: str,
        /,
        *,
        params: "Params | None" = None,
        headers: "Headers | None" = None,
        json: object = None,
        content: "Content | None" = None,
        data: "Form | None" = None,
        files: "Files | None" = None,
        timeout_s: "float | Deadline | None" = None,
        idempotent: bool | None = None,
        retry: "RetryPolicy | None" = None,
        max_response_bytes: int | None = None,
        path_values: "Mapping[str, PathValue] | None" = None,
        **values: "PathValue",
    ) -> "httpx.Response":
        """Send a POST; see `request`."""
        return self._run(
            Call(
                "POST",
                path_template,
                values,
                params,
                headers,
                json,
                content,
                timeout_s,
                idempotent,
                retry,
                data,
                files,
                path_values,
                max_response_bytes=max_response_bytes,
            )
        )

    def put(
        self,
        path_template: str,
        /,
        *,
        params: "Params | None" = None,
        headers: "Headers | None" = None,
        json: object = None,
        content: "Content | None" = None,
        data: "Form | None" = None,
        files: "Files | None" = None,
        timeout_s: "float | Deadline | None" = None,
        idempotent: bool | None = None,
        retry: "RetryPolicy | None" = None,
        max_response_bytes: int | None = None,
        path_values: "Mapping[str, PathValue] | None" = None,
        **values: "PathValue",
    ) -> "httpx.Response":
        """Send a PUT; see `request`."""
        return self._run(
            Call(
                "PUT",
                path_template,
                values,
                params,
                headers,
                json,
                content,
                timeout_s,
                idempotent,
                retry,
                data,
                files,
                path_values,
                max_response_bytes=max_response_bytes,
            )
        )

    def patch(
        self,
        path_template: str,
        /,
        *,
        params: "Params | None" = None,
        headers: "Headers | None" = None,
        json: object = None,
        content: "Content | None" = None,
        data: "Form | None" = None,
        files: "Files | None" = None,
        timeout_s: "float | Deadline | None" = None,
        idempotent: bool | None = None,
        retry: "RetryPolicy | None" = None,
        max_response_bytes: int | None = None,
        path_values: "Mapping[str, PathValue] | None" = None,
        **values: "PathValue",
    ) -> "httpx.Response":
        """Send a PATCH; see `request`."""
        return self._run(
            Call(
                "PATCH",
                path_template,
                values,
                params,
                headers,
                json,
                content,
                timeout_s,
                idempotent,
                retry,
                data,
                files,
                path_values,
                max_response_bytes=max_response_bytes,
            )
        )

    @contextmanager
    def stream(
        self,
        method: str,
        path_template: str,
        /,
        *,
        params: "Params | None" = None,
        headers: "Headers | None" = None,
        json: object = None,
        content: "Content | None" = None,
        data: "Form | None" = None,
        files: "Files | None" = None,
        timeout_s: "float | Deadline | None" = None,
        idempotent: bool | None = None,
        retry: "RetryPolicy | None" = None,
        max_response_bytes: int | None = None,
        path_values: "Mapping[str, PathValue] | None" = None,
        **values: "PathValue",
    ) -> Iterator["httpx.Response"]:
        """Send a request and give the response while its body still comes in.

        The response has httpx's `iter_bytes`, `iter_raw`, `iter_lines`, `iter_text` and `read`.
        The deadline and `max_response_bytes` hold for its body too: iterating raises a `MeshError` where they end it.
        No call is tried again once its response has begun. A response of 300 and above is read whole, and so is a
        body that comes with its head.

        Example:
            with client.stream("GET", "/export") as response:
                for chunk in response.iter_bytes():
                    ...

        Arguments and errors are those of `request`.
        """
        response = self._run(
            Call(
                method,
                path_template,
                values,
                params,
                headers,
                json,
                content,
                timeout_s,
                idempotent,
                retry,
                data,
                files,
                path_values,
                stream=True,
                max_response_bytes=max_response_bytes,
            )
        )
        try:
            yield response
        finally:
            response.close()

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
        handled = sys.exception()
        try:
            return self._carry_out(call)
        except BaseException as error:
            seal_call(error, handled)
            raise

    def _carry_out(self, call: "Call") -> "httpx.Response":
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
                    elif isinstance(step, RunHooks):
                        _run_hooks(step)
                    else:
                        outcome = self._take(step, pool)
                except (MeshError, TimeoutError) as exc:
                    if is_callers_own(step, exc):
                        raise
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
        try:
            # Only a source that fetches in a way that can be waited for can keep to our time.
            return self._auth.token(left_s) if isinstance(self._auth, CachedSource) else self._auth.token()
        except MeshError:
            raise
        except Exception as exc:
            from meshpass._tokens.raw_errors import source_failed

            raise source_failed(exc) from exc

    def _open(self) -> "tuple[ClientState, ConnectionPool]":
        from meshpass._http.pool import ConnectionPool

        if self._closed:
            raise closed(self._service)
        if self._pid != os.getpid():
            # A forked child must not speak on its parent's connections, nor wait for a lock of its threads.
            self._lock, self._opened, self._pid = threading.Lock(), None, os.getpid()
        opened = self._opened
        if opened is None:
            with self._lock:
                opened = self._opened = self._opened or ConnectionPool(self._service)
        return self._client_state(), opened


def _check_hooks(service: "Service") -> None:
    from inspect import iscoroutinefunction

    if any(iscoroutinefunction(hook) for hooks in service.event_hooks.values() for hook in hooks):
        raise ConfigurationError("event_hooks has an asynchronous function; only an AsyncClient awaits it.")


def _run_hooks(step: RunHooks) -> None:
    try:
        for hook in step.hooks:
            hook(step.argument)
    except BaseException:
        step.close()
        raise
