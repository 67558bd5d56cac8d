# ruff: noqa: ANN401, PT017, TRY301
"""No frame of an exception that leaves the package holds a key or token: errors, interrupts, cancellation, limits."""

import asyncio
import itertools
import json
import os
import signal
import socket
import threading
import traceback
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

import google.auth
import google_crc32c
import meshpass
import meshpass.keys
import pytest
import requests
from google.auth.exceptions import RefreshError
from google.cloud.secretmanager_v1.services.secret_manager_service import SecretManagerServiceClient
from meshlab.cloud import secretmanager
from meshpass._http.wire import Reader
from meshpass._tokens import cache, key_sources, kms
from meshpass.testing import InMemorySource, ThrowawayKey, forget_tokens

from .conftest import RawServer, Server, pem_of
from .test_sdk_kms import _NAME, KMS
from .traces import Secrets, held_by_error, interrupted_at, reachable

# An interrupt may come between a file or socket and what closes it; Python closes it then, with a warning.
pytestmark = [
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
    pytest.mark.usefixtures("garbage_freed"),
]

_ACCESS = "access-token-of-google-0123456789"


@pytest.fixture
def secrets(pem: bytes) -> Secrets:
    return Secrets().add_key(pem).add(_ACCESS)


@pytest.fixture
def key_file(pem: bytes, tmp_path: Path) -> meshpass.KeyFile:
    (tmp_path / "signing.pem").write_bytes(pem)
    return meshpass.KeyFile(tmp_path / "signing.pem")


@pytest.fixture
def secret(pem: bytes, monkeypatch: pytest.MonkeyPatch) -> Iterator[meshpass.SecretManagerKey]:
    with secretmanager.running() as address:
        monkeypatch.setenv("SECRET_MANAGER_EMULATOR_HOST", address)
        meshpass.keys.SecretManagerKeyStore("projects/p/secrets/s").prepare()
        with key_sources.secret_manager_client("projects/p/secrets/s") as client:
            client.add_secret_version(request={"parent": "projects/p/secrets/s", "payload": {"data": pem}})
        yield meshpass.SecretManagerKey("projects/p/secrets/s/versions/1", timeout_s=5)


@pytest.fixture
def kms_key(server: Server, monkeypatch: pytest.MonkeyPatch) -> meshpass.KMSKey:
    """Cloud KMS that is asked with an access token, as in production."""
    server.answer = KMS()
    monkeypatch.setattr(
        kms, "_endpoint", lambda _: (f"http://{server.address}", {"authorization": f"Bearer {_ACCESS}"})
    )
    return meshpass.KMSKey(_NAME)


@pytest.fixture(autouse=True)
def _no_lock_is_left() -> Iterator[None]:
    """Fail the test that leaves the lock of all tokens held, and not those that come after it."""
    yield
    free = cache._lock.acquire(timeout=5)
    assert free, "the lock of the token cache is still held"
    cache._lock.release()


def _clean(error: BaseException, secrets: Secrets) -> None:
    assert held_by_error(error, secrets) is None


def at_every_line(use: Callable[[], object], secrets: Secrets, folder: str, at_most: int = 250) -> int:
    """Interrupt `use` at each line that it runs below a folder, as Ctrl-C would; at some of them if there are many.

    In a thread of its own: an interrupt from a trace function may leave an exception "being handled" in its thread.
    """
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(_at_every_line, use, secrets, folder, at_most).result()


