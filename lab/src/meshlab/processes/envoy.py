"""The real Envoy as a child process: its configuration in files, its access log in another.

Listeners, which hold all that a mesh decides about a request, stand in a file of their own that Envoy watches. So a
running proxy takes a change as a proxy in a cluster takes it from istiod: without a restart. Clusters can stand in
such a file, too.
"""

from __future__ import annotations

import hashlib
import http.client
import json
import os
import signal
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import quote

from meshlab.errors import LabError
from meshlab.processes.envoy_binary import envoy_binary
from meshlab.processes.recent import Recent
from meshlab.quick_dataclass import dataclass

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from meshlab.istio import Address
    from meshlab.processes.supervisor import Child, Supervisor

_ADMIN_TIMEOUT_S = 2.0
# How long a replaced listener goes on serving the connections it had. Istio's default is 45 s; here the change
# should be over soon, and every call of the lab takes milliseconds.
_DRAIN_S = 1
_FLUSH_MS = 1000
_LISTENER = "type.googleapis.com/envoy.config.listener.v3.Listener"
_LISTENER_VERSION = "listener_manager.lds.version_text"
_CLUSTER_VERSION = "cluster_manager.cds.version_text"
_REJECTIONS = ("listener_manager.lds.update_rejected", "cluster_manager.cds.update_rejected")
_CLUSTER = "type.googleapis.com/envoy.config.cluster.v3.Cluster"


@dataclass(frozen=True)
class DiscoveryFile:
    """A file that Envoy watches: an answer of a discovery service.

    Attributes:
        version: Its version, which follows from what it holds.
        text: The file.
    """

    version: str
    text: str

    @classmethod
    def of(cls, resources: list[dict[str, Any]]) -> Self:
        """Return the file of resources. They are written once, for the file and for its version."""
        text = json.dumps(resources)
        version = hashlib.sha256(text.encode()).hexdigest()[:16]
        return cls(version, f'{{"version_info": "{version}", "resources": {text}}}')


