"""MESHPASS_LOG switches the log on for parts of the package, and no level shows a secret."""

import logging
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import meshpass
import pytest
from meshpass import _debug_log

from .conftest import Server


@pytest.fixture
def enable() -> Iterator[Callable[[str], None]]:
    """Switch the log on for the time of a test."""
    logger = logging.getLogger("meshpass")
    before, handlers = logger.level, []
    yield lambda value: handlers.append(_debug_log.enable(value))
    for handler in handlers:
        logger.removeHandler(handler)
    logger.setLevel(before)


def call(server: Server, pem: bytes) -> str:
    """Call twice, the second time the service refuses; returns the tokens as the server saw them."""
    statuses = iter([200, 401])
    server.answer = lambda _: (next(statuses), {"www-authenticate": "Bearer"}, b"{}")
    auth = meshpass.SignedJWT("https://issuer.test", "user-profile", lambda: pem, scope="profile.read")
    with meshpass.Client("http://user-profile.internal", address=server.address, auth=auth) as client:
        client.get("/profile/{user_id}", user_id="u-secret-42")
        client.get("/profile/{user_id}", user_id="u-secret-42")
    return " ".join(seen.headers["authorization"].removeprefix("Bearer ") for seen in server.seen)


def test_debug_shows_each_call_and_neither_token_nor_key_nor_value(
    server: Server, pem: bytes, enable: Callable[[str], None], capsys: pytest.CaptureFixture[str]
) -> None:
    enable("debug")
    tokens = call(server, pem)
    shown = capsys.readouterr().err
    assert "DEBUG meshpass: answered service=" in shown
    assert "status=401" in shown
    assert len(tokens.split()) == 2
    for secret in (
        *tokens.split(),
        *(part for token in tokens.split() for part in token.split(".")[1:]),
        "u-secret-42",
    ):
        assert secret not in shown
    assert [line for line in pem.decode().splitlines()[1:-1] if line in shown] == []


def test_a_part_is_switched_on_alone(
    server: Server, pem: bytes, enable: Callable[[str], None], capsys: pytest.CaptureFixture[str]
) -> None:
    enable("error,tokens=debug")
    call(server, pem)
    assert "answered" not in capsys.readouterr().err
    enable("error,call=debug")
    call(server, pem)
    assert "answered" in capsys.readouterr().err


def test_a_word_that_is_no_level_is_a_warning(
    enable: Callable[[str], None], capsys: pytest.CaptureFixture[str]
) -> None:
    enable("loud,tokens=quiet")
    assert "MESHPASS_LOG has ['loud', 'tokens=quiet']; write a level" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("path", "part"),
    [
        ("/x/meshpass/_call/plan.py", "call"),
        ("/x/meshpass/_tokens/google/id_token.py", "tokens"),
        ("/x/meshpass/_client.py", "clients"),
        ("/elsewhere.py", "clients"),
    ],
)
def test_a_part_is_a_folder_of_the_package(path: str, part: str) -> None:
    assert _debug_log.part_of(path) == part


def test_without_the_variable_nothing_is_loaded_and_with_it_the_log_is_on(tmp_path: Path) -> None:
    code = "import sys, meshpass; print('meshpass._debug_log' in sys.modules)"
    for environment, loaded in (({}, "False"), ({"MESHPASS_LOG": "info"}, "True")):
        done = subprocess.run(
            [sys.executable, "-c", code],
            env=environment,
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=True,
        )
        assert done.stdout.strip() == loaded
