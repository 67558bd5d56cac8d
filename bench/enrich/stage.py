"""Everything round a contender: the service, the table, the metadata server, the secret; and the contender itself."""

import http.client
import json
import ssl
import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from cryptography.hazmat.primitives import serialization
from meshlab.certificates import CertificateAuthority
from meshlab.cloud import metadata, secretmanager
from meshlab.cloud.secret_store import SecretStore
from meshlab.processes.ports import LOOPBACK, free_ports
from meshlab.processes.supervisor import Child, Supervisor

from bench import caller, functions, server
from bench.enrich import bigquery, processes, service, workload
from bench.harness import BenchError

_PEERS = Path(__file__).parents[1] / "peers"

Key = Literal["SIGNING_KEY_FILE", "SIGNING_KEY_SECRET_ID"]
"""Where a contender finds its signing key: in a mounted file, or in Secret Manager."""

Driver = Literal["functions-framework", "serve", "work"]
"""What receives a contender's events."""


@dataclass(frozen=True)
class Function:
    """A function, as functions-framework or a command of our own runs it.

    Attributes:
        name: What the tables call it.
        source: Its main.py, whose entry point is `enrich`.
        key: The setting that says where it finds its signing key: a mounted file, or Secret Manager.
        env: Settings of its own.
        driver: What runs it: functions-framework, or a command of our own enrichment.
    """

    name: str
    source: Path
    key: Key = "SIGNING_KEY_FILE"
    env: Mapping[str, str] = field(default_factory=dict)
    driver: Driver = "functions-framework"

    def command(self, python: Path, port: int) -> list[str | Path]:
        """Return the command that runs it: the one of the cloud, on a port of 127.0.0.1."""
        if self.driver == "functions-framework":
            served: list[str | Path] = [
                "--target",
                "enrich",
                "--source",
                self.source,
                "--host",
                LOOPBACK,
                "--port",
                str(port),
            ]
            return [python, "-m", "functions_framework", *served]
        return [python, "-m", "enrichment", self.driver, "--host", LOOPBACK]


OURS = Function("meshpass", functions.OURS)
TEXTBOOK = Function("textbook", _PEERS / "textbook/main.py")
TUNED = Function(
    "textbook, tuned", TEXTBOOK.source, env={"HTTPX_CONNECTIONS": "10", "BIGQUERY_THREADS": "10"}
)
# functions-framework takes 4 threads for each CPU, and would count those of the machine.
SOURCE_DOCUMENT = Function(
    "source document",
    _PEERS / "source_document/main.py",
    key="SIGNING_KEY_SECRET_ID",
    env={"THREADS": "4"},
)
EMPTY = Function("an empty function", functions.EMPTY)


class Stage:
    """The fakes, running, and the environment in which a contender finds them.

    Args:
        supervisor: Starts and ends all processes.
        env: The contender's settings, but for the one that says where its key is.
        keys: That setting, by its name.
        service: The private service.
        table: BigQuery.
        python: The interpreter that runs the contenders.
    """

    def __init__(
        self,
        supervisor: Supervisor,
        env: Mapping[str, str],
        keys: Mapping[Key, str],
        service: Child,
        table: Child,
        python: Path,
    ) -> None:
        self.directory = supervisor.directory
        self._env = env
        self._keys = keys
        self.service = service
        self.table = table
        self._supervisor = supervisor
        self._python = python
        self._ports = free_ports()

    def env_for(self, key: Key) -> dict[str, str]:
        """A contender's settings.

        Args:
            key: The setting that says where it finds its key.
        """
        return {**self._env, key: self._keys[key]}

    @contextmanager
    def running(self, function: Function) -> Iterator["Running"]:
        """Run a function by the command that runs it in the cloud, on one CPU, listening when the block begins."""
        with self.starting(function) as started:
            started.child.wait_port(started.port)
            yield started

    @contextmanager
    def starting(self, function: Function) -> Iterator["Running"]:
        """The same, but begin the block at once."""
        port = next(self._ports)
        with processes.one_cpu():
            child = self._supervisor.spawn(
                f"function-{port}",
                function.command(self._python, port),
                env={
                    **self.env_for(function.key),
                    "PORT": str(port),
                    "PYTHONPATH": str(function.source.parent)
                    if function.driver != "functions-framework"
                    else "",
                    **function.env,
                },
                stdout=self._supervisor.directory / f"function-{port}.txt",
            )
        try:
            yield Running(child, port)
        except BenchError as error:
            raise BenchError(f"{function.name}: {error}\nThe end of its log:\n{child.log_tail()}") from error
        finally:
            self._supervisor.stop(child)

    def seen(self) -> tuple[service.Report, bigquery.Report]:
        """What the service and the table have seen since they were asked last."""
        lookups: service.Report = _report(self._env["GKE_GATEWAY_URL"], self._env.get("GKE_GATEWAY_CA_FILE"))
        rows: bigquery.Report = _report(self._env["BIGQUERY_EMULATOR_HOST"])
        return lookups, rows


