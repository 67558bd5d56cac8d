"""Servers that answer for applications, external hosts and external authorizers while cases run."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

from meshlab.bench.authorities import INTERNET, MESH
from meshlab.bench.echo.table import EchoPort, EchoTable, ServerCertificate, StaticResponse
from meshlab.errors import LabError
from meshlab.istio.read.hosts import is_subset

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from meshlab.bench.authorities import Authorities
    from meshlab.bench.case import AppSpec, Authorizer
    from meshlab.bench.mesh_addresses import MeshUnderTest
    from meshlab.bench.verdicts.addresses import Place
    from meshlab.istio.envoy.placement import Address
    from meshlab.processes.supervisor import Child, Supervisor

__all__ = ["Applications", "unserved"]


class Applications:
    """The echo server and the user's own programs of one run.

    Args:
        supervisor: Starts and ends them.
        authorities: Sign the servers' certificates.
        apps: What answers in place of applications; the echo does for all others.
        authorizers: Scripts of external authorizers; one without a script denies everything.
        record: File that the echo server writes what it receives to.

    Attributes:
        recording: Addresses whose applications record what they receive.
    """

    def __init__(
        self,
        supervisor: Supervisor,
        authorities: Authorities,
        apps: Iterable[AppSpec],
        authorizers: Iterable[Authorizer],
        record: Path,
    ) -> None:
        self.recording: frozenset[str] = frozenset()
        self._supervisor = supervisor
        self._authorities = authorities
        self._apps = {app.target: app for app in apps}
        self._scripts = {authorizer.provider: authorizer.rules for authorizer in authorizers}
        self._record = record
        self._table: EchoTable | None = None
        self._echo: Child | None = None
        self._announced = False
        self._commands: dict[Address, Child] = {}
        self._served: dict[Address, str] = {}

    def start(self, mesh: MeshUnderTest) -> None:
        """Start everything that the mesh needs, or what changed since the last call, without waiting.

        Raises:
            LabError: An application or script is for nothing in the mesh, or a program cannot be started.
        """
        named = _named_addresses(mesh)
        self._check_names(mesh)
        shared = self._of_shared_server(mesh)
        commands = {address: app for address, (name, _) in named.items() if (app := self._command(name))}
        echoed = {address: described for address, described in named.items() if address not in commands}
        table = self._describe(mesh, echoed, shared)
        if table != self._table:
            self._start_echo(table)
        self._served = {address: name for address, (name, _) in named.items()}
        self.recording = frozenset(map(str, (*echoed, mesh.addresses.internet)))
        for address in [address for address in self._commands if address not in commands]:
            self._supervisor.stop(self._commands.pop(address))
        for address, app in commands.items():
            if address not in self._commands:
                self._commands[address] = self._start_command(app, address)

    def wait_ready(self) -> None:
        """Wait until everything that was started listens.

        Raises:
            LabError: A program ended or did not begin to listen.
        """
        if self._echo and not self._announced:
            self._echo.listening_port()
            self._announced = True
        for address, child in self._commands.items():
            try:
                child.wait_port(address.port)
            except LabError as error:
                problem = f"the application {self._served[address]} cannot be asked: {error}"
                hint = f"Its command must listen on 127.0.0.1 at the port in PORT, here {address.port}."
                raise LabError(f"{problem}\n{hint}") from error

    def ended(self, place: Place) -> str:
        """Return why the program at a place does not run any more; empty where it runs.

        Args:
            place: An application or an external host.
        """
        if self._command(place.name) is None:
            return self._echo.ended if self._echo else ""
        children = (
            child for address, child in self._commands.items() if self._served.get(address) == place.name
        )
        return next((child.ended for child in children if child.ended), "")

    def _command(self, name: str) -> AppSpec | None:
        app = self._apps.get(name)
        return app if app and app.command else None

    def _check_names(self, mesh: MeshUnderTest) -> None:
        # A workload without a port has no application. A case that is left out may ask for one there.
        if unknown := [name for name in unserved(self._apps, mesh) if name not in map(str, mesh.identities)]:
            known = sorted({name for name, _ in _named_addresses(mesh).values()} | mesh.wildcard_hosts)
            problem = f"`apps` names {unknown[0]}, which is no workload and no external host of the mesh"
            raise LabError(f"{problem}; it has {', '.join(known) or 'none'}")
        providers = set(mesh.addresses.authorizers)
        if unknown := sorted(set(self._scripts) - providers):
            problem = f"`authorizers` names {unknown[0]}, which is no extension provider of the MeshConfig"
            raise LabError(f"{problem}; it has {', '.join(sorted(providers)) or 'none'}")

    def _of_shared_server(self, mesh: MeshUnderTest) -> dict[str, StaticResponse]:
        """Return the static responses of hosts that a ServiceEntry lists by a wildcard: one server answers for all.

        Raises:
            LabError: One of them shall be a program or show a certificate of its own.
        """
        found = {}
        own = {host for host, _ in mesh.addresses.external}
        for name, app in self._apps.items():
            if name in own or not _is_of(name, mesh.wildcard_hosts):
                continue
            if app.command or app.certificate:
                word = "command" if app.command else "certificate"
                raise LabError(
                    f"`apps` gives {name} a `{word}`, and one server answers for all hosts of a wildcard; write"
                    " `status`, `headers` and `body`, or a ServiceEntry for the host itself"
                )
            if (response := self._static(name)) is not None:
                found[name] = response
        return found

    def _describe(
        self,
        mesh: MeshUnderTest,
        echoed: Mapping[Address, tuple[str, str]],
        shared: Mapping[str, StaticResponse],
    ) -> EchoTable:
        ports = [
            EchoPort(
                address.port, name, version, self._static(name), certificate=self._certificate(name, mesh)
            )
            for address, (name, version) in echoed.items()
        ]
        ports += [
            EchoPort(address.port, provider, rules=self._scripts.get(provider, ()))
            for provider, address in mesh.addresses.authorizers.items()
        ]
        ports.append(EchoPort(mesh.addresses.internet.port, "", hosts=dict(shared)))
        return EchoTable(
            tuple(ports),
            record=str(self._record),
            authority=str(self._authorities.directory(INTERNET)),
            trusted=str(self._authorities.bundle),
        )

    def _static(self, name: str) -> StaticResponse | None:
        app = self._apps.get(name)
        if app is None or app.body is None:
            return None
        return StaticResponse(app.status, dict(app.headers), app.body)

    def _certificate(self, name: str, mesh: MeshUnderTest) -> ServerCertificate | None:
        app = self._apps.get(name)
        if app is None or app.certificate is None:
            identity = mesh.machine_identities.get(name)
            return (
                ServerCertificate(str(self._authorities.directory(MESH)), (identity,)) if identity else None
            )
        shown = app.certificate
        return ServerCertificate(str(self._authorities.directory(shown.authority)), shown.uris, shown.dns)

    def _start_echo(self, table: EchoTable) -> None:
        if self._echo:
            self._supervisor.stop(self._echo)
        path = self._supervisor.directory / "echo.json"
        table.write(path)
        self._echo = self._supervisor.spawn("echo", [sys.executable, "-m", "meshlab.bench.echo", path])
        self._table = table
        self._announced = False

    def _start_command(self, app: AppSpec, address: Address) -> Child:
        name = f"app-{app.target.replace('/', '.')}-{address.port}"
        output = self._supervisor.directory / f"{name}.out"
        output.touch(mode=0o600)
        try:
            return self._supervisor.spawn(name, app.command, env={"PORT": str(address.port)}, stdout=output)
        except OSError as error:
            raise LabError(
                f"the command of the application {app.target} cannot be started: {os.fspath(app.command[0])}: "
                f"{error.strerror}"
            ) from error


def unserved(targets: Iterable[str], mesh: MeshUnderTest) -> list[str]:
    """Return those of some targets of `apps` that no application and no external host of a mesh is.

    Args:
        targets: Workloads and hosts, as case files name them.
        mesh: The mesh.
    """
    known = {name for name, _ in _named_addresses(mesh).values()}
    return sorted(name for name in set(targets) - known if not _is_of(name, mesh.wildcard_hosts))


def _is_of(name: str, wildcards: Iterable[str]) -> bool:
    """Return whether a host is one of a wildcard, or the wildcard itself."""
    return any(is_subset(name, each) for each in wildcards)


def _named_addresses(mesh: MeshUnderTest) -> dict[Address, tuple[str, str]]:
    """Return name and version by address, of every application and external host."""
    workloads = {
        address: (str(ref), mesh.versions.get(ref, "")) for (ref, _), address in mesh.addresses.apps.items()
    }
    hosts = {address: (host, "") for (host, _), address in mesh.addresses.external.items()}
    return workloads | hosts
