"""The whole lab: the mesh, the fakes and the function, started side by side and ended together."""

from __future__ import annotations

import os
import signal
import sys
import time
from enum import StrEnum
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Self
from urllib.request import urlopen

from meshlab.certificates import private_pem
from meshlab.errors import LabError
from meshlab.lab.pipeline import Lookup, Pipeline
from meshlab.lab.project_mesh import ProjectMesh
from meshlab.lab.provision import Resources, eventarc_endpoint, provision
from meshlab.processes.ports import LOOPBACK, free_ports
from meshlab.processes.supervisor import Child, Supervisor
from meshlab.quick_dataclass import dataclass

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from types import TracebackType

    from meshlab.istio import Address
    from meshlab.lab.project import Project

GOOGLE_ISSUER = "https://accounts.google.com"
"""The issuer of Google's ID tokens. Those of the lab are signed with a key that nothing outside of it trusts."""

_PATIENCE_S = 10
_FAKES = ("pubsub", "bigquery", "secretmanager", "metadata")
# Google's own convention: where it is set, that server is used instead of the lab's.
_PUBSUB_VARIABLE = "PUBSUB_EMULATOR_HOST"


class Driver(StrEnum):
    """What receives events: the function, to which they are pushed, or the worker, which pulls them."""

    FUNCTION = "function"
    WORK = "work"


@dataclass(frozen=True)
class Started:
    """A part of the lab that is up.

    Attributes:
        name: What it is called.
        address: Where it listens.
        ready_after_s: Seconds from its start until it was ready; None for a server that was there before.
    """

    name: str
    address: str
    ready_after_s: float | None


@dataclass(frozen=True)
class OwnPipeline:
    """A pipeline of the user in place of the shipped one, and what answers its lookups.

    Attributes:
        pipeline: The pipeline.
        mesh: The project whose manifests lead its lookups to the service.
        served: Lookups that the lab answers, and for each the JSON file with the answers.
        app: A service of the user that answers all lookups; None for the lab's own.
    """

    pipeline: Pipeline
    mesh: Project
    served: Sequence[tuple[Lookup, Path]] = ()
    app: Address | None = None


