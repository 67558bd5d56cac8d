"""What Envoy's library accepts against the RFCs, and `strict=True` refuses."""

import json
from collections.abc import Callable, Mapping

import meshpass
import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, utils
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from meshpass.testing import FakeClock, FakeGateway, InMemorySource, JWKSVerifier, ThrowawayKey

from .signers import ALGORITHMS, Signer, encoded, segment

ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
KEY = ThrowawayKey()
CLOCK = FakeClock()
CLAIMS = {"iss": "me", "aud": "you", "exp": int(CLOCK()) + 300}


def signature(signed: str, digest: hashes.HashAlgorithm | None = None) -> tuple[int, int]:
    private = load_pem_private_key(KEY(), None)
    assert isinstance(private, ec.EllipticCurvePrivateKey)
    return utils.decode_dss_signature(private.sign(signed.encode(), ec.ECDSA(digest or hashes.SHA256())))


def token(
    header: Mapping[str, object] | bytes | None = None, claims: Mapping[str, object] | bytes = CLAIMS
) -> str:
    header = {"alg": "ES256", "kid": KEY.kid} if header is None else header
    signed = f"{segment(header)}.{segment(claims)}"
    r, s = signature(signed)
    return f"{signed}.{encoded(r.to_bytes(32, 'big') + s.to_bytes(32, 'big'))}"


def verifiers(**jwk: object) -> tuple[JWKSVerifier, JWKSVerifier]:
    """Envoy's rules and the RFCs', with the key's JWK changed; None leaves a member out."""
    changed = {name: value for name, value in {**KEY.jwks["keys"][0], **jwk}.items() if value is not None}
    jwks = {"keys": [changed]}
    return (
        JWKSVerifier("me", ["you"], jwks, clock=CLOCK),
        JWKSVerifier("me", ["you"], jwks, clock=CLOCK, strict=True),
    )


def assert_only_strict_refuses(written: str, words: str, **jwk: object) -> None:
    as_envoy, strict = verifiers(**jwk)
    assert as_envoy.verify(written).accepted
    refused = strict.verify(written)
    assert (refused.status, refused.accepted) == (401, False)
    assert words in refused.words


def test_a_valid_token_passes_both() -> None:
    for verifier in verifiers():
        assert verifier.verify(token()).accepted
    for verifier in verifiers(use=None, alg=None, key_ops=["verify"]):
        assert verifier.verify(token()).accepted


@pytest.mark.parametrize(
    ("shape", "words"),
    [
        (lambda r, s: b"\0" + r + b"\0" + s, "has 64 bytes, and this one 66"),
        (lambda r, s: r + s + b"\0", "has 64 bytes, and this one 65"),
        (lambda r, s: bytes(32) + r + bytes(32) + s, "has 64 bytes, and this one 128"),
    ],
    ids=["a byte wider", "a byte more", "twice as wide"],
)
def test_a_signature_has_exactly_64_bytes(shape: Callable[[bytes, bytes], bytes], words: str) -> None:
    signed, _, _ = token().rpartition(".")
    r, s = signature(signed)
    raw = shape(r.to_bytes(32, "big"), s.to_bytes(32, "big"))
    assert_only_strict_refuses(f"{signed}.{encoded(raw)}", words)


@pytest.mark.parametrize("changed", ["r + n", "s + n", "r = 0", "s = 0", "r = n", "s = n"])
def test_a_number_of_the_signature_is_below_the_order_and_above_zero(changed: str) -> None:
    signed, _, _ = token().rpartition(".")
    r, s = signature(signed)
    r, s = {
        "r + n": (r + ORDER, s), "s + n": (r, s + ORDER), "r = 0": (0, s),
        "s = 0": (r, 0), "r = n": (ORDER, s), "s = n": (r, ORDER),
    }[changed]  # fmt: skip
    width = 33 if max(r, s) >> 256 else 32
    for verifier in verifiers():
        assert not verifier.verify(
            f"{signed}.{encoded(r.to_bytes(width, 'big') + s.to_bytes(width, 'big'))}"
        ).accepted


@pytest.mark.parametrize(
    "jwk",
    [
        {"use": "enc"},
        {"use": "verify"},
        {"key_ops": ["sign"]},
        {"key_ops": ["encrypt"]},
        {"key_ops": []},
        {"key_ops": "verify"},
        {"key_ops": ["verify", "verify"]},
    ],
    ids=str,
)
def test_a_key_for_another_use_verifies_nothing(jwk: dict[str, object]) -> None:
    assert_only_strict_refuses(token(), "Jwks doesn't have key to match", **jwk)


def test_a_p256_key_verifies_es256_alone() -> None:
    signed = f"{segment({'alg': 'ES384', 'kid': KEY.kid})}.{segment(CLAIMS)}"
    r, s = signature(signed, hashes.SHA384())
    written = f"{signed}.{encoded(r.to_bytes(32, 'big') + s.to_bytes(32, 'big'))}"

    assert_only_strict_refuses(written, "does not verify ES384", alg=None)
    assert not verifiers(alg="ES384")[1].verify(written).accepted


