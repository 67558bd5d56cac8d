"""A token or key shows in no repr, log, error, traceback or pickle."""

import copy
import logging
import pickle
import socket
import threading
import traceback
from collections.abc import Iterator
from contextlib import closing, suppress
from dataclasses import dataclass

import meshpass
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from .conftest import Authority, Connect, Server

_TOKEN = "header.s3cret-payload.signature"
_USER = "s3cret-user"


class Fixed:
    """A source whose token is known, to look for it everywhere."""

    def token(self) -> meshpass.Token:
        return meshpass.Token(_TOKEN, 9e9, "test", {"iss": "i", "aud": "a", "kid": "k", "exp": 9_000_000_000})

    async def atoken(self) -> meshpass.Token:
        return self.token()

    def invalidate(self, token: meshpass.Token) -> None: ...


def shown_by(error: BaseException) -> str:
    """Everything that a logger, a debugger or an error tracker would show of an error and what is behind it."""
    shown, seen = traceback.format_exception(error), error
    while seen is not None:
        shown += [repr(seen), repr(seen.args), repr(vars(seen)), str(seen)]
        seen = seen.__cause__ or seen.__context__  # type: ignore[assignment]
    return "\n".join(shown)


@pytest.fixture
def bad_http() -> Iterator[str]:
    """A server that reads a request and answers with something that is not HTTP."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def run() -> None:
            with suppress(OSError):
                while True:
                    connection, _ = listener.accept()
                    with closing(connection), suppress(OSError):
                        connection.recv(4096)
                        connection.sendall(b"HTTP/1.1 abc\r\n\r\n")

        thread = threading.Thread(target=run, daemon=True)
        thread.start()
        yield f"127.0.0.1:{listener.getsockname()[1]}"
        listener.shutdown(socket.SHUT_RDWR)
        thread.join()


def test_a_token_hides_its_value_and_cannot_be_pickled_or_copied() -> None:
    token = Fixed().token()

    assert _TOKEN not in f"{token!r} {token} {[token]}"
    for leak in (pickle.dumps, copy.copy, copy.deepcopy):
        with pytest.raises(TypeError, match="is a secret"):
            leak(token)


def test_a_subclass_of_a_token_hides_its_value_too() -> None:
    @dataclass(frozen=True)
    class Own(meshpass.Token):
        tenant: str = ""

    assert _TOKEN not in repr(Own(_TOKEN, 9e9, "test", {}, "t"))
    with pytest.raises(TypeError, match="is a secret"):
        copy.copy(Own(_TOKEN, 9e9, "test"))


def test_a_signed_jwt_source_hides_its_key_and_cannot_be_pickled_or_copied(
    auth: meshpass.SignedJWT, pem: bytes
) -> None:
    value = auth.token().value
    key = serialization.load_pem_private_key(pem, None)
    assert isinstance(key, ec.EllipticCurvePrivateKey)

    assert value not in repr(auth)
    assert str(key.private_numbers().private_value) not in repr(vars(auth)) + str(auth.jwks())
    for leak in (pickle.dumps, copy.copy, copy.deepcopy):
        with pytest.raises(TypeError, match="holds a signing key"):
            leak(auth)


@pytest.mark.parametrize(
    "content", [b"s3cret-key-material", b"-----BEGIN PRIVATE KEY-----\ns3cret-key-material"]
)
def test_a_bad_key_shows_nothing_of_itself(content: bytes) -> None:
    with pytest.raises(meshpass.SigningKeyError) as caught:
        meshpass.SignedJWT("i", "a", lambda: content).token()

    assert "s3cret" not in shown_by(caught.value)


def test_no_log_record_at_any_level_holds_the_token(
    connect: Connect, server: Server, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    for name in list(logging.root.manager.loggerDict):
        caplog.set_level(logging.DEBUG, logger=name)

    connect(address=server.address, auth=Fixed()).get("/")

    assert server.seen[0].headers["authorization"] == f"Bearer {_TOKEN}"
    assert "s3cret" not in "\n".join(record.getMessage() + repr(vars(record)) for record in caplog.records)


def test_an_answer_keeps_its_request_without_the_token(connect: Connect, server: Server) -> None:
    response = connect(address=server.address, auth=Fixed()).get("/")

    assert b"s3cret" not in pickle.dumps(response)
    assert "s3cret" not in repr(response.request.headers.raw)


def test_words_of_the_mesh_that_repeat_the_token_are_masked(connect: Connect, server: Server) -> None:
    server.answer = lambda seen: (
        401,
        {"server": "istio-envoy"},
        b"Jwt is bad: " + seen.headers["authorization"].encode(),
    )

    with pytest.raises(meshpass.TokenRefused) as caught:
        connect(address=server.address, auth=Fixed()).get("/")

    assert caught.value.detail == "Jwt is bad: Bearer ***"
    assert "s3cret" not in shown_by(caught.value)


def test_no_failure_on_the_way_shows_the_token(
    connect: Connect, server: Server, bad_http: str, ca: Authority
) -> None:
    server.answer = lambda _: (200, {"content-encoding": "gzip"}, b"not gzip")
    ways = [
        connect(address="127.0.0.1:9", auth=Fixed()),
        connect(address=bad_http, auth=Fixed()),
        connect(address=server.address, auth=Fixed()),
        connect("https://user-profile.internal", address=server.address, auth=Fixed(), ca_file=ca.file),
    ]

    for client in ways:
        with pytest.raises(meshpass.MeshError) as caught:
            client.get("/{user_id}", user_id=_USER)
        assert "s3cret" not in shown_by(caught.value)
        assert b"s3cret" not in pickle.dumps(caught.value)
