"""A running process follows a rotation of its signing key, and outlives a key store that is away."""

import asyncio
import logging
from collections.abc import Callable
from pathlib import Path

import jwt
import meshpass
import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from tests.clock import Clock

from .conftest import pem_of


class Store:
    """A key function whose answer can be changed, and which counts how often it is asked."""

    def __init__(self) -> None:
        self.asked = 0
        self.answer: Callable[[], bytes] = self.rotate()

    def rotate(self) -> Callable[[], bytes]:
        pem = pem_of(ec.generate_private_key(ec.SECP256R1()))
        self.answer = lambda: pem
        return self.answer

    def fail(self) -> None:
        def broken() -> bytes:
            raise meshpass.SigningKeyError("The store is away.", retryable=True)

        self.answer = broken

    def __call__(self) -> bytes:
        self.asked += 1
        return self.answer()


@pytest.fixture
def clock() -> Clock:
    return Clock(1_800_000_000.0)


@pytest.fixture
def store() -> Store:
    return Store()


@pytest.fixture
def source(store: Store, clock: Clock) -> meshpass.SignedJWT:
    return meshpass.SignedJWT("i", "a", store, clock=clock, key_ttl_s=400)


def kid_of(token: meshpass.Token) -> str:
    kid: str = jwt.get_unverified_header(token.value)["kid"]
    return kid


def test_the_first_token_after_the_keys_time_has_the_new_key(
    source: meshpass.SignedJWT, store: Store, clock: Clock
) -> None:
    old = kid_of(source.token())
    store.rotate()

    clock.now_s += 300
    assert kid_of(source.token()) == old
    assert store.asked == 1
    clock.now_s += 300
    new = source.token()

    assert kid_of(new) != old
    assert kid_of(new) == new.claims["kid"] == source.jwks()["keys"][0]["kid"]
    assert store.asked == 2


def test_a_key_file_that_was_replaced_is_followed(tmp_path: Path, clock: Clock) -> None:
    file = tmp_path / "key.pem"
    file.write_bytes(Store().answer())
    source = meshpass.SignedJWT("i", "a", meshpass.KeyFile(file), clock=clock)
    old = kid_of(source.token())

    file.write_bytes(Store().answer())
    clock.now_s += 301

    assert kid_of(source.token()) != old


def test_a_refused_token_makes_the_source_look_for_a_new_key_at_once(
    source: meshpass.SignedJWT, store: Store, clock: Clock
) -> None:
    refused = source.token()
    store.rotate()

    clock.now_s += 10
    source.invalidate(refused)

    assert kid_of(source.token()) != kid_of(refused)


def test_refusals_in_a_row_do_not_read_the_key_each_time(
    source: meshpass.SignedJWT, store: Store, clock: Clock
) -> None:
    for _ in range(50):
        source.invalidate(source.token())
        clock.now_s += 1

    assert store.asked <= 6


def test_the_old_key_goes_on_while_the_new_one_cannot_be_read(
    source: meshpass.SignedJWT, store: Store, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    old = kid_of(source.token())
    store.fail()

    clock.now_s += 500
    assert kid_of(source.token()) == old
    store.rotate()
    clock.now_s += 300

    assert kid_of(source.token()) != old
    assert [record.levelno for record in caplog.records if record.name == "meshpass"] == [logging.WARNING]
    assert "The store is away." in caplog.text


@pytest.mark.parametrize("content", [b"", b"-----BEGIN PRIVATE KEY-----\ns3cret"])
def test_the_old_key_goes_on_where_the_new_one_is_no_key(
    source: meshpass.SignedJWT, store: Store, clock: Clock, caplog: pytest.LogCaptureFixture, content: bytes
) -> None:
    old = kid_of(source.token())
    store.answer = lambda: content

    clock.now_s += 500

    assert kid_of(source.token()) == old
    assert "cannot sign a token" in caplog.text
    assert "s3cret" not in caplog.text


def test_a_function_that_fails_in_its_own_way_is_named_by_its_error_alone(
    source: meshpass.SignedJWT, store: Store, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    def broken() -> bytes:
        raise LookupError("s3cret")

    source.token()
    store.answer = broken
    clock.now_s += 500
    source.token()

    assert "LookupError" in caplog.text
    assert "s3cret" not in caplog.text


def test_a_clock_set_back_does_not_keep_a_key_for_longer(
    source: meshpass.SignedJWT, store: Store, clock: Clock
) -> None:
    old = kid_of(source.token())
    store.rotate()

    clock.now_s -= 3600

    assert kid_of(source.token()) != old


def test_asyncio_signs_with_a_new_key_too(source: meshpass.SignedJWT, store: Store, clock: Clock) -> None:
    async def both() -> tuple[meshpass.Token, meshpass.Token]:
        first = await source.atoken()
        store.rotate()
        clock.now_s += 500
        return first, await source.atoken()

    first, second = asyncio.run(both())

    assert kid_of(first) != kid_of(second)
