"""Settings of the enrichment as a pipeline carries them to its workers.

A worker on another machine has neither the environment nor the files of the machine that starts the pipeline. So what
is no secret travels inside the pipeline: values of the environment by an explicit list of names, and the contents of
the files that they name. Keys never do. A worker reads them from Secret Manager under its own account, or has Google
make its tokens.
"""

import atexit
import hashlib
import json
import os
import shutil
import tempfile
import tomllib
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from enrichment import __version__
from enrichment.settings import environment
from enrichment.settings.environment import SettingsError

if TYPE_CHECKING:
    from enrichment.settings.model import PipelineConfig

CARRIED = frozenset(
    {
        "BIGQUERY_EMULATOR_HOST",
        "BIGQUERY_TABLE",
        "BIGQUERY_WRITER",
        "BIGQUERY_WRITE_EMULATOR_HOST",
        "DEAD_LETTER_TOPIC",
        "FUNCTION_NAME",
        "FUNCTION_TIMEOUT_S",
        "GCE_METADATA_HOST",
        "GCE_METADATA_IP",
        "GKE_GATEWAY_CA_FILE",
        "GKE_GATEWAY_HOST",
        "GKE_GATEWAY_URL",
        "GOOGLE_CLOUD_PROJECT",
        "JWT_AUDIENCE",
        "JWT_ISSUER",
        "JWT_SCOPE",
        "JWT_SUBJECT",
        "MESH_AUTH",
        "PIPELINE_FILE",
        "PSEUDONYM_KEY_FILE",
        "PSEUDONYM_KEY_SECRET_ID",
        "PUBSUB_EMULATOR_HOST",
        "SECRET_MANAGER_EMULATOR_HOST",
        "SIGNING_KEY_FILE",
        "SIGNING_KEY_SECRET_ID",
        "STORAGE_WRITE_STREAM",
        "SUBSCRIPTION_ACK_DEADLINE_S",
        "TABLE_FILE",
        "TABLE_RECREATED_HOLD_S",
        "TRIGGER_TOPIC",
    }
)
"""Names of the environment that travel with a pipeline. Each holds a name, an address or a path, and none a secret."""

KEY_FILES = ("SIGNING_KEY_FILE", "PSEUDONYM_KEY_FILE")
"""Variables that name the file of a key. The path travels and the file does not."""

_CONTENTS = ("PIPELINE_FILE", "TABLE_FILE", "GKE_GATEWAY_CA_FILE")
_DEFAULTS = {"PIPELINE_FILE": environment.PIPELINE_FILE, "TABLE_FILE": environment.TABLE_FILE}
_MAX_FILE_BYTES = 5_000_000  # what Dataflow takes of a job's description is 20 MB in all

__all__ = ["CARRIED", "KEY_FILES", "SettingsError", "WorkerSettings"]


def _nothing(config: "PipelineConfig") -> Iterable[str]:
    """Find nothing wrong."""
    return ()


