"""Fake of the metadata server of a Google Cloud machine.

Source: https://cloud.google.com/compute/docs/metadata/overview and, for identity tokens,
https://cloud.google.com/compute/docs/instances/verifying-instance-identity
"""

import threading
import time
from collections.abc import Callable

from meshpass.testing._fake_server import Fake, Reply, Request
from meshpass.testing._throwaway_key import ThrowawayKey

_ROOT = "/computeMetadata/v1/"
_ACCOUNT = "instance/service-accounts/"
_ISSUER = "https://accounts.google.com"
_LIFETIME_S = 3600
# The real server gives the same token until little of its lifetime is left.
_RENEWED_BEFORE_EXPIRY_S = 240


class FakeMetadataServer(Fake):
    """Metadata server that describes one service account, and can fail as the real one does.

    It refuses requests without `Metadata-Flavor: Google` and those that came through a proxy. Its identity tokens
    are signed with ES256 by a key of its own, so that a `JWKSVerifier` can verify them; Google's have RS256.

    Args:
        email: The service account's address. By default not under `gserviceaccount.com`: for such an address
            google-auth asks Google for the account's regional access boundary.
        project: The project's id.
        lifetime_s: How long its tokens are good, in seconds.
        clock: Returns POSIX seconds.

    Attributes:
        key: The key that signs its identity tokens; `issuer` is their `iss`.
        requests: Every request that came.
        impostor: Whether replies lack `Metadata-Flavor: Google`, as those of a captive portal do.
    """

    issuer = _ISSUER

    def __init__(
        self,
        *,
        email: str = "caller@test-project.invalid",
        project: str = "test-project",
        lifetime_s: int = _LIFETIME_S,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.key = ThrowawayKey()
        self.requests: list[Request] = []
        self.impostor = False
        self._email, self._project, self._lifetime_s, self._clock = email, project, lifetime_s, clock
        self._failures: list[Reply] = []
        self._issued: dict[tuple[str, bool], tuple[str, float]] = {}
        self._lock = threading.Lock()
        super().__init__()

    @property
    def environ(self) -> dict[str, str]:
        """The variables that lead Google's clients and meshpass here; google-auth reads them when it is imported."""
        return {"GCE_METADATA_HOST": self.address, "GCE_METADATA_IP": self.address}

    def fail(self, times: int = 1, *, status: int = 503, retry_after_s: int | None = None) -> None:
        """Refuse the next requests: a server that is not ready yet (503), or asked too often (429).

        Args:
            times: How many requests.
            status: The HTTP status.
            retry_after_s: Sent as `Retry-After`.
        """
        reply = Reply.text("Not now.\n", status)
        if retry_after_s is not None:
            reply = Reply(status, reply.body, {**reply.headers, "retry-after": str(retry_after_s)})
        with self._lock:
            self._failures += [reply] * times

    def _respond(self, request: Request) -> Reply:
        with self._lock:
            self.requests.append(request)
            reply = self._failures.pop(0) if self._failures else self._reply(request)
        flavor = {} if self.impostor else {"metadata-flavor": "Google"}
        return Reply(reply.status, reply.body, {**reply.headers, **flavor})

    def _reply(self, request: Request) -> Reply:
        if request.path == "/":
            return Reply.text("computeMetadata/\n")
        if request.headers.get("metadata-flavor", "").lower() != "google":
            return Reply.text("Missing required header: Metadata-Flavor: Google\n", 403)
        if "x-forwarded-for" in request.headers:
            return Reply.text("Requests with an X-Forwarded-For header are refused.\n", 403)
        path = request.path.removeprefix(_ROOT)
        for name in ("default", self._email):
            if path.startswith(f"{_ACCOUNT}{name}/"):
                return self._account(path.removeprefix(f"{_ACCOUNT}{name}/"), request.query)
        texts = {
            "project/project-id": self._project,
            "universe/universe-domain": "googleapis.com",
            _ACCOUNT: f"default/\n{self._email}/\n",
        }
        return Reply.text(texts[path]) if path in texts else Reply.text("Not found.\n", 404)

    def _account(self, item: str, query: dict[str, str]) -> Reply:
        scope = "https://www.googleapis.com/auth/cloud-platform"
        if item == "email":
            return Reply.text(self._email)
        if item == "scopes":
            return Reply.text(f"{scope}\n")
        if item == "" and query.get("recursive", "").lower() == "true":
            return Reply.json({"aliases": ["default"], "email": self._email, "scopes": [scope]})
        if item == "token":
            return Reply.json(
                {
                    "access_token": f"test-access-token-{len(self.requests)}",
                    "expires_in": self._lifetime_s,
                    "token_type": "Bearer",
                }
            )
        if item == "identity":
            audience = query.get("audience")
            if not audience:
                return Reply.text("non-empty audience parameter required\n", 400)
            return Reply.text(self._identity(audience, full=query.get("format") == "full"))
        return Reply.text("Not found.\n", 404)

    def _identity(self, audience: str, *, full: bool) -> str:
        now = self._clock()
        value, renewed_at = self._issued.get((audience, full), ("", now))
        if now >= renewed_at:
            claims: dict[str, object] = {
                "iss": self.issuer,
                "aud": audience,
                "azp": "100000000000000000001",
                "sub": "100000000000000000001",
                "iat": int(now),
                "exp": int(now) + self._lifetime_s,
            }
            if full:
                claims |= {"email": self._email, "email_verified": True}
            value = self.key.sign(claims)
            renewed_at = now + max(self._lifetime_s - _RENEWED_BEFORE_EXPIRY_S, self._lifetime_s / 2)
            self._issued[audience, full] = value, renewed_at
        return value
