"""A running front door: real Envoy with TLS, for `https://localhost:PORT`."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from meshlab.certificates import CertificateAuthority
from meshlab.cloud.cloud_run.front_door import FrontDoor, Places, front_door_config
from meshlab.cloud.identity import ISSUER, unique_id
from meshlab.istio import Address
from meshlab.processes.envoy import Envoy
from meshlab.processes.ports import LOOPBACK

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from meshlab.processes.supervisor import Child, Supervisor

__all__ = ["RunningFrontDoor"]

_HOST = "localhost"
# The log says why a caller was refused, and is read right after it.
_FLUSH_MS = 10


class RunningFrontDoor:
    """The front door of one service, as a child process.

    Args:
        supervisor: Starts and ends it.
        ports: Free ports.
        container: Where the service's container listens.
        invokers: E-mail addresses of the accounts with `roles/run.invoker`. Their unique ids are the lab's.
        jwks: The public keys of Google's issuer.
        custom_audiences: Further audiences of the service.

    Attributes:
        url: The service's own URL, which is the audience of its callers' tokens.
        ca_file: PEM file of the authority that signed its certificate.
    """

    def __init__(
        self,
        supervisor: Supervisor,
        ports: Iterator[int],
        container: Address,
        invokers: tuple[str, ...],
        jwks: Mapping[str, Any],
        *,
        custom_audiences: tuple[str, ...] = (),
    ) -> None:
        listen, admin = Address(LOOPBACK, next(ports)), Address(LOOPBACK, next(ports))
        self.url = f"https://{_HOST}:{listen.port}"
        directory = supervisor.directory / "front-door"
        authority = CertificateAuthority.create("meshlab front door")
        certificate = authority.issue(dns_names=(_HOST,)).write(
            directory, chain="chain.pem", key="key.pem", root="ca.pem"
        )
        self.ca_file: Path = certificate / "ca.pem"
        ids = tuple(unique_id(email) for email in invokers)
        door = FrontDoor(self.url, invokers, ISSUER, json.dumps(jwks), custom_audiences, ids)
        files = (certificate / "chain.pem", certificate / "key.pem")
        config = front_door_config(door, Places(listen, admin, container, files))
        self._envoy = Envoy(supervisor, "front-door", config, admin, flush_ms=_FLUSH_MS)

    def start(self) -> Child:
        """Start it without waiting for it."""
        return self._envoy.start()

    def wait_ready(self) -> None:
        """Wait until it serves.

        Raises:
            LabError: It ended, or Envoy refused its configuration.
        """
        self._envoy.wait_ready()

    def access_log(self) -> list[str]:
        """Return the access log so far, a line a request: method, status and why."""
        return self._envoy.access_log()