@dataclass(frozen=True)
class WorkerSettings:
    """What a worker needs to enrich events.

    Args:
        environment: Settings by the name of their variable; paths are those of the machine that starts the pipeline.
        files: Contents by the name of the variable that names the file.
        schemas: Contents of the files that pipeline.toml names, by the name that it gives them.
        gateway_ca_secret: Secret Manager's version that holds the CA of the gateway, empty for none.
    """

    environment: Mapping[str, str]
    files: Mapping[str, bytes] = field(default_factory=dict)
    schemas: Mapping[str, bytes] = field(default_factory=dict)
    gateway_ca_secret: str = ""

    @property
    def digest(self) -> str:
        """A name for these settings: equal settings have the same one."""
        parts = [self.environment, _texts(self.files), _texts(self.schemas), self.gateway_ca_secret]
        text = json.dumps(
            [dict(part) if isinstance(part, Mapping) else part for part in parts], sort_keys=True
        )
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    @property
    def rules_digest(self) -> str:
        """A name for what decides on rows: pipeline.toml, the table's definition and the schemas."""
        files = {name: self.files[name] for name in ("PIPELINE_FILE", "TABLE_FILE") if name in self.files}
        text = json.dumps([_texts(files), _texts(self.schemas)], sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    @classmethod
    def read(
        cls,
        env: Mapping[str, str],
        *,
        overrides: str = "",
        gateway_ca_secret: str = "",
        is_remote: bool = False,
        further_problems: Iterable[str] = (),
        check: "Callable[[PipelineConfig], Iterable[str]]" = _nothing,
    ) -> "tuple[WorkerSettings, PipelineConfig]":
        """Read and check the settings where the pipeline is started. No network is used.

        Args:
            env: The environment.
            overrides: A JSON object of settings that are laid over it; empty for none.
            gateway_ca_secret: `projects/P/secrets/S/versions/V` that holds the gateway's CA; empty for none.
            is_remote: Whether workers run on other machines.
            further_problems: What is wrong elsewhere, to be reported with the rest.
            check: Gives what else is wrong, where pipeline.toml can be read.

        Returns:
            The settings, and what pipeline.toml says.

        Raises:
            SettingsError: Settings are missing or wrong; names all of them.
        """
        problems = list(further_problems)
        merged = {name: env[name] for name in sorted(CARRIED) if env.get(name)}
        merged |= _overrides(overrides, problems)
        merged.setdefault("K_REVISION", f"beam-{__version__}")  # what dead letters name as the version
        if name := merged.pop("FUNCTION_NAME", ""):
            merged["K_SERVICE"] = name  # a redrive asks for dead letters by it
        if gateway_ca_secret:
            if merged.pop("GKE_GATEWAY_CA_FILE", ""):
                problems.append(
                    "GKE_GATEWAY_CA_FILE and --gateway-ca-secret are both given: give one of them."
                )
            if not _is_secret_version(gateway_ca_secret):
                problems.append(
                    f"--gateway-ca-secret is {gateway_ca_secret[:200]!r}; write projects/P/secrets/S/versions/V."
                )
        if is_remote:
            problems += _remote_problems(merged)
        config = None
        try:
            # A key is read by the worker that needs it, and what lies in Secret Manager is out of reach here.
            config = environment.read_for_events(merged)[0].config
            problems += check(config)
        except SettingsError as error:
            problems += error.problems
        files = dict(_files(merged, problems))
        schemas = dict(_schemas(merged, files, problems))
        if problems or config is None:
            raise SettingsError(problems)
        return cls(merged, files, schemas, gateway_ca_secret), config

    def put_in_place(self) -> dict[str, str]:
        """Write the files of this worker process and return the environment that names them.

        Raises:
            MeshError: The secret with the gateway's CA cannot be read.
        """
        folder = Path(tempfile.mkdtemp(prefix="enrichment-"))
        atexit.register(_remove, folder, os.getpid())
        placed = dict(self.environment)
        for name, content in self.files.items():
            path = folder / name.lower() / Path(placed.get(name, "") or _DEFAULTS[name]).name
            path.parent.mkdir()
            path.write_bytes(content)
            placed[name] = str(path)
        for name, content in self.schemas.items():  # pipeline.toml names them relative to itself
            path = folder / "pipeline_file" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
        if self.gateway_ca_secret:
            import meshpass

            path = folder / "gateway-ca.pem"
            path.write_bytes(meshpass.SecretManagerKey(self.gateway_ca_secret)())
            placed["GKE_GATEWAY_CA_FILE"] = str(path)
        return placed


def _remove(folder: Path, pid: int) -> None:
    """Remove the files of this process; a fork of it leaves them to its parent."""
    if os.getpid() == pid:
        shutil.rmtree(folder, ignore_errors=True)


def _overrides(text: str, problems: list[str]) -> dict[str, str]:
    if not text:
        return {}
    try:
        found = json.loads(text)
    except ValueError:
        found = None
    if not isinstance(found, dict) or not all(isinstance(value, str) for value in found.values()):
        problems.append('--environment is no JSON object of texts: write {"NAME": "VALUE"}.')
        return {}
    # The value is not repeated: it may be a secret that was put there by mistake.
    problems += [
        f"--environment names {name[:64]!r}, which is no setting of the enrichment that may travel with a pipeline."
        for name in sorted(found.keys() - CARRIED)
    ]
    return {name: value for name, value in found.items() if name in CARRIED and value}


def _remote_problems(merged: Mapping[str, str]) -> Iterator[str]:
    for name in KEY_FILES:
        if merged.get(name):
            other = (
                "SIGNING_KEY_SECRET_ID, or MESH_AUTH=google-id-token" if name.startswith("SIGNING") else ""
            )
            yield (
                f"{name} names a file of this machine, and the workers run on others. A key does not travel with a "
                f"pipeline: set {other or 'PSEUDONYM_KEY_SECRET_ID'}."
            )
    for name, value in merged.items():
        if name.endswith("EMULATOR_HOST") and ("127.0.0.1" in value or "localhost" in value):
            yield f"{name} is {value!r}, an address of this machine, and the workers run on others."


def _files(merged: Mapping[str, str], problems: list[str]) -> Iterator[tuple[str, bytes]]:
    for name in _CONTENTS:
        path = Path(merged.get(name, "") or _DEFAULTS.get(name, ""))
        if str(path) == ".":
            continue
        try:
            content = path.read_bytes()
        except OSError:
            continue  # reported where the file is read as what it is
        if len(content) > _MAX_FILE_BYTES:
            problems.append(
                f"{name} has {len(content)} bytes; at most {_MAX_FILE_BYTES} travel with a pipeline."
            )
        if b"PRIVATE KEY-----" in content:
            problems.append(
                f"{name} names a file with a private key. Its content travels with the pipeline, and keys must not: "
                "name a file without the key."
            )
            continue
        yield name, content


def _schemas(
    merged: Mapping[str, str], files: Mapping[str, bytes], problems: list[str]
) -> Iterator[tuple[str, bytes]]:
    """Give the files that pipeline.toml names beside itself: schemas of Avro and of `[[tables]]`."""
    folder = Path(merged.get("PIPELINE_FILE", "") or environment.PIPELINE_FILE).parent
    try:
        document = tomllib.loads(files.get("PIPELINE_FILE", b"").decode())
    except ValueError:
        return  # reported by the settings
    for name in sorted(_named("schema", document)):
        if not Path(os.path.realpath(folder / name)).is_relative_to(os.path.realpath(folder)):
            problems.append(
                f"{name}, a schema of pipeline.toml, lies outside of its folder and cannot travel with it."
            )
            continue
        try:
            yield name, (folder / name).read_bytes()
        except OSError as error:
            problems.append(f"{name}, a schema of pipeline.toml, cannot be read: {error.strerror}.")


def _named(key: str, value: object) -> set[str]:
    if isinstance(value, list):
        return {name for item in value for name in _named(key, item)}
    if not isinstance(value, dict):
        return set()
    own = value.get(key)
    found = {own} if isinstance(own, str) else set()
    return found.union(*(_named(key, item) for item in value.values()))


def _is_secret_version(name: str) -> bool:
    parts = name.split("/")
    return len(parts) == 6 and parts[0::2] == ["projects", "secrets", "versions"] and all(parts)


def _texts(files: Mapping[str, bytes]) -> dict[str, str]:
    return {name: hashlib.sha256(content).hexdigest() for name, content in sorted(files.items())}
