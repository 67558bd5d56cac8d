"""The smaller parts of the kit: clock, source, key, fixtures, and what importing it costs."""

import asyncio
import copy
import pickle
import re
import subprocess
import sys
from pathlib import Path

import httpx
import meshpass
import meshpass.testing
import pytest
from meshpass.testing import (
    FakeClock,
    FakeGateway,
    FakeMetadataServer,
    InMemorySource,
    JWKSVerifier,
    ThrowawayKey,
    forget_tokens,
)

pytest_plugins = ["pytester"]


def test_time_passes_on_both_clocks_and_jumps_on_one() -> None:
    clock = FakeClock(1000.0)
    clock.advance(5)
    clock.jump(-100)

    assert (clock(), clock.time(), clock.monotonic()) == (905.0, 905.0, 5.0)
    with pytest.raises(ValueError, match="cannot pass backwards"):
        clock.advance(-1)


def test_a_source_keeps_its_token_until_it_expires() -> None:
    clock = FakeClock()
    source = InMemorySource(clock=clock)
    first = source.token()

    assert asyncio.run(source.atoken()) is first
    clock.advance(300)
    assert source.token().value == "test-token-2"


def test_a_source_forgets_a_refused_token_and_counts_it() -> None:
    source = InMemorySource()
    first = source.token()
    source.invalidate(first)
    second = source.token()
    source.invalidate(first)

    assert source.token() is second
    assert (source.issued, source.invalidated) == (2, 1)


def test_a_source_fails_as_the_test_says() -> None:
    source = InMemorySource()
    source.error = meshpass.SigningKeyError("No key.")

    with pytest.raises(meshpass.SigningKeyError, match="No key"):
        source.token()


def test_a_key_signs_what_no_signer_should() -> None:
    key = ThrowawayKey()
    verifier = JWKSVerifier("me", [], key.jwks)

    assert verifier.verify(key.sign({"iss": "me"})).accepted
    assert not verifier.verify(key.sign({"iss": "me"}, headers={"kid": "another"})).accepted


@pytest.mark.parametrize("part", [ThrowawayKey(), InMemorySource()])
def test_what_holds_a_secret_cannot_be_pickled_or_copied(part: object) -> None:
    for leak in (pickle.dumps, copy.copy, copy.deepcopy):
        with pytest.raises(TypeError, match="cannot be pickled or copied"):
            leak(part)


@pytest.mark.parametrize(
    ("jwks", "words"),
    [
        ({"keys": []}, "has no keys"),
        ({"keys": [{"kty": "RSA", "kid": "r"}]}, "'r' is not a public key of a kind"),
        (
            {"keys": [{"kty": "EC", "crv": "P-256", "kid": "e", "x": "AA", "y": "AA"}]},
            "'e' is not a public key of a kind",
        ),
    ],
)
def test_a_jwks_that_could_verify_nothing_is_refused(
    jwks: dict[str, list[dict[str, str]]], words: str
) -> None:
    with pytest.raises(ValueError, match=words):
        JWKSVerifier("me", [], jwks)


def test_importing_the_kit_loads_none_of_its_parts() -> None:
    probe = (
        "import sys, importlib, typing; before = set(sys.modules)\n"
        "import meshpass.testing; print(*set(sys.modules) - before)"
    )
    ran = subprocess.run([sys.executable, "-c", probe], check=True, capture_output=True, text=True)

    assert set(ran.stdout.split()) == {"meshpass", "meshpass.testing"}


def test_every_name_of_the_kit_is_there_and_listed() -> None:
    assert sorted(meshpass.testing.__all__) == meshpass.testing.__all__
    for name in meshpass.testing.__all__:
        assert getattr(meshpass.testing, name).__doc__
        assert name in dir(meshpass.testing)
    with pytest.raises(AttributeError, match="no attribute 'Nothing'"):
        _ = meshpass.testing.Nothing


def test_the_fixtures_are_there_without_an_import(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        """
        def test_a_call(meshpass_gateway, meshpass_clock, meshpass_metadata):
            meshpass_clock.advance(1)
            assert meshpass_metadata.address
            with meshpass_gateway.client() as client:
                assert client.get("/").status_code == 200
        """
    )
    ran = pytester.runpytest_subprocess("-W", "error")

    ran.assert_outcomes(passed=1)


def test_the_plugin_loads_no_part_of_meshpass_before_a_test_asks(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        """
        import sys

        def test_nothing_is_loaded():
            assert not {name for name in sys.modules if name.startswith("meshpass.")} - {
                "meshpass.testing", "meshpass.testing.pytest_plugin"
            }
        """
    )

    pytester.runpytest_subprocess().assert_outcomes(passed=1)


def test_a_source_is_an_auth_for_httpx(meshpass_gateway: FakeGateway) -> None:
    answer = httpx.get(f"http://{meshpass_gateway.address}/", auth=InMemorySource("a.b.c"))

    assert answer.status_code == 401
    assert [seen.headers["authorization"] for seen in meshpass_gateway.requests] == ["Bearer a.b.c"]


def test_forgotten_tokens_are_fetched_anew(meshpass_metadata: FakeMetadataServer) -> None:
    source = meshpass.GoogleIDToken("someone", credentials="metadata")
    source.token()
    source.token()
    forget_tokens()
    source.token()

    assert [seen.path.rpartition("/")[2] for seen in meshpass_metadata.requests].count("identity") == 2


def test_a_forgotten_failure_does_not_keep_the_next_call_waiting(
    meshpass_metadata: FakeMetadataServer,
) -> None:
    source = meshpass.GoogleIDToken("someone", credentials="metadata")
    meshpass_metadata.fail(1, status=404)
    with pytest.raises(meshpass.IdentityError):
        source.token()
    forget_tokens()

    assert source.token().source


def test_the_tests_that_the_readme_shows_pass(pytester: pytest.Pytester) -> None:
    readme = (Path(__file__).parents[3] / "sdk/README.md").read_text()
    (shown,) = [
        snippet for snippet in re.findall(r"```python\n(.*?)```", readme, re.DOTALL) if "def test_" in snippet
    ]
    pytester.makepyfile(shown)

    pytester.runpytest_subprocess("-W", "error").assert_outcomes(passed=shown.count("def test_"))