class Envoy:
    """One proxy of the mesh.

    The binary itself is executed, not the package's console script, so that the process that gets our signals is Envoy.

    Args:
        supervisor: Starts it and ends it.
        name: Names it in messages and files.
        config: The whole configuration, as the compiler gives it.
        admin: Where its admin interface listens, as the configuration says.
        changing_clusters: Whether `update` can also change clusters.
        drain_s: How long a replaced listener goes on serving the connections it had, in seconds.
        flush_ms: How long a line of the access log may wait until it is written, in milliseconds. A timer that writes
            every 10 ms takes one percent of a processor while nothing happens.
    """

    def __init__(
        self,
        supervisor: Supervisor,
        name: str,
        config: dict[str, Any],
        admin: Address,
        *,
        changing_clusters: bool = False,
        drain_s: int = _DRAIN_S,
        flush_ms: int = _FLUSH_MS,
    ) -> None:
        self.name = name
        self._drain_s = drain_s
        self._flush_ms = flush_ms
        self._supervisor = supervisor
        self._admin = admin
        self._access_log = supervisor.directory / f"{name}.access.log"
        self._config = supervisor.directory / f"{name}.json"
        self._listeners = supervisor.directory / f"{name}.listeners.json"
        self._clusters = supervisor.directory / f"{name}.clusters.json" if changing_clusters else None
        self._parts = Recent(self._split)
        self._bootstrap, files = self._parts.of(config)
        _write_private(self._config, json.dumps(self._bootstrap))
        # The version of each file that Envoy watches: the files are large, so none is read for it.
        self._written: dict[Path, str] = {}
        for path, document in files.items():
            self._replace(path, document)
        self._child: Child | None = None
        self._rejected = 0
        self._pending: DiscoveryFile | None = None

    @property
    def ended(self) -> str:
        """How it ended by itself, in words; empty as long as it runs, and after `stop`."""
        return self._child.ended if self._child else ""

    def start(self) -> Child:
        """Start it without waiting for it."""
        self._rejected = 0
        self._write_pending()
        self._child = self._supervisor.spawn(
            self.name,
            [
                envoy_binary().path,
                "--config-path", self._config,
                "--disable-hot-restart",
                "--concurrency", "1",
                "--log-level", "warning",
                "--drain-time-s", str(self._drain_s),
                "--drain-strategy", "immediate",  # an answer on a connection of before asks to open another
                "--file-flush-interval-msec", str(self._flush_ms),
            ],
            stdout=self._access_log,
        )  # fmt: skip
        return self._child

    def wait_ready(self) -> None:
        """Wait until its admin interface says that it serves, with all of its configuration.

        Raises:
            LabError: It ended, did not get ready or refused a part; the message holds the end of its log.
        """
        if self._child is None:
            self._child = self.start()
        self._child.wait_until(self._ready, "did not get ready")
        # Envoy also gets ready when it refused its listeners, without them.
        self._child.wait_until(lambda: self._takes(self._versions()), "did not take its configuration")

    def update(self, config: dict[str, Any]) -> None:
        """Give it other listeners and, if it was made so, other clusters, without waiting until it has them.

        Connections of before are served on while they drain, as they were, and closed: each after its next answer, idle
        ones at the end of that time.

        Args:
            config: The whole configuration; nothing else may differ from the one it was started with. It is kept, and
                must not be changed.

        Raises:
            ValueError: Something else differs, which only a restart could change.
        """
        bootstrap, files = self._parts.of(config)
        if bootstrap != self._bootstrap:
            kinds = "listeners and clusters" if self._clusters else "listeners"
            raise ValueError(f"more than the {kinds} of {self.name} changed; start it anew")
        changed = [path for path, document in files.items() if self._written[path] != document.version]
        if self._clusters in changed:
            # Envoy refuses a route to a cluster that it does not know yet, so the listeners wait for the clusters.
            self._pending = files[self._listeners]
            self._replace(self._clusters, files[self._clusters])
        elif changed:
            self._pending = None
            self._replace(self._listeners, files[self._listeners])

    def wait_updated(self) -> None:
        """Wait until it serves by the latest listeners alone: no connection is left that knows those of before.

        Raises:
            LabError: It ended, or it refused them; the message holds the end of its log.
        """
        if self._child is None:
            return  # it reads the file when it starts
        if self._pending is not None:
            clusters = {_CLUSTER_VERSION: self._versions()[_CLUSTER_VERSION]}
            self._child.wait_until(lambda: self._takes(clusters), "did not take its new clusters")
            self._write_pending()
        wanted = self._versions()
        self._child.wait_until(
            lambda: self._takes(wanted, drained=True), "did not take its new configuration"
        )

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
        """Return the access log so far, a line a request."""
        return self._access_log.read_text(errors="replace").splitlines()

    def warnings(self) -> str:
        """Return what Envoy itself logged: empty when all is well."""
        return self._child.log.read_text(errors="replace") if self._child else ""

    def counter(self, pattern: str) -> int:
        """Return the sum of all counters whose name ends with a match of the regular expression."""
        return sum(int(value) for value in self._stats(f"{pattern}$").values())

    def wait_secrets(self, versions: frozenset[str]) -> None:
        """Wait until it has these versions of the secrets that it watches.

        Raises:
            LabError: It ended, or it did not take them; the message holds the end of its log.
        """

        def taken() -> bool:
            try:
                return versions <= frozenset(self._stats(r"^sds\..*\.version_text$").values())
            except OSError:
                return False

        if self._child is not None:
            self._child.wait_until(taken, "did not take its new secrets")

    def certificates(self) -> frozenset[int]:
        """Return the serial numbers of the certificates that it shows.

        Raises:
            OSError: Its admin interface does not answer.
        """
        _, body = self._get("/certs")
        shown = (entry for context in json.loads(body)["certificates"] for entry in context["cert_chain"])
        return frozenset(int(entry["serial_number"], 16) for entry in shown)

    def _split(self, config: dict[str, Any]) -> tuple[dict[str, Any], dict[Path, DiscoveryFile]]:
        bootstrap, listeners = split_listeners(config, self._listeners)
        if self._clusters is None:
            return bootstrap, {self._listeners: listeners}
        bootstrap, clusters = split_clusters(bootstrap, self._clusters)
        # Clusters first: a listener may lead to a new one.
        return bootstrap, {self._clusters: clusters, self._listeners: listeners}

    def _write_pending(self) -> None:
        if self._pending is not None:
            self._replace(self._listeners, self._pending)
            self._pending = None

    def _versions(self) -> dict[str, str]:
        """Return the version of each file that Envoy watches, by the name of the statistic that reports it."""
        files = {_LISTENER_VERSION: self._listeners, _CLUSTER_VERSION: self._clusters}
        return {name: self._written[path] for name, path in files.items() if path}

    def _replace(self, path: Path, document: DiscoveryFile) -> None:
        """Move a file into another's place: Envoy looks at it then."""
        new = path.with_suffix(".new")
        _write_private(new, document.text)
        # ext4 writes a file to the disk before it replaces another, which takes longer than Envoy needs to read it.
        path.unlink(missing_ok=True)
        new.rename(path)
        self._written[path] = document.version

    def _takes(self, versions: Mapping[str, str], *, drained: bool = False) -> bool:
        """Return whether it has these versions and, if wanted, no connection that knows those of before.

        Raises:
            LabError: It refused one of them.
        """
        names = r"listener_manager\.(lds\.(version_text|update_rejected)|.*_draining|.*_warming)"
        more = r"cluster_manager\.(cds\.(version_text|update_rejected)|warming_clusters)"
        try:
            found = self._stats(rf"^({names}|{more})$")
        except OSError:
            return False
        rejected = sum(found.pop(name, 0) for name in _REJECTIONS)
        if rejected > self._rejected:
            self._rejected = rejected
            tail = self._child.log_tail() if self._child else ""
            raise LabError(f"{self.name} refused its configuration. The end of its log:\n{tail}")
        current = {name: found.pop(name, "") for name in (_LISTENER_VERSION, _CLUSTER_VERSION)}
        return versions.items() <= current.items() and not (drained and any(found.values()))

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


