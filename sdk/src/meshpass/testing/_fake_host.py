"""Virtual host behind the fake gateway: its tokens, policy, route, service, and clients that call it."""

import threading
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from inspect import iscoroutine
from pathlib import Path
from typing import TYPE_CHECKING, Unpack

from meshpass.testing._fake_server import Reply, Request
from meshpass.testing._throwaway_key import ThrowawayKey
from meshpass.testing._verifier import JWKSVerifier

if TYPE_CHECKING:
    from meshpass._async_client import AsyncClient
    from meshpass._call.service import ClientOptions
    from meshpass._client import Client
    from meshpass._token import TokenSource
    from meshpass._tokens.signed_jwt import SignedJWT

# Envoy's words for responses of its own, from its router and its filters.
_WORDS = {
    408: "request timeout",
    429: "local_rate_limited",
    502: "upstream connect error or disconnect/reset before headers. reset reason: protocol error",
    503: "upstream connect error or disconnect/reset before headers. reset reason: connection failure",
    504: "upstream request timeout",
}


@dataclass(frozen=True, slots=True)
class MeshRequest(Request):
    """A request that passed the gateway's check of tokens.

    Args:
        claims: The verified token's claims; None without a token.
    """

    claims: Mapping[str, object] | None = None

    @property
    def host(self) -> str:
        """The Host header without its port, in lower case."""
        return host_of(self)


Service = Callable[[MeshRequest], Reply]


class FakeHost:
    """Virtual host of a `FakeGateway`, made by `FakeGateway.host`. The gateway itself is its own first host.

    Attributes:
        name: The virtual host's name, such as `orders.internal`.
        key: The key that signs its callers' tokens.
        requests: The requests that came for this host, refused ones included.
        service: The service behind it; None for a service that has no healthy pod.
        allow: The policy. By default every caller with a good token may do anything.
        has_route: Whether there is a route. By default for every path of this host.
    """

    def __init__(
        self,
        name: str,
        key: ThrowawayKey,
        *,
        issuer: str,
        audience: str,
        address: Callable[[], str],
        clock: Callable[[], float] = time.time,
        strict: bool = False,
    ) -> None:
        self.name = name
        self.key = key
        self.issuer, self.audience = issuer, audience
        self._address, self._clock, self._strict = address, clock, strict
        self._lock = threading.Lock()
        self.reset()

    @property
    def base_url(self) -> str:
        """The virtual origin, for a client's first argument."""
        return f"http://{self.name}"

    def auth(self) -> "SignedJWT":
        """Return a new source of tokens that this host accepts."""
        from meshpass._tokens.signed_jwt import SignedJWT

        return SignedJWT(self.issuer, self.audience, self.key, clock=self._clock)

    def client(self, *, auth: "TokenSource | None" = None, **options: "Unpack[ClientOptions]") -> "Client":
        """Return a client that calls this host through the gateway, and waits for nothing before a retry.

        Args:
            auth: The source of its tokens; one that this host accepts when None.
            options: As for `meshpass.Client`.
        """
        from meshpass._client import Client

        return Client(
            self.base_url, auth=auth or self.auth(), address=self._address(), **_without_waits(options)
        )

    def async_client(
        self, *, auth: "TokenSource | None" = None, **options: "Unpack[ClientOptions]"
    ) -> "AsyncClient":
        """Return an async client that calls this host through the gateway; see `client`."""
        from meshpass._async_client import AsyncClient

        return AsyncClient(
            self.base_url, auth=auth or self.auth(), address=self._address(), **_without_waits(options)
        )

    def environ(self, directory: Path | str) -> dict[str, str]:
        """Return the variables that `Client.from_env` reads, to call this host through the gateway.

        Args:
            directory: Where to write the signing key, such as pytest's `tmp_path`.
        """
        return {
            "GKE_GATEWAY_URL": f"http://{self._address()}",
            "GKE_GATEWAY_HOST": self.name,
            "JWT_ISSUER": self.issuer,
            "JWT_AUDIENCE": self.audience,
            "JWT_SCOPE": "test",
            "SIGNING_KEY_FILE": str(self.key.write(Path(directory) / "signing.pem")),
        }

    def trust(self, keys: Iterable[Mapping[str, object]]) -> None:
        """Replace the keys that are trusted, as a change of the RequestAuthentication does: for tests of rotation.

        Args:
            keys: Public keys as JWKs; `ThrowawayKey.jwks["keys"]` has such.

        Raises:
            ValueError: There is none, or one is not EC, RSA or Ed25519.
        """
        jwks = {"keys": list(keys)}
        self._verifier = JWKSVerifier(
            self.issuer, [self.audience], jwks, clock=self._clock, strict=self._strict
        )

    def fail(self, times: int = 1, *, status: int = 503, retry_after_s: int | None = None) -> None:
        """Answer the next requests in the service's place, as Envoy would, before any check of the token.

        Args:
            times: How many requests.
            status: 408, 429, 502, 503 or 504.
            retry_after_s: Sent as `Retry-After`.

        Raises:
            ValueError: Envoy sends no such status in a service's place.
        """
        if status not in _WORDS:
            raise ValueError(
                f"Envoy does not answer {status} in a service's place; one of {[*_WORDS]} it does."
            )
        headers = {"retry-after": str(retry_after_s)} if retry_after_s is not None else {}
        reply = _by_envoy(status, _WORDS[status], headers)
        with self._lock:
            self._failures += [reply] * times

    def reset(self) -> None:
        """Forget what a test has set and what was recorded: requests, service, policy, route, keys, failures."""
        self.requests: list[Request] = []
        self.service: Service | None = lambda _: Reply.json({})
        self.allow: Callable[[MeshRequest], bool] = lambda request: request.claims is not None
        self.has_route: Callable[[MeshRequest], bool] = lambda request: request.host == self.name.lower()
        self._failures: list[Reply] = []
        self.trust(self.key.jwks["keys"])

    def _recorded(self, request: Request) -> Reply | None:
        """Record a request, and return the failure that was ordered for it, if any."""
        with self._lock:
            self.requests.append(request)
            return self._failures.pop(0) if self._failures else None

    def _decide(self, request: Request) -> Reply:
        """Answer as the mesh does: token, policy, route, service."""
        verdict = self._verifier.verify_header(request.headers.get("authorization"))
        if verdict.status != 200:
            realm = f"http://{request.headers.get('host', '')}{request.target}"
            challenge = {"www-authenticate": f'Bearer realm="{realm}", error="invalid_token"'}
            return _by_envoy(verdict.status, verdict.words, challenge)
        seen = MeshRequest(
            request.method, request.target, request.headers, request.body, claims=verdict.claims
        )
        if not self.allow(seen):
            return _by_envoy(403, "RBAC: access denied")
        if not self.has_route(seen):
            return _by_envoy(404, "")
        if self.service is None:
            return _by_envoy(503, "no healthy upstream")
        return by_service(self.service(seen))