@dataclass(frozen=True)
class Running:
    """A function's process and its port on 127.0.0.1."""

    child: Child
    port: int

    @property
    def address(self) -> str:
        """Where events are delivered to."""
        return f"{LOOPBACK}:{self.port}"


@contextmanager
def standing(python: Path = Path(sys.executable), *, tls: bool = False) -> Iterator[Stage]:
    """Put a stage up.

    Args:
        python: The interpreter that runs the contenders.
        tls: Whether the service is reached by TLS.
    """
    key = caller.new_key()
    with ExitStack() as stack:
        supervisor = stack.enter_context(Supervisor())
        public_key = supervisor.directory / "public-key"
        public_key.write_bytes(
            key.public_key().public_bytes(
                serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
            )
        )
        private_key = supervisor.directory / "signing.key"
        private_key.touch(mode=0o600)
        private_key.write_bytes(caller.pem_of(key))
        files = supervisor.directory / "tls"
        if tls:
            authority = CertificateAuthority.create("bench")
            authority.issue(dns_names=[server.HOST]).write(
                files, chain="chain.pem", key="key.pem", root="ca.pem"
            )
        certificate = [files / "chain.pem", files / "key.pem"] if tls else []
        private = supervisor.spawn(
            "service", [sys.executable, "-m", "bench.enrich.service", public_key, *certificate]
        )
        ports = free_ports()
        write_port = next(ports)
        table = supervisor.spawn("bigquery", [sys.executable, "-m", "bench.enrich.bigquery", str(write_port)])
        identity = stack.enter_context(metadata.running(workload.PROJECT))
        secrets = stack.enter_context(secretmanager.running(store=_secrets(caller.pem_of(key))))
        env = {
            "GOOGLE_CLOUD_PROJECT": workload.PROJECT,
            "GKE_GATEWAY_URL": f"{'https' if tls else 'http'}://{LOOPBACK}:{private.listening_port()}",
            **({"GKE_GATEWAY_CA_FILE": str(files / "ca.pem")} if tls else {}),
            "GKE_GATEWAY_HOST": server.HOST,
            "JWT_ISSUER": caller.ISSUER,
            "JWT_AUDIENCE": caller.AUDIENCE,
            "JWT_SCOPE": caller.SCOPE,
            "SECRET_MANAGER_EMULATOR_HOST": secrets,
            "DEAD_LETTER_TOPIC": f"projects/{workload.PROJECT}/topics/dead-letters",
            "PUBSUB_EMULATOR_HOST": f"{LOOPBACK}:1",  # no event of these is bad, and no server listens there
            "BIGQUERY_TABLE": workload.TABLE,
            "BIGQUERY_EMULATOR_HOST": f"http://{LOOPBACK}:{table.listening_port()}",
            "BIGQUERY_WRITE_EMULATOR_HOST": f"{LOOPBACK}:{write_port}",
            "GCE_METADATA_HOST": identity,
            "GCE_METADATA_IP": identity,
            "PYTHONDONTWRITEBYTECODE": "",
        }
        keys: dict[Key, str] = {
            "SIGNING_KEY_FILE": str(private_key),
            "SIGNING_KEY_SECRET_ID": f"{workload.SECRET}/versions/latest",
        }
        yield Stage(supervisor, env, keys, private, table, python)


def _secrets(key: bytes) -> SecretStore:
    from google.cloud.secretmanager_v1 import types

    store = SecretStore()
    project, _, name = workload.SECRET.partition("/secrets/")
    replicated = types.Secret(replication=types.Replication(automatic=types.Replication.Automatic()))
    store.create_secret(types.CreateSecretRequest(parent=project, secret_id=name, secret=replicated))
    store.add_secret_version(
        types.AddSecretVersionRequest(parent=workload.SECRET, payload=types.SecretPayload(data=key))
    )
    return store


def _report(url: str, ca_file: str | None = None) -> Any:  # noqa: ANN401 - JSON
    scheme, _, address = url.partition("://")
    connection = http.client.HTTPConnection(address, timeout=30)
    if scheme == "https":
        context = ssl.create_default_context(cafile=ca_file)
        context.check_hostname = False  # the address is not the name of the certificate
        connection = http.client.HTTPSConnection(address, timeout=30, context=context)
    try:
        connection.request("GET", "/report")
        return json.loads(connection.getresponse().read())
    finally:
        connection.close()
