"""One host of one team as policy tests ask for it, and who must refuse what."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from meshgen.egress.clients import client_of
from meshgen.egress.paths import matches, sample

if TYPE_CHECKING:
    from meshgen.egress.gateway import Gateway
    from meshgen.egress.teams import Access, Team

__all__ = ["NO_POLICY", "UNKNOWN_HOST", "Case", "Probe", "Request", "case"]

Case = dict[str, Any]
Request = str | dict[str, Any]

NO_POLICY = "none"
UNKNOWN_HOST = "near-miss.example"


def case(name: str, request: Request, expect: Case, sender: str | Case | None = None) -> Case:
    """Return a case.

    Args:
        name: Its name.
        request: What is sent.
        expect: What must happen.
        sender: Who sends it; the file's default when `None`.
    """
    who: Case = {} if sender is None else {"from": sender}
    return {"name": name, **who, "request": request, "expect": expect}


@dataclass(frozen=True)
class Probe:
    """Requests of one team to one host.

    Attributes:
        gateway: The gateway.
        team: The team.
        access: The host.
    """

    gateway: Gateway
    team: Team
    access: Access

    @property
    def host(self) -> str:
        """The host."""
        return self.access.host

    @property
    def client(self) -> str:
        """The workload that sends."""
        return client_of(self.team)

    @property
    def originated(self) -> bool:
        """Whether the gateway originates TLS for it."""
        return self.access.tls == "originate"

    @property
    def allowed(self) -> tuple[str, str]:
        """A method and a path that are allowed."""
        first = self.access.requests[0]
        return first.methods[0], sample(first.paths[0])

    @property
    def request(self) -> Request:
        """A request that is allowed, as an application sends it."""
        if self.originated:
            method, path = self.allowed
            return self.http(method, path)
        return {"tls": f"{self.host}:{self.access.port}"}

    @property
    def answered(self) -> Case:
        """The ending of a request that is allowed."""
        return {**({"status": 200} if self.originated else {"answered": True}), "app": self.host}

    @property
    def unknown(self) -> Case:
        """The ending at a sidecar that does not know the host."""
        return {"status": 502} if self.originated else {"refused": True}

    @property
    def refused_by_policy(self) -> Case:
        """The ending of what no policy of the gateway allows."""
        ending: Case = {"status": 403} if self.originated else {"refused": True}
        return {**ending, "proxy": self.gateway.workload, "policy": NO_POLICY}

    @property
    def no_connection(self) -> Case:
        """The ending of a connection that the gateway does not take."""
        return {"refused": True, "proxy": self.gateway.workload}

    def http(self, method: str, path: str) -> str:
        """Return an HTTP request to the host."""
        return f"{method} http://{self.host}{path}"

    def at_gateway(self) -> Request:
        """Return the allowed request on a connection to the gateway, whose TLS has the host as server name."""
        request = self.request
        return request.replace("http://", "https://") if isinstance(request, str) else request

    def bypass(self, client: str, mode: str) -> Case:
        """Return a client that goes around its sidecar, straight to the gateway's pod."""
        return {"bypass": client, **self.gateway_pod(), "mode": mode}

    def gateway_pod(self) -> Case:
        """Return the gateway's pod as a sender names it."""
        return {"to": self.gateway.workload, "port": self.gateway.port(self.access).target}

    def allows(self, method: str, path: str) -> bool:
        """Whether the team may send such a request."""
        return any(
            method in requests.methods and any(matches(pattern, path) for pattern in requests.paths)
            for requests in self.access.requests
        )
