"""The function's `lookup` entry point behind Cloud Run's front door, and pods of other projects that call it.

It runs beside a lab: the function reaches the lab's mesh, and its callers get their tokens from the metadata servers of
GKE pods. All of these tokens have one issuer, which the front door trusts.
"""

from __future__ import annotations

import os
import sys
from contextlib import ExitStack
from typing import TYPE_CHECKING, Self

from meshlab.cloud import gke_metadata
from meshlab.cloud.cloud_run.invokers import split_members
from meshlab.cloud.cloud_run.running import RunningFrontDoor
from meshlab.cloud.gke_metadata import Pod
from meshlab.cloud.identity import IdentityKey
from meshlab.istio import Address
from meshlab.processes.ports import LOOPBACK, free_ports
from meshlab.processes.supervisor import Supervisor

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path
    from types import TracebackType

    from meshlab.lab.project import Project
    from meshlab.lab.stack import Lab
    from meshlab.processes.supervisor import Child

__all__ = ["INVOKER", "PODS", "STRANGER", "UNLINKED", "LookupAccess"]

PODS = INVOKER, STRANGER, UNLINKED = "invoker", "stranger", "unlinked"
"""The pods: one whose Google service account may call the function, one whose account may not, one without account."""

_STRANGER = "stranger@another-project.iam.gserviceaccount.com"
# What leads a Google client elsewhere: credentials, emulators, proxies and the configuration of gcloud.
_FOREIGN = (
    "GOOGLE_",
    "GCE_",
    "NO_GCE_CHECK",
    "METADATA_SERVER_DETECTION",
    "CLOUDSDK_",
    "GKE_",
    "JWT_",
    "MESH_AUTH",
    "SIGNING_KEY_",
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "ALL_PROXY",
)


# Of Python's ssl and httpx, of curl with any TLS library, of requests, and of Node.js. Go reads the first.
_CA_FILES = ("SSL_CERT_FILE", "CURL_CA_BUNDLE", "REQUESTS_CA_BUNDLE", "NODE_EXTRA_CA_CERTS")
# Of Google's libraries; gcloud and older libraries read the second alone.
_METADATA_SERVER = ("GCE_METADATA_HOST", "GCE_METADATA_ROOT", "GCE_METADATA_IP")


class LookupAccess:
    """The lookup function, its front door and its callers' metadata servers, for as long as the block runs.

    Args:
        project: The checkout; its `LOOKUP_INVOKERS` may call the function.
        lab: A running lab of that checkout.

    Attributes:
        pods: The callers, by name.
        not_checked: A sentence for each of `LOOKUP_INVOKERS` that the front door cannot check.
    """

    def __init__(self, project: Project, lab: Lab) -> None:
        self._project = project
        self._lab = lab
        contract = project.contract()
        members = [member for member in contract.get("LOOKUP_INVOKERS", "").split(",") if member]
        self._invokers, self.not_checked = split_members(members)
        cloud = contract["GOOGLE_CLOUD_PROJECT"]
        account = self._invokers[0] if self._invokers else f"caller@{cloud}.meshlab.invalid"
        self._invokers = self._invokers or (account,)
        self.pods = {
            INVOKER: Pod(cloud, "shop", account.partition("@")[0], account),
            STRANGER: Pod("another-project", "shop", "stranger", _STRANGER),
            UNLINKED: Pod("another-project", "shop", "default"),
        }
        self._name = contract.get("LOOKUP_FUNCTION_NAME") or f"{contract['FUNCTION_NAME']}-lookup"
        self._lookup = contract.get("LOOKUP", "")

    def __enter__(self) -> Self:
        self._ends = ExitStack()
        try:
            self._start()
        except BaseException:
            self._ends.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ends.close()

    @property
    def ca_file(self) -> Path:
        """PEM file of the authority that signed the front door's certificate."""
        return self._door.ca_file

    @property
    def url(self) -> str:
        """The function's own URL, which is the audience of its callers' tokens."""
        return self._door.url

    def wait_ready(self) -> None:
        """Wait until the function can be called.

        Raises:
            LabError: A part ended or did not get ready.
        """
        self._door.wait_ready()
        self._function.wait_port(self._port)

    def metadata_server(self, pod: str) -> str:
        """Return the address of a pod's metadata server, as `127.0.0.1:PORT`."""
        return self._metadata[pod]

    def environment(self, pod: str) -> dict[str, str]:
        """Return the environment of a program in a pod: `LOOKUP_URL` names the function.

        The program trusts the front door's certificate. It knows nothing of the mesh, for it is elsewhere.
        """
        kept = {name: value for name, value in os.environ.items() if not name.upper().startswith(_FOREIGN)}
        return kept | {
            "CLOUDSDK_CONFIG": str(self._supervisor.directory / "gcloud"),
            **dict.fromkeys(_METADATA_SERVER, self._metadata[pod]),
            "LOOKUP_URL": self.url,
            **dict.fromkeys(_CA_FILES, str(self._door.ca_file)),
        }

    @property
    def directory(self) -> Path:
        """The private directory of this run with its logs; deleted at the end."""
        return self._supervisor.directory

    def _start(self) -> None:
        """Start everything without waiting, so that it starts while the lab does something else."""
        self._supervisor = self._ends.enter_context(Supervisor())
        ports = free_ports()
        self._reserved = ports  # kept, so that no other lab chooses these
        self._port = next(ports)
        key = IdentityKey()
        container = Address(LOOPBACK, self._port)
        self._door = RunningFrontDoor(self._supervisor, ports, container, self._invokers, key.jwks)
        self._door.start()
        self._function = self._start_function()
        self._metadata: Mapping[str, str] = {
            name: self._ends.enter_context(gke_metadata.running(pod, key)) for name, pod in self.pods.items()
        }

    def _start_function(self) -> Child:
        command: list[str | Path] = [
            sys.executable, "-m", "functions_framework",
            "--target", "lookup",
            "--source", self._project.function_source,
            "--host", LOOPBACK,
            "--port", str(self._port),
        ]  # fmt: skip
        environment = {**self._lab.environment, "K_SERVICE": self._name}
        if self._lookup:
            environment["LOOKUP"] = self._lookup
        log = self._supervisor.directory / "lookup.log"
        return self._supervisor.spawn("lookup", command, env=environment, stdout=log)
