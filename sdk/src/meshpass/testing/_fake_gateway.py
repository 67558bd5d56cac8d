"""The mesh as its callers see it: a gateway that verifies, allows, routes, or answers in the service's place."""

import threading
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Unpack

from meshpass.testing._fake_server import Fake, Reply, Request
from meshpass.testing._throwaway_key import ThrowawayKey
from meshpass.testing._verifier import JWKSVerifier

if TYPE_CHECKING:
    from meshpass._async_client import AsyncClient
    from meshpass._call.service import ClientOptions
    from meshpass._client import Client
    from meshpass._token import TokenSource
    from meshpass._tokens.signed_jwt import SignedJWT

# Envoy's words for answers of its own, from its router and its filters.
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
        return self.headers.get("host", "").rpartition("]")[-1].partition(":")[0].lower()


Service = Callable[[MeshRequest], Reply]


class FakeGateway(Fake):
    """A gateway on this machine that answers as the mesh's Envoy does: same order, statuses, words and headers.

    First the token (401, or 403 for its audience), then `allow` (403 `RBAC: access denied`), then the route (an
    empty 404), then the service. It speaks plain HTTP, which meshpass allows on loopback.

    Args:
        host: The virtual host that it routes.
        issuer: The issuer that it trusts.
        audience: The audience that it wants.
        clock: Returns POSIX seconds, for the tokens that it makes and those that it verifies.

    Attributes:
        key: The key that it trusts.
        requests: Every request that came, refused ones included.
        service: What stands behind it; None for a service that has no healthy pod.
        allow: The policy. By default whoever has a good token may do anything.
        has_route: Whether there is a route. By default for every path of `host`.
    """

    def __init__(
        self,
        *,
        host: str = "user-profile.internal",
        issuer: str = "https://issuer.test",
        audience: str = "user-profile",
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.key = ThrowawayKey()
        self.requests: list[Request] = []
        self.service: Service | None = lambda _: Reply.json({})
        self.allow: Callable[[MeshRequest], bool] = lambda request: request.claims is not None
        self.has_route: Callable[[MeshRequest], bool] = lambda request: request.host == host
        self._host, self._issuer, self._audience, self._clock = host, issuer, audience, clock
        self._failures: list[Reply] = []
        self._lock = threading.Lock()
        super().__init__()
        self.trust(self.key.jwks["keys"])

    @property
    def base_url(self) -> str:
        """The virtual origin, for a client's first argument."""
        return f"http://{self._host}"

    def auth(self) -> "SignedJWT":
        """Return a new source of tokens that this gateway accepts."""
        from meshpass._tokens.signed_jwt import SignedJWT

        return SignedJWT(self._issuer, self._audience, self.key, clock=self._clock)

    def client(self, *, auth: "TokenSource | None" = None, **options: "Unpack[ClientOptions]") -> "Client":
        """Return a client that calls through this gateway, and waits for nothing before a retry.

        Args:
            auth: Where its tokens come from; one that this gateway accepts when None.
            options: As for `meshpass.Client`.
        """
        from meshpass._client import Client

        return Client(
            self.base_url, auth=auth or self.auth(), address=self.address, **_without_waits(options)
        )

    def async_client(
        self, *, auth: "TokenSource | None" = None, **options: "Unpack[ClientOptions]"
    ) -> "AsyncClient":
        """Return an async client that calls through this gateway; see `client`."""
        from meshpass._async_client import AsyncClient

        return AsyncClient(
            self.base_url, auth=auth or self.auth(), address=self.address, **_without_waits(options)
        )

    def environ(self, directory: Path | str) -> dict[str, str]:
        """Return the variables that `Client.from_env` reads, to call through this gateway.

        Args:
            directory: Where to write the signing key, such as pytest's `tmp_path`.
        """
        return {
            "GKE_GATEWAY_URL": f"http://{self.address}",
            "GKE_GATEWAY_HOST": self._host,
            "JWT_ISSUER": self._issuer,
            "JWT_AUDIENCE": self._audience,
            "JWT_SCOPE": "test",
            "SIGNING_KEY_FILE": str(self.key.write(Path(directory) / "signing.pem")),
        }

    def trust(self, keys: Iterable[Mapping[str, str]]) -> None:
        """Replace the keys that are trusted, as a change of the RequestAuthentication does: for tests of rotation.

        Args:
            keys: Public keys as JWKs; `ThrowawayKey.jwks["keys"]` has such.

        Raises:
            ValueError: there is none, or one is not EC P-256.
        """
        jwks = {"keys": list(keys)}
        self._verifier = JWKSVerifier(self._issuer, [self._audience], jwks, clock=self._clock)

    def fail(self, times: int = 1, *, status: int = 503, retry_after_s: int | None = None) -> None:
        """Answer the next requests in the service's place, as Envoy would, before anything else is looked at.

        Args:
            times: How many requests.
            status: 408, 429, 502, 503 or 504.
            retry_after_s: Sent as `Retry-After`.

        Raises:
            ValueError: Envoy gives no such answer in a service's place.
        """
        if status not in _WORDS:
            raise ValueError(
                f"Envoy does not answer {status} in a service's place; one of {[*_WORDS]} it does."
            )
        headers = {"retry-after": str(retry_after_s)} if retry_after_s is not None else {}
        reply = _by_envoy(status, _WORDS[status], headers)
        with self._lock:
            self._failures += [reply] * times

    def break_connections(self) -> None:
        """Close every open connection, as a gateway that restarts does."""
        self._server.break_connections()

    def _respond(self, request: Request) -> Reply:
        with self._lock:
            self.requests.append(request)
            if self._failures:
                return self._failures.pop(0)
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
        reply = self.service(seen)
        by_upstream = {"server": "istio-envoy", "x-envoy-upstream-service-time": "1"}
        return Reply(reply.status, reply.body, {**reply.headers, **by_upstream})


def _without_waits(options: "ClientOptions") -> "ClientOptions":
    from meshpass._call.retry import RetryPolicy

    return {"retry": RetryPolicy(backoff_s=0), **options}


def _by_envoy(status: int, words: str, headers: Mapping[str, str] | None = None) -> Reply:
    reply = Reply.text(words, status)
    return Reply(status, reply.body, {**reply.headers, **(headers or {}), "server": "istio-envoy"})
