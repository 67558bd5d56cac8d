"""A minute of steady calls while the signing keys change under them, from the first key to a revoked one."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from contextlib import AsyncExitStack, ExitStack
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import meshpass
import pytest
from meshlab.cloud import secretmanager
from meshpass.keys import FileKeyStore, GatewayProof, KeyLifecycleError, KeyRing, Keys, SecretManagerKeyStore
from meshpass.testing import forget_tokens

from tests.e2e.conftest import reach

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from meshlab.lab.project import Project
    from meshlab.lab.project_mesh import ProjectMesh

    from tests.conftest import RunMesh

DRILL_S = 60.0
PAUSE_S = 0.1
TOKEN_LIFETIME_S = 30
KEY_TTL_S = 1.0
DRAIN_S = TOKEN_LIFETIME_S + KEY_TTL_S
NO_SUCH_KEY = "Jwks doesn't have key to match kid or alg from Jwt"


@dataclass
class Caller:
    """A program that calls all the time; `failures` says what went wrong, `kid` which key it signs with."""

    source: meshpass.SignedJWT
    calls: int = 0
    failures: list[str] = field(default_factory=list)

    @property
    def kid(self) -> object:
        return self.source.token().claims["kid"]

    def call(self, client: meshpass.Client, done: threading.Event) -> None:
        while not done.wait(PAUSE_S):
            try:
                self.count(client.get("/profile/{user_id}", user_id="u-1001").status_code)
            except Exception as error:  # noqa: BLE001 - whatever it is, a call failed
                self.failures.append(repr(error))

    async def acall(self, client: meshpass.AsyncClient, done: threading.Event) -> None:
        while not done.is_set():
            try:
                self.count((await client.get("/profile/{user_id}", user_id="u-1001")).status_code)
            except Exception as error:  # noqa: BLE001 - whatever it is, a call failed
                self.failures.append(repr(error))
            await asyncio.sleep(PAUSE_S)

    def count(self, status: int) -> None:
        self.calls += 1
        if status != 200:
            self.failures.append(str(status))


class Drill:
    """Two callers' keys, one in files and one in Secret Manager, side by side; each has two programs."""

    def __init__(self, mesh: ProjectMesh, project: Project, directory: Path) -> None:
        self.mesh, self.contract = mesh, project.contract()
        self._reach = reach(mesh, project)
        files = FileKeyStore(directory / "keys")
        secret = self.contract["SIGNING_KEY_SECRET_ID"].partition("/versions/")[0]
        self.rings = {
            store: KeyRing(store, drain_s=DRAIN_S) for store in (files, SecretManagerKeyStore(secret))
        }
        self._keys: list[Callable[[], bytes]] = [
            meshpass.KeyFile(files.active_file),
            meshpass.SecretManagerKey(f"{secret}/versions/active"),
        ]
        self.proof = GatewayProof(self._settings(), "/profile/{user_id}", {"user_id": "nobody"})

    def each(self, step: Callable[[KeyRing], Keys]) -> list[Keys]:
        """Take a step with both rings."""
        return [step(ring) for ring in self.rings.values()]

    def publish(self) -> None:
        """Apply the JWKS of both callers, as `kubectl apply` would."""
        keys = [key for ring in self.rings.values() for key in ring.jwks()["keys"]]
        self.mesh.publish_keys(json.dumps({"keys": keys}))

    def refusal_of(self, pem: bytes) -> str:
        """What the mesh says to a token by this key."""
        with meshpass.Client(auth=self._source(lambda: pem), **self._reach) as client:
            with pytest.raises(meshpass.TokenRefused) as caught:
                client.get("/profile/{user_id}", user_id="u-1001")
            return caught.value.detail or ""

    def start_callers(self, stack: ExitStack) -> list[Caller]:
        """Start a blocking and an asyncio program with either kind of key; they end with the stack."""
        done = threading.Event()
        blocking, tasks = ([Caller(self._source(key)) for key in self._keys] for _ in range(2))

        async def run_tasks() -> None:
            async with AsyncExitStack() as opened:
                clients = [meshpass.AsyncClient(auth=caller.source, **self._reach) for caller in tasks]
                for client in clients:
                    await opened.enter_async_context(client)
                await asyncio.gather(
                    *(caller.acall(c, done) for caller, c in zip(tasks, clients, strict=True))
                )

        threads = [threading.Thread(target=lambda: asyncio.run(run_tasks()))]
        for caller in blocking:
            client = stack.enter_context(meshpass.Client(auth=caller.source, **self._reach))
            threads.append(threading.Thread(target=caller.call, args=(client, done)))
        for thread in threads:
            thread.start()
            stack.callback(thread.join)
        stack.callback(done.set)
        return [*blocking, *tasks]

    def _source(self, key: Callable[[], bytes]) -> meshpass.SignedJWT:
        return meshpass.SignedJWT(
            self.contract["JWT_ISSUER"],
            self.contract["JWT_AUDIENCE"],
            key,
            subject=self.contract["JWT_SUBJECT"],
            scope=self.contract["JWT_SCOPE"],
            lifetime_s=TOKEN_LIFETIME_S,
            key_ttl_s=KEY_TTL_S,
        )

    def _settings(self) -> meshpass.Settings:
        return meshpass.Settings.from_env(
            {
                **self.contract,
                "GKE_GATEWAY_URL": self.mesh.gateway_url,
                "GKE_GATEWAY_CA_FILE": str(self.mesh.gateway_ca),
            }
        )