def split_listeners(config: dict[str, Any], file: Path) -> tuple[dict[str, Any], DiscoveryFile]:
    """Split a configuration into a bootstrap that follows a file, and what stands in that file.

    Args:
        config: A whole configuration.
        file: Where the bootstrap shall look for its listeners.

    Returns:
        The bootstrap, and the file with the listeners.
    """
    static = dict(config["staticResources"])
    listeners = [{"@type": _LISTENER, **listener} for listener in static.pop("listeners")]
    source = {"pathConfigSource": {"path": str(file)}, "resourceApiVersion": "V3"}
    bootstrap = {**config, "staticResources": static, "dynamicResources": {"ldsConfig": source}}
    return bootstrap, DiscoveryFile.of(listeners)


def split_clusters(bootstrap: dict[str, Any], file: Path) -> tuple[dict[str, Any], DiscoveryFile]:
    """Split a bootstrap that `split_listeners` made from its clusters, in the same way.

    Args:
        bootstrap: The bootstrap.
        file: Where it shall look for its clusters.

    Returns:
        The bootstrap, and the file with the clusters.
    """
    static = dict(bootstrap["staticResources"])
    clusters = [{"@type": _CLUSTER, **cluster} for cluster in static.pop("clusters", [])]
    source = {"pathConfigSource": {"path": str(file)}, "resourceApiVersion": "V3"}
    dynamic = {**bootstrap["dynamicResources"], "cdsConfig": source}
    changed = {**bootstrap, "staticResources": static, "dynamicResources": dynamic}
    return changed, DiscoveryFile.of(clusters)


def _write_private(path: Path, text: str) -> None:
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        file.write(text)
