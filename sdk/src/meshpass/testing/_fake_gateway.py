"""Fake of the mesh as its callers see it: it verifies, allows, routes, or answers in the service's place."""

import time
from collections.abc import Callable

from meshpass.testing._fake_host import FakeHost, by_service, host_of
from meshpass.testing._fake_server import Fake, Reply, Request
from meshpass.testing._throwaway_key import ThrowawayKey


class FakeGateway(Fake, FakeHost):
    """Gateway on this machine that answers as the mesh's Envoy does: same order, statuses, words and headers.

    First the token (401, or 403 for its audience), then `allow` (403 `RBAC: access denied`), then the route (an
    empty 404), then the service. It speaks plain HTTP, which meshpass allows on loopback.

    `service`, `allow` and `has_route` are functions of the test. They run on the server's threads. What they raise,
    a failed `assert` too, reaches the test: the caller gets a 500, the exception itself is raised at the end of the
    test or of the `with` block, with its own traceback.

    Args:
        host: The virtual host that it routes. `host()` adds others.
        issuer: The issuer that it trusts.
        audience: The audience that it wants.
        clock: Returns POSIX seconds, for the tokens that it makes and those that it verifies.
        strict: Whether to refuse tokens that Envoy accepts against the RFCs; see `JWKSVerifier`.

    Attributes:
        name: The name of its first virtual host.
        key: The key that it trusts.
        requests: Every request that came, for any host, refused ones included.
        errors: What functions of the test raised and no test has seen yet.
        service: The service behind it; None for a service that has no healthy pod.
        allow: The policy. By default every caller with a good token may do anything.
        has_route: Whether there is a route. By default for every path of its first host.
    """

    def __init__(
        self,
        *,
        host: str = "user-profile.internal",
        issuer: str = "https://issuer.test",
        audience: str = "user-profile",
        clock: Callable[[], float] = time.time,
        strict: bool = False,
    ) -> None:
        Fake.__init__(self)
        FakeHost.__init__(
            self,
            host,
            ThrowawayKey(),
            issuer=issuer,
            audience=audience,
            address=lambda: self.address,
            clock=clock,
            strict=strict,
        )

    def host(self, name: str, *, issuer: str | None = None, audience: str | None = None) -> FakeHost:
        """Add another virtual host, with a service, token rules and recorded requests of its own.

        Args:
            name: Its name, such as `orders.internal`.
            issuer: The issuer that it trusts; the gateway's when None. The trusted key is the gateway's: `trust`
                changes it.
            audience: The audience that it wants; the gateway's when None.

        Raises:
            ValueError: The gateway has this host already.
        """
        if name.lower() in (self.name.lower(), *self._hosts):
            raise ValueError(f"The fake gateway has the host {name} already.")
        added = FakeHost(
            name,
            self.key,
            issuer=self.issuer if issuer is None else issuer,
            audience=self.audience if audience is None else audience,
            address=lambda: self.address,
            clock=self._clock,
            strict=self._strict,
        )
        self._hosts[name.lower()] = added
        return added

    def break_connections(self) -> None:
        """Close every open connection, as a gateway that restarts does."""
        self._server.break_connections()

    def reset(self) -> None:
        """Forget what a test has set and what was recorded, other hosts and errors too."""
        super().reset()
        self._hosts: dict[str, FakeHost] = {}
        self.errors: list[BaseException] = []

    def raise_error(self) -> None:
        """Raise the first exception that a function of the test raised; do nothing without one.

        The fixtures and `with` blocks do this at their end.
        """
        with self._lock:
            errors, self.errors = self.errors, []
        if errors:
            if len(errors) > 1:
                errors[0].add_note(
                    f"The test's functions behind the fake gateway raised {len(errors)} times."
                )
            raise errors[0]

    def __exit__(self, *exc_info: object) -> None:
        self.close()
        self.raise_error()

    def _respond(self, request: Request) -> Reply:
        host = self._hosts.get(host_of(request), self)
        failure = self._recorded(request)
        if host is not self:
            failure = host._recorded(request) or failure  # noqa: SLF001
        if failure is not None:
            return failure
        try:
            return host._decide(request)  # noqa: SLF001
        except BaseException as error:  # noqa: BLE001 - `pytest.fail` and `pytest.skip` raise such
            with self._lock:
                self.errors.append(error)
            words = (
                f"A function of the test raised {type(error).__name__}; the test gets the exception itself."
            )
            return by_service(Reply.text(words, 500))