def _at_every_line(use: Callable[[], object], secrets: Secrets, folder: str, at_most: int) -> int:
    with interrupted_at(0, KeyboardInterrupt(), folder) as lines:
        use()
    number = lines()
    interrupted = 0
    for line in range(1, number + 1, 1 + number // at_most):
        forget_tokens()
        try:
            with interrupted_at(line, KeyboardInterrupt(), folder):
                use()
        except KeyboardInterrupt as error:
            interrupted += 1
            assert held_by_error(error, secrets) is None, f"line {line}"
    return interrupted


@pytest.mark.parametrize("kind", ["key_file", "secret", "kms_key"])
def test_ctrl_c_at_any_line_of_a_token_leaves_nothing(
    kind: str, secrets: Secrets, request: pytest.FixtureRequest
) -> None:
    key = request.getfixturevalue(kind)

    def use() -> None:
        meshpass.SignedJWT("i", "ctrl-c", key).token()

    assert at_every_line(use, secrets, "/meshpass/_tokens/") > 60


def test_ctrl_c_at_any_line_of_jwks_leaves_nothing(secrets: Secrets, key_file: meshpass.KeyFile) -> None:
    assert at_every_line(lambda: meshpass.SignedJWT("i", "a", key_file).jwks(), secrets, "/_tokens/") > 20


def test_ctrl_c_while_google_auth_handles_an_error_leaves_nothing_of_it(secrets: Secrets) -> None:
    def interrupted() -> bytes:
        try:
            raise RefreshError(f"the response was {_ACCESS}")
        except RefreshError:
            raise KeyboardInterrupt from None

    with pytest.raises(KeyboardInterrupt) as caught:
        meshpass.SignedJWT("i", "a", interrupted).token()

    _clean(caught.value, secrets)
    assert reachable(caught.value) == [caught.value]


def test_what_the_caller_was_handling_stays_as_it_was(key_file: meshpass.KeyFile) -> None:
    def fail() -> None:
        here = "a variable of the caller"
        raise ValueError(len(here))

    missing = meshpass.KeyFile("no such file")
    try:
        fail()
    except ValueError as handled:
        with pytest.raises(meshpass.SigningKeyError) as caught:
            meshpass.SignedJWT("i", "handling", missing).token()
        assert caught.value.__context__ is handled
        trace = handled.__traceback__
        assert trace is not None
        assert trace.tb_next is not None
        assert trace.tb_next.tb_frame.f_locals["here"] == "a variable of the caller"


def test_the_traceback_still_names_the_lines() -> None:
    with pytest.raises(meshpass.SigningKeyError) as caught:
        meshpass.SignedJWT("i", "lines", meshpass.KeyFile("no such file")).token()

    assert Path(caught.traceback[-1].path).name == "key_sources.py"


# Errors


@pytest.mark.parametrize(
    "change", [{"signatureCrc32c": "1"}, {"signature": "x"}, {"pem": "no"}, {"algorithm": "x"}]
)
def test_a_damaged_response_of_kms_leaves_no_access_token(
    change: dict[str, str], kms_key: meshpass.KMSKey, server: Server, secrets: Secrets
) -> None:
    good = KMS()
    good.change = lambda answer: {**answer, **{k: v for k, v in change.items() if k in answer}}
    server.answer = good

    with pytest.raises(meshpass.SigningKeyError) as caught:
        meshpass.SignedJWT("i", f"kms-{change}", kms_key).token()

    _clean(caught.value, secrets)


@pytest.mark.parametrize("status", [400, 401, 403, 404, 500, 503])
def test_a_refusal_of_kms_leaves_no_access_token(
    status: int, kms_key: meshpass.KMSKey, server: Server, secrets: Secrets
) -> None:
    server.answer = lambda seen: (status, {}, json.dumps({"error": seen.headers["authorization"]}).encode())

    for use in ("token", "jwks"):
        source = meshpass.SignedJWT("i", f"kms-{status}", meshpass.KMSKey(kms_key.name, timeout_s=0.5))
        with pytest.raises(meshpass.SigningKeyError) as caught:
            getattr(source, use)()
        _clean(caught.value, secrets)


def test_a_secret_that_arrives_damaged_leaves_no_key(
    secret: meshpass.SecretManagerKey, secrets: Secrets, monkeypatch: pytest.MonkeyPatch
) -> None:
    numbers = itertools.count()
    monkeypatch.setattr(google_crc32c, "value", lambda _: next(numbers))

    for use in (secret, meshpass.SignedJWT("i", "damaged", secret).token):
        with pytest.raises(meshpass.SigningKeyError, match="arrived damaged") as caught:
            use()
        _clean(caught.value, secrets)
    with pytest.raises(meshpass.keys.KeyLifecycleError, match="arrived damaged") as read:
        meshpass.keys.SecretManagerKeyStore("projects/p/secrets/s").read(1)
    _clean(read.value, secrets)


def test_credentials_that_secret_manager_cannot_use_show_nothing_of_their_response(
    secrets: Secrets, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise RefreshError(f"the response was {_ACCESS}", {"access_token": _ACCESS})

    monkeypatch.delenv("SECRET_MANAGER_EMULATOR_HOST", raising=False)
    monkeypatch.setattr(google.auth, "default", fail)
    monkeypatch.setattr(SecretManagerServiceClient, "__init__", fail)
    key = meshpass.SecretManagerKey("projects/p/secrets/s/versions/1")
    store = meshpass.keys.SecretManagerKeyStore("projects/p/secrets/s")

    for use in (
        key,
        meshpass.SignedJWT("i", "refresh", key).token,
        store.load,
        store.prepare,
        lambda: store.read(1),
    ):
        with pytest.raises(meshpass.MeshError) as caught:
            use()
        _clean(caught.value, secrets)
        assert len(reachable(caught.value)) == 1


@pytest.mark.parametrize("cut", [60, 120, 200])
def test_a_key_that_cannot_be_parsed_is_in_no_frame(
    cut: int, pem: bytes, secrets: Secrets, tmp_path: Path
) -> None:
    file = tmp_path / "cut.pem"
    file.write_bytes(pem[:cut])
    key = ThrowawayKey()
    secrets.add_key(key())

    for source in (meshpass.KeyFile(file), lambda: pem[:cut], lambda: key() + pem[:cut][::-1]):
        signed = meshpass.SignedJWT("i", f"cut-{cut}", source)
        for use in (signed.jwks, signed.token):
            try:
                use()
            except meshpass.SigningKeyError as error:
                _clean(error, secrets)


def test_an_old_key_that_goes_on_leaves_nothing_of_the_failure(pem: bytes, secrets: Secrets) -> None:
    now = [1_800_000_000.0]
    keys = [pem]
    source = meshpass.SignedJWT("i", "old", lambda: keys[-1], clock=lambda: now[0])
    source.token()
    keys.append(pem[:150])
    now[0] += 301
    source.token()

    now[0] += 10_000
    source._loaded = None
    with pytest.raises(meshpass.SigningKeyError) as caught:
        source.token()

    _clean(caught.value, secrets)


# The life of keys


def test_a_store_that_cannot_be_written_leaves_no_new_key(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    made: list[bytes] = []
    monkeypatch.setattr("meshpass.keys._ring._new_key", lambda *_: made.append(ThrowawayKey()()) or made[-1])  # type: ignore[func-returns-value]
    monkeypatch.setattr(os, "fsync", full)
    store = meshpass.keys.FileKeyStore(tmp_path)

    with pytest.raises(meshpass.keys.KeyLifecycleError) as ring:
        meshpass.keys.KeyRing(store).create()
    with pytest.raises(meshpass.keys.KeyLifecycleError) as add:
        store.add(store.load(), made[0], "next", 0)

    for error in (ring.value, add.value):
        _clean(error, Secrets().add_key(made[0]))


def test_ctrl_c_at_any_line_of_a_new_key_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pem = ThrowawayKey()()
    monkeypatch.setattr("meshpass.keys._ring._new_key", lambda *_: pem)
    number = iter(range(100_000))

    def use() -> None:
        meshpass.keys.KeyRing(meshpass.keys.FileKeyStore(tmp_path / str(next(number)))).create()

    assert at_every_line(use, Secrets().add_key(pem), "/meshpass/keys/") > 40


@pytest.mark.parametrize("proof", ["gateway", "own"])
def test_a_proof_that_fails_leaves_no_key(
    proof: str, pem: bytes, server: Server, tmp_path: Path, secrets: Secrets
) -> None:
    def own(pem: bytes) -> None:
        raise ValueError(len(pem))

    settings = meshpass.Settings(
        base_url="http://user-profile.internal",
        address=server.address,
        ca_file=None,
        issuer="i",
        audience="a",
        scope="s",
        subject=None,
        key=None,
    )
    server.answer = lambda _: (401, {"server": "istio-envoy"}, b"Jwt verification fails")
    gateway = meshpass.keys.GatewayProof(settings, "/", {}, calls=1)
    prove: Any = gateway if proof == "gateway" else own
    store = meshpass.keys.FileKeyStore(tmp_path)
    store.add(store.load(), ThrowawayKey()(), "active", 0)
    store.add(store.load(), pem, "next", 0)

    with pytest.raises((meshpass.MeshError, ValueError)) as caught:
        meshpass.keys.KeyRing(store).promote(prove)
    _clean(caught.value, secrets)
    with pytest.raises((meshpass.MeshError, ValueError)) as caught:
        gateway(pem)
    _clean(caught.value, secrets)


# Waiting for a token


def test_a_cancelled_or_late_wait_for_a_token_holds_nothing(pem: bytes, secrets: Secrets) -> None:
    gate = threading.Event()

    def slow() -> bytes:
        held = pem
        gate.wait(20)
        return held

    source = meshpass.SignedJWT("i", "waits", slow)

    async def late() -> None:
        async with asyncio.timeout(0.05):
            await source.atoken()

    async def cancelled() -> None:
        task = asyncio.create_task(source.atoken())
        await asyncio.sleep(0.05)
        task.cancel()
        await task

    async def grouped() -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(source.atoken())
            group.create_task(late())

    errors: list[BaseException] = []
    for use in (late, cancelled, grouped):
        try:
            asyncio.run(use())
        except BaseException as error:  # noqa: BLE001 - what a caller may see of it
            errors.append(error)
    with pytest.raises(meshpass.MeshTimeout) as caught:
        source.token(timeout_s=0.05)
    errors.append(caught.value)
    gate.set()
    secrets.add_token(source.token().value)

    assert [type(one).__name__ for one in errors] == [
        "TimeoutError",
        "CancelledError",
        "ExceptionGroup",
        "MeshTimeout",
    ]
    for one in errors:
        _clean(one, secrets)


# Calls


@pytest.fixture
def silent(raw_server: RawServer) -> str:
    """A server that takes requests and never responds."""

    def serve(connection: socket.socket) -> None:
        while connection.recv(4096):
            pass

    return raw_server(serve)


def _call(address: str, source: meshpass.SignedJWT, timeout_s: float = 20) -> None:
    with meshpass.Client("http://a.internal", address=address, auth=source, timeout_s=timeout_s) as client:
        client.request("POST", "/", content=b"x" * 10)


async def _acall(address: str, source: meshpass.SignedJWT, timeout_s: float = 20) -> None:
    async with meshpass.AsyncClient(
        "http://a.internal", address=address, auth=source, timeout_s=timeout_s
    ) as client:
        await client.request("POST", "/", content=b"x" * 10)


def _with_token(source: meshpass.SignedJWT, secrets: Secrets) -> meshpass.SignedJWT:
    secrets.add_token(source.token().value)
    return source


def test_asyncio_timeout_and_cancellation_of_a_call_hold_no_token(
    silent: str, auth: meshpass.SignedJWT, secrets: Secrets
) -> None:
    source = _with_token(auth, secrets)

    async def late() -> None:
        async with asyncio.timeout(0.1):
            await _acall(silent, source)

    async def cancelled() -> None:
        task = asyncio.create_task(_acall(silent, source))
        await asyncio.sleep(0.1)
        task.cancel()
        await task

    for use in (late, cancelled):
        with pytest.raises((TimeoutError, asyncio.CancelledError)) as caught:
            asyncio.run(use())
        _clean(caught.value, secrets)


def test_a_call_that_times_out_or_breaks_holds_no_token(
    silent: str, auth: meshpass.SignedJWT, secrets: Secrets, raw_server: RawServer
) -> None:
    source = _with_token(auth, secrets)

    def hang_up(connection: socket.socket) -> None:
        connection.recv(4096)

    broken = raw_server(hang_up)

    for address in (silent, broken, "127.0.0.1:9"):
        with pytest.raises(meshpass.MeshError) as caught:
            _call(address, source, timeout_s=0.2)
        _clean(caught.value, secrets)
        with pytest.raises(meshpass.MeshError) as caught:
            asyncio.run(_acall(address, source, timeout_s=0.2))
        _clean(caught.value, secrets)


def test_ctrl_c_while_a_call_waits_for_its_response_holds_no_token(
    auth: meshpass.SignedJWT, secrets: Secrets, raw_server: RawServer
) -> None:
    source = _with_token(auth, secrets)

    def interrupt(connection: socket.socket) -> None:
        connection.recv(4096)
        signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)
        with suppress(OSError):
            connection.recv(4096)

    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with pytest.raises(KeyboardInterrupt) as caught:
            _call(raw_server(interrupt), source)
    finally:
        signal.signal(signal.SIGINT, before)

    _clean(caught.value, secrets)


@pytest.mark.parametrize("call", ["blocking", "asyncio"])
@pytest.mark.parametrize("folder", ["/meshpass/_http/", "/meshpass/_call/", "/meshpass/_"])
def test_ctrl_c_at_any_line_of_a_call_holds_no_token(
    call: str, folder: str, auth: meshpass.SignedJWT, secrets: Secrets, server: Server
) -> None:
    source = _with_token(auth, secrets)

    def use() -> None:
        # What sealing forgot is signed again with the same key; the look of a token is searched for in any case.
        if call == "blocking":
            _call(server.address, source)
        else:
            asyncio.run(_acall(server.address, source))

    assert at_every_line(use, secrets, folder, at_most=120) > 30


def test_ctrl_c_in_a_callback_of_the_event_loop_holds_no_token(
    auth: meshpass.SignedJWT, secrets: Secrets, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No call is on the stack there, which could clear the frames."""
    source = _with_token(auth, secrets)

    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Reader, "feed", interrupted)
    with pytest.raises(KeyboardInterrupt) as caught:
        asyncio.run(_acall(server.address, source))

    _clean(caught.value, secrets)


# Siblings


def test_an_exception_of_requests_or_httpx_meets_no_token_in_our_frames(
    server: Server, auth: meshpass.SignedJWT, secrets: Secrets
) -> None:
    source = _with_token(auth, secrets)
    server.answer = lambda _: (401, {}, b"")

    class BreaksTheSecond(requests.adapters.HTTPAdapter):
        sent = 0

        def send(self, *args: Any, **kwargs: Any) -> requests.Response:
            self.sent += 1
            if self.sent > 1:
                raise requests.ConnectionError
            return super().send(*args, **kwargs)

    session = requests.Session()
    session.mount("http://", BreaksTheSecond())
    with pytest.raises(requests.ConnectionError) as caught:
        session.get(f"http://{server.address}/", auth=meshpass.RequestsAuth(source))

    held = [
        repr(frame.f_locals)
        for frame, _ in traceback.walk_tb(caught.value.__traceback__)
        if "/meshpass/" in frame.f_code.co_filename
    ]
    assert held
    assert secrets.in_text("".join(held)) is None


def test_the_walk_finds_what_is_there(pem: bytes, secrets: Secrets) -> None:
    class Holder:
        __slots__ = ("inside",)

        def __init__(self, inside: object) -> None:
            self.inside = inside

    Holder.__module__ = "elsewhere"
    for hidden in (pem, [Holder({"k": pem.decode()})], Holder(Holder([_ACCESS])), f"Bearer {'x' * 20}"):
        error = ValueError("no")
        error.hidden = hidden  # type: ignore[attr-defined]
        group = ExceptionGroup("all", [KeyError("other"), error])
        outer = RuntimeError()
        outer.__context__ = group
        assert held_by_error(outer, secrets) is not None
    _clean(ValueError(pem_of), secrets)


def test_an_error_of_the_callers_own_hook_keeps_its_variables_and_its_cause(server: Server) -> None:
    def hook(_: object) -> None:
        mine = "a variable of the hook"
        try:
            raise KeyError(len(mine))
        except KeyError as cause:
            raise ValueError(mine) from cause

    auth = InMemorySource()
    client = meshpass.Client(
        "http://a.internal", address=server.address, auth=auth, event_hooks={"request": [hook]}
    )

    with client, pytest.raises(ValueError, match="a variable") as caught:
        client.get("/")

    assert isinstance(caught.value.__cause__, KeyError)
    assert caught.traceback[-1].frame.f_locals["mine"] == "a variable of the hook"
    assert held_by_error(caught.value, Secrets().add_token(auth.token().value)) is None
