"""Pytest plugin: fixtures, there without an import wherever meshpass is installed.

Nothing of meshpass but this file is loaded until a test asks for one of them, or the option `meshpass_from_env` is on.
"""

import shutil
import sys
import tempfile
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator

    from meshpass.testing import FakeClock, FakeGateway, FakeMetadataServer

_FROM_ENV = "meshpass_from_env"
_started = pytest.StashKey["FakeGateway"]()
_ends = pytest.StashKey[ExitStack]()


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the option `meshpass_from_env` of pytest's configuration file."""
    parser.addini(
        _FROM_ENV,
        "Start the gateway of `meshpass_gateway` before tests are collected and set the variables that"
        " Client.from_env() reads, for programs that call it when they are imported.",
        type="bool",
        default=False,
    )


def pytest_configure(config: pytest.Config) -> None:
    """Start the gateway of the whole run, where the option asks for it."""
    if not config.getini(_FROM_ENV):
        return
    from meshpass.testing import FakeGateway

    with ExitStack() as stack:
        directory = tempfile.mkdtemp(prefix="meshpass-")
        stack.callback(shutil.rmtree, directory, ignore_errors=True)
        gateway = FakeGateway().start()
        stack.callback(gateway.close)
        patch = pytest.MonkeyPatch()
        stack.callback(patch.undo)
        for name in ("IDENTITY", "MESH_AUTH", "GKE_GATEWAY_CA_FILE", "JWT_SUBJECT", "SIGNING_KEY_SECRET_ID"):
            patch.delenv(name, raising=False)
        for name, value in gateway.environ(directory).items():
            patch.setenv(name, value)
        config.stash[_started] = gateway
        config.stash[_ends] = stack.pop_all()


def pytest_unconfigure(config: pytest.Config) -> None:
    """Stop the gateway of the whole run, and put the environment back."""
    ends = config.stash.get(_ends, None)
    if ends is not None:
        ends.close()


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_call(item: pytest.Item) -> "Generator[None, Any, None]":
    """Let a test fail with what its own functions behind the gateway raised, whatever the client made of it."""
    outcome = yield
    for gateway in _gateways_of(item):
        try:
            gateway.raise_error()
        except BaseException as error:  # noqa: BLE001 - `pytest.fail` and `pytest.skip` raise such
            if error.__context__ is None and outcome.excinfo is not None:
                error.__context__ = outcome.excinfo[1]
            outcome.force_exception(error)


@pytest.fixture
def meshpass_clock() -> "FakeClock":
    """Return a clock that stands still until the test moves it."""
    from meshpass.testing import FakeClock

    return FakeClock()


@pytest.fixture
def meshpass_gateway(request: pytest.FixtureRequest) -> "Iterator[FakeGateway]":
    """Yield a running gateway with its own signing key; see `meshpass.testing.FakeGateway`."""
    from meshpass.testing import FakeGateway, forget_tokens

    forget_tokens()
    started = request.config.stash.get(_started, None)
    try:
        if started is None:
            with FakeGateway() as gateway:
                yield gateway
        else:
            started.reset()
            yield started
            started.raise_error()
            started.reset()
    finally:
        forget_tokens()


@pytest.fixture
def meshpass_metadata(monkeypatch: pytest.MonkeyPatch) -> "Iterator[FakeMetadataServer]":
    """Yield a running metadata server that this process's environment leads to; see `FakeMetadataServer`."""
    from meshpass.testing import FakeMetadataServer, forget_tokens

    forget_tokens()
    with FakeMetadataServer() as server:
        monkeypatch.delenv("GOOGLE_APPLICATION_CREDENTIALS", raising=False)
        for name, value in server.environ.items():
            monkeypatch.setenv(name, value)
        yield server
    forget_tokens()


def _gateways_of(item: pytest.Item) -> "list[FakeGateway]":
    """Return the gateways among the test's fixtures, and that of the whole run."""
    module = sys.modules.get("meshpass.testing._fake_gateway")
    if module is None:
        return []
    fixtures = getattr(item, "funcargs", {})
    found = [*fixtures.values(), item.config.stash.get(_started, None)]
    return [value for value in found if isinstance(value, module.FakeGateway)]
