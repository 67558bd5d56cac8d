"""Fixtures for pytest, there without an import wherever meshpass is installed.

Nothing of meshpass but this file is loaded until a test asks for one of them.
"""

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from meshpass.testing import FakeClock, FakeGateway, FakeMetadataServer


@pytest.fixture
def meshpass_clock() -> "FakeClock":
    """A clock that stands still until the test moves it."""
    from meshpass.testing import FakeClock

    return FakeClock()


@pytest.fixture
def meshpass_gateway() -> "Iterator[FakeGateway]":
    """A running gateway with its own signing key; see `meshpass.testing.FakeGateway`."""
    from meshpass.testing import FakeGateway, forget_tokens

    forget_tokens()
    with FakeGateway() as gateway:
        yield gateway
    forget_tokens()


@pytest.fixture
def meshpass_metadata(monkeypatch: pytest.MonkeyPatch) -> "Iterator[FakeMetadataServer]":
    """A running metadata server that this process's environment leads to; see `FakeMetadataServer`."""
    from meshpass.testing import FakeMetadataServer, forget_tokens

    forget_tokens()
    with FakeMetadataServer() as server:
        monkeypatch.delenv("GOOGLE_APPLICATION_CREDENTIALS", raising=False)
        for name, value in server.environ.items():
            monkeypatch.setenv(name, value)
        yield server
    forget_tokens()