@pytest.mark.parametrize(
    ("header", "words"),
    [
        ({"crit": ["exp"]}, "`crit`"),
        ({"crit": []}, "`crit`"),
        ({"b64": False}, "`b64`"),
        ({"b64": "true"}, "`b64`"),
        ({"typ": 1}, "`typ`"),
        ({"cty": None}, "`cty`"),
    ],
    ids=str,
)
def test_a_header_that_must_be_refused_is(header: dict[str, object], words: str) -> None:
    assert_only_strict_refuses(token({"alg": "ES256", "kid": KEY.kid, **header}), words)


@pytest.mark.parametrize("form", [".{}", "{}.", "..{}", "{}=", "{}\n"])
def test_a_token_is_three_sections_of_base64url_and_nothing_else(form: str) -> None:
    # 64 bytes leave two characters of padding to be written.
    written = form.replace("=", "==").format(token())
    assert_only_strict_refuses(written, "strict: ")


def test_the_unused_bits_of_a_section_are_zero() -> None:
    written = token()
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    last = alphabet[alphabet.index(written[-1]) + 1]
    assert_only_strict_refuses(written[:-1] + last, "canonical base64url")


def test_a_control_character_in_json_is_refused() -> None:
    claims = json.dumps(CLAIMS).encode().replace(b'"me"', b'"me", "x": "\n"')
    assert_only_strict_refuses(token(claims=claims), "JSON object")


@pytest.mark.parametrize("section", ["header", "claims"])
def test_a_member_that_is_there_twice_is_refused_by_both(section: str) -> None:
    header, claims = json.dumps({"alg": "ES256"}).encode(), json.dumps(CLAIMS).encode()
    doubled = {"header": header, "claims": claims}[section][:-1] + b', "x": 1, "x": 1}'
    written = token(doubled, CLAIMS) if section == "header" else token(header, doubled)
    assert [verifier.verify(written).accepted for verifier in verifiers()] == [False, False]


@pytest.mark.parametrize("exp", [0, int(CLOCK()) - 60])
def test_a_token_whose_time_has_come_is_expired(exp: int) -> None:
    assert_only_strict_refuses(token(claims={**CLAIMS, "exp": exp}), "expired")


def test_an_audience_is_compared_as_it_is() -> None:
    as_envoy, strict = verifiers()
    written = token(claims={**CLAIMS, "aud": "https://you/"})
    assert as_envoy.verify(written).accepted
    assert strict.verify(written).status == 403


@pytest.mark.parametrize("form", ["X Bearer {}", "Bearer !{}", "Bearer {} x"])
def test_a_header_is_one_bearer_token(form: str) -> None:
    as_envoy, strict = verifiers()
    header = form.format(token())
    assert as_envoy.verify_header(header).accepted
    assert strict.verify_header(header).words.startswith("strict: ")
    assert strict.verify_header(f"Bearer {token()}").accepted
    assert strict.verify_header(None) == as_envoy.verify_header(None)


def test_a_gateway_may_be_strict() -> None:
    with FakeGateway(strict=True) as gateway:
        bad = gateway.key.sign({"iss": gateway.issuer, "aud": gateway.audience}, headers={"crit": ["x"]})
        with gateway.client() as client:
            assert client.get("/").status_code == 200
        with (
            gateway.client(auth=InMemorySource(bad)) as client,
            pytest.raises(meshpass.TokenRefused, match="crit"),
        ):
            client.get("/")


@pytest.mark.parametrize("strict", [False, True])
@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_a_key_of_each_kind_verifies_its_own_tokens_alone(algorithm: str, strict: bool) -> None:
    signer, other = Signer(algorithm), Signer(algorithm)
    verifier = JWKSVerifier("me", ["you"], {"keys": [signer.jwk]}, clock=CLOCK, strict=strict)

    assert verifier.verify(signer.token(CLAIMS)).accepted
    assert verifier.verify(other.token(CLAIMS)).words == "Jwt verification fails"
    refused = JWKSVerifier(
        "me", ["you"], {"keys": [{**signer.jwk, "use": "enc"}]}, clock=CLOCK, strict=strict
    )
    assert refused.verify(signer.token(CLAIMS)).accepted is not strict


@pytest.mark.parametrize("algorithm", ["ES256", "ES384", "ES512"])
def test_a_signature_of_any_curve_has_its_own_size(algorithm: str) -> None:
    signer = Signer(algorithm)
    as_envoy, strict = (
        JWKSVerifier("me", ["you"], {"keys": [signer.jwk]}, clock=CLOCK, strict=strict)
        for strict in (False, True)
    )
    assert as_envoy.verify(signer.token(CLAIMS, wider=1)).accepted
    assert f"{algorithm} signature has" in strict.verify(signer.token(CLAIMS, wider=1)).words


def test_an_rsa_key_below_2048_bits_verifies_nothing() -> None:
    signer = Signer("RS256", rsa_bits=1024)

    assert (
        JWKSVerifier("me", ["you"], {"keys": [signer.jwk]}, clock=CLOCK).verify(signer.token(CLAIMS)).accepted
    )
    strict = JWKSVerifier("me", ["you"], {"keys": [signer.jwk]}, clock=CLOCK, strict=True)
    assert "doesn't have key" in strict.verify(signer.token(CLAIMS)).words