@pytest.fixture
def drill(
    project: Project, run_mesh: RunMesh, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Drill]:
    with run_mesh(project) as mesh, secretmanager.running() as address:
        monkeypatch.setenv("SECRET_MANAGER_EMULATOR_HOST", address)
        forget_tokens()  # of another drill, whose secret had the same name
        yield Drill(mesh, project, tmp_path)


def active_kids(drill: Drill) -> set[object]:
    return {keys.active.kid for keys in drill.each(KeyRing.status) if keys.active}


def wait_until(condition: Callable[[], bool], timeout_s: float = 40.0) -> None:
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.05)


def test_keys_are_rotated_and_revoked_under_a_minute_of_calls_and_none_fails(drill: Drill) -> None:
    drill.each(KeyRing.create)
    drill.publish()
    with ExitStack() as stack:
        began = time.monotonic()
        callers = drill.start_callers(stack)

        def signed_by_active() -> bool:
            return {caller.kid for caller in callers} == active_kids(drill)

        drill.each(KeyRing.next)
        for ring in drill.rings.values():
            with pytest.raises(KeyLifecycleError, match="not proven that the mesh accepts the key"):
                ring.promote(drill.proof)
        drill.publish()
        first = [store.read(1) for store in drill.rings]
        drill.each(lambda ring: ring.promote(drill.proof))
        for ring in drill.rings.values():
            with pytest.raises(KeyLifecycleError, match="may be in use"):
                ring.retire()
        drill.each(lambda ring: ring.retire(wait=True))
        assert signed_by_active()
        drill.publish()

        drill.each(KeyRing.next)
        drill.publish()
        second = [store.read(2) for store in drill.rings]
        drill.each(lambda ring: ring.revoke("active"))
        wait_until(signed_by_active)
        drill.publish()
        time.sleep(max(0.0, DRILL_S - (time.monotonic() - began)))
    assert [caller.failures for caller in callers] == [[]] * 4
    assert all(caller.calls > DRILL_S for caller in callers)
    for pem in (*first, *second):
        assert drill.refusal_of(pem) == NO_SUCH_KEY


def test_a_key_that_leaked_goes_out_at_once_and_no_call_fails(drill: Drill) -> None:
    """Each program meets one refusal, reads its key anew and sends the call again."""
    drill.each(KeyRing.create)
    drill.publish()
    with ExitStack() as stack:
        callers = drill.start_callers(stack)
        wait_until(lambda: all(caller.calls for caller in callers))
        drill.each(KeyRing.next)
        drill.publish()
        leaked = [store.read(1) for store in drill.rings]
        drill.each(lambda ring: ring.revoke("active"))
        drill.publish()
        for pem in leaked:
            assert drill.refusal_of(pem) == NO_SUCH_KEY
        calls = [caller.calls for caller in callers]
        wait_until(lambda: all(now.calls > before + 10 for now, before in zip(callers, calls, strict=True)))
        assert {caller.kid for caller in callers} == active_kids(drill)
    assert [caller.failures for caller in callers] == [[]] * 4