def host_of(request: Request) -> str:
    """Return a request's virtual host: the Host header without its port, in lower case."""
    return request.headers.get("host", "").rpartition("]")[-1].partition(":")[0].lower()


def by_service(reply: object) -> Reply:
    """Return a service's reply with the headers that Envoy adds to what comes from upstream.

    Raises:
        TypeError: It is no `Reply`.
        ValueError: One of its headers cannot be sent.
    """
    if iscoroutine(reply):
        reply.close()
        raise TypeError("`service` is an `async def`; it must be a plain function that returns a Reply.")
    if not isinstance(reply, Reply):
        raise TypeError(
            f"`service` must return a meshpass.testing.Reply; it returned {type(reply).__name__}."
            " Return Reply.json(...) or Reply.text(...)."
        )
    for name, value in reply.headers.items():
        if not f"{name}{value}".isprintable() or not f"{name}{value}".isascii():
            raise ValueError(f"The header {name!r} of the service's reply cannot be sent: {value!r}.")
    by_upstream = {"server": "istio-envoy", "x-envoy-upstream-service-time": "1"}
    return Reply(reply.status, reply.body, {**reply.headers, **by_upstream})


def _without_waits(options: "ClientOptions") -> "ClientOptions":
    from meshpass._call.retry import RetryPolicy

    return {"retry": RetryPolicy(backoff_s=0), **options}


def _by_envoy(status: int, words: str, headers: Mapping[str, str] | None = None) -> Reply:
    reply = Reply.text(words, status)
    return Reply(status, reply.body, {**reply.headers, **(headers or {}), "server": "istio-envoy"})