class Lab:
    """Everything on loopback, for as long as the context manager is open.

    Args:
        project: The checkout to run.
        profiles: The JSON file of profiles that the user-profile service answers from; by default the shipped one.
        own: A pipeline of the user in place of the shipped one.
        driver: What receives events. Where it is the worker, that has the place of the function everywhere here.
        settings: Further variables for the environment of the function or the worker.

    Attributes:
        mesh: The running mesh.
        resources: Names of the topics, the table and the key.
        pipeline: What the function does with events.
        environment: Variables that lead official clients and the SDK to this lab.
        own_pubsub: Whether Pub/Sub is the lab's own: not so if PUBSUB_EMULATOR_HOST named another one.
        ready_after_s: Seconds from the start until all of it was ready.
    """

    mesh: ProjectMesh
    environment: Mapping[str, str]
    own_pubsub: bool
    ready_after_s: float

    def __init__(
        self,
        project: Project,
        *,
        profiles: Path | None = None,
        own: OwnPipeline | None = None,
        driver: Driver = Driver.FUNCTION,
        settings: Mapping[str, str] | None = None,
    ) -> None:
        self.resources = Resources(project.contract(), pulls=driver is Driver.WORK)
        shipped_pipeline = (project.pipeline_file, project.table_file, self.resources.table)
        self.pipeline = own.pipeline if own else Pipeline.read(*shipped_pipeline)
        self._project = project
        self._own = own
        self._driver = driver
        self._settings = settings or {}
        self._profiles = profiles or shipped("profiles.json")
        self._children: dict[str, Child] = {}
        self._addresses: dict[str, str] = {}

    def __enter__(self) -> Self:
        if self._children:
            raise LabError("this lab was started before: make another one")
        started_at = time.monotonic()
        self._supervisor = Supervisor()
        try:
            self._start()
        except BaseException:
            self._supervisor.close()
            raise
        self.ready_after_s = time.monotonic() - started_at
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._supervisor.close()

    @property
    def parts(self) -> list[Started]:
        """What is up, in the order of its start."""
        found = [] if self.own_pubsub else [Started("pubsub", self._addresses["pubsub"], None)]
        for name, child in self._children.items():
            found.append(Started(name, self._addresses[name], child.ready_after_s))
        return found

    @property
    def directory(self) -> Path:
        """The private directory of this run: logs, certificates and proxy configurations; deleted at the end."""
        return self._supervisor.directory

    @property
    def children(self) -> Mapping[str, Child]:
        """Every process of the lab by its name. Each leads a process group of its own."""
        return dict(self._children)

    @property
    def function(self) -> Child:
        """The function's process, or the worker's."""
        return self._children[self._driver]

    def restart_function(self, *, kill: bool = False) -> None:
        """End the function, if it runs, and start it again on the same port.

        Args:
            kill: Whether to end it by SIGKILL, in the middle of what it does; else by SIGTERM, with a few seconds to
                finish.
        """
        if kill:
            self.kill_function()
        self._supervisor.stop(self.function)
        self._start_function()
        self._wait_function()

    def kill_function(self) -> None:
        """Kill the function, as a machine that breaks would; `restart_function` brings it back."""
        self.function.signal(signal.SIGKILL)
        self._supervisor.stop(self.function)

    def _start(self) -> None:
        """Start all at once, then wait for each: what boots slowly overlaps with everything else."""
        ports = self._ports = free_ports()  # kept, so that no other lab chooses these
        foreign = os.environ.get(_PUBSUB_VARIABLE)
        self.own_pubsub = foreign is None
        fakes = [name for name in _FAKES if self.own_pubsub or name != "pubsub"]
        for name in fakes:
            self._start_fake(name)
        self.mesh = ProjectMesh(
            self._supervisor,
            self._own.mesh if self._own else self._project,
            ports,
            self._profiles,
            served=self._own.served if self._own else (),
            app=self._own.app if self._own else None,
            fetched=self._google_keys(),
        )
        for child in self.mesh.start():
            self._children[child.name] = child
        for name in fakes:
            self._listening(name)
        self._addresses |= self.mesh.addresses
        if foreign is not None:
            self._addresses["pubsub"] = foreign
        self._function_port = next(ports)
        self._addresses[self._driver] = f"{LOOPBACK}:{self._function_port}"
        self.environment = self._client_environment()
        self._start_function()
        provision(
            self.resources,
            push_endpoint=self._push_endpoint() if self._driver is Driver.FUNCTION else None,
            tables={target.table: target.definition for target in self.pipeline.targets},
            signing_key=None if self._project.is_keyless else private_pem(self.mesh.key.private),
            environment=self.environment,
        )
        self.mesh.wait_ready()
        self._wait_function()
        self._children["bigquery"].wait_port(int(self._addresses["bigquery-write"].rpartition(":")[2]))

    def _push_endpoint(self) -> str:
        """Return where events are pushed to: the function, or a converter for a Pub/Sub that makes no CloudEvents."""
        function = f"http://{self._addresses['function']}/"
        if self.own_pubsub:
            return eventarc_endpoint(function, self.resources.topic)
        self._start_fake("eventarc", "--target", function, "--topic", self.resources.topic)
        self._addresses["eventarc"] = f"{LOOPBACK}:{self._children['eventarc'].listening_port()}"
        return f"http://{self._addresses['eventarc']}/"

    def _start_fake(self, name: str, *arguments: str) -> None:
        if name == "bigquery":
            port = next(self._ports)
            self._addresses["bigquery-write"] = f"{LOOPBACK}:{port}"
            arguments = ("--write-port", str(port), "--directory", str(self._supervisor.directory))
        if name == "metadata":
            arguments = ("--project", self.resources.project, *self._account())
        command = [sys.executable, "-m", f"meshlab.cloud.{name}", *arguments]
        self._children[name] = self._supervisor.spawn(name, command)

    def _listening(self, name: str) -> str:
        """Wait until a fake listens, and return where; it says so once."""
        if name not in self._addresses:
            self._addresses[name] = f"{LOOPBACK}:{self._children[name].listening_port()}"
        return self._addresses[name]

    def _account(self) -> tuple[str, ...]:
        """Return whose identity tokens the metadata server makes: without a key they are the function's way in."""
        if not self._project.is_keyless:
            return ()
        contract = self._project.contract()
        return (
            *("--identity-issuer", GOOGLE_ISSUER),
            *("--identity-subject", contract.get("FUNCTION_SUBJECT", "")),
            *("--identity-email", contract["FUNCTION_SERVICE_ACCOUNT"]),
        )

    def _google_keys(self) -> dict[str, str]:
        """Return the keys that stand for Google's in this run: those of the metadata server."""
        if not self._project.is_keyless:
            return {}
        try:
            with urlopen(
                f"http://{self._listening('metadata')}/oauth2/v3/certs", timeout=_PATIENCE_S
            ) as answer:
                return {GOOGLE_ISSUER: answer.read().decode()}
        except OSError as error:
            raise LabError(f"the fake metadata server gave no keys: {error}") from None

    def _start_function(self) -> None:
        command: list[str | Path]
        if self._driver is Driver.FUNCTION:
            # One worker, as Cloud Run gives a function one container; only loopback; settings from the environment.
            command = [
                sys.executable, "-m", "functions_framework",
                "--target", "enrich",
                "--source", self._project.function_source,
                "--host", LOOPBACK,
                "--port", str(self._function_port),
            ]  # fmt: skip
        else:
            command = [sys.executable, "-m", "enrichment", "work", "--host", LOOPBACK]
        log = self._supervisor.directory / "function.log"  # both of its streams, as Cloud Logging shows them
        # As Cloud Run sets it in each container of a service.
        environment = {**self.environment, "K_SERVICE": self.environment["FUNCTION_NAME"], **self._settings}
        if self._driver is Driver.WORK:
            environment |= {
                "PULL_SUBSCRIPTION": self.resources.subscription,
                "PORT": str(self._function_port),
                # The checkout's own code, wherever the lab is started.
                "PYTHONPATH": str(self._project.function_source.parent),
                **self._settings,
            }
        if self._own:
            environment |= {
                "PIPELINE_FILE": str(self.pipeline.file),
                "TABLE_FILE": str(self.pipeline.table_file),
                "LOG_SEVERITY": "DEBUG",  # the log is the one place that names events that were dropped
            }
        self._children[self._driver] = self._supervisor.spawn(
            self._driver.value, command, env=environment, stdout=log
        )

    def _wait_function(self) -> None:
        if self._driver is Driver.FUNCTION:
            self.function.wait_port(self._function_port)
            return
        url = f"http://{LOOPBACK}:{self._function_port}/ready"
        self.function.wait_until(lambda: _answers(url), "did not answer /ready with 200")

    def _client_environment(self) -> dict[str, str]:
        contract = self._project.contract()
        metadata = self._addresses["metadata"]
        environment = {
            "GOOGLE_CLOUD_PROJECT": self.resources.project,
            _PUBSUB_VARIABLE: self._addresses["pubsub"],
            "BIGQUERY_EMULATOR_HOST": f"http://{self._addresses['bigquery']}",
            "BIGQUERY_WRITE_EMULATOR_HOST": self._addresses["bigquery-write"],
            "SECRET_MANAGER_EMULATOR_HOST": self._addresses["secretmanager"],
            "GCE_METADATA_HOST": metadata,
            "GCE_METADATA_IP": metadata,
            "GKE_GATEWAY_URL": self.mesh.gateway_url,
            "GKE_GATEWAY_CA_FILE": str(self.mesh.gateway_ca),
            # What `python -m enrichment redrive` takes; the topic is named in full there.
            "DEAD_LETTER_SUBSCRIPTION": self.resources.dead_letter_subscription,
            "UNDELIVERED_SUBSCRIPTION": self.resources.undelivered_subscription,
            # The fake knows a recreated table at once.
            "TABLE_RECREATED_HOLD_S": "0",
        }
        shared = (
            "GKE_GATEWAY_HOST", "JWT_AUDIENCE", "FUNCTION_NAME",
            "BIGQUERY_TABLE", "TRIGGER_TOPIC", "DEAD_LETTER_TOPIC",
        )  # fmt: skip
        signed = ("JWT_ISSUER", "JWT_SUBJECT", "JWT_SCOPE", "SIGNING_KEY_SECRET_ID")
        keyless = self._project.is_keyless
        environment["MESH_AUTH"] = "google-id-token" if keyless else "signed-jwt"
        return environment | {name: contract[name] for name in (*shared, *(() if keyless else signed))}


def _answers(url: str) -> bool:
    try:
        with urlopen(url, timeout=_PATIENCE_S) as answer:  # noqa: S310 - of this machine
            return bool(answer.status == 200)
    except OSError:  # 503 as well, which urllib raises
        return False


def shipped(name: str) -> Path:
    """Return the path of a data file of this package."""
    return Path(str(files("meshlab") / "data" / name))
