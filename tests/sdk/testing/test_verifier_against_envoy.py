"""The local verifier and the real gateway say the same of the same token."""

import base64
import json
import ssl
import time
from collections.abc import Callable, Mapping
from typing import Any

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, utils
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from meshlab.bench.signing_keys import SigningKey
from meshlab.istio import Address
from meshlab.lab.contract_tokens import NAMES, Tokens
from meshlab.lab.project import Project
from meshlab.lab.project_mesh import ProjectMesh
from meshpass.testing import JWKSVerifier

from tests.probe import Connector, Request, send

_STRANGER = SigningKey.generate()


class _LeaveOut:
    """Stands for a field that is not there."""

    def __repr__(self) -> str:
        return "left out"


_LEAVE_OUT = _LeaveOut()


class Sides:
    """The two that are asked: a real Envoy and the verifier, both with the same issuer, audience and key."""

    def __init__(self, mesh: ProjectMesh, project: Project) -> None:
        self.key = mesh.key
        self.contract = project.contract()
        self.tokens = Tokens(mesh.key, self.contract)
        host, _, port = mesh.gateway_url.removeprefix("https://").rpartition(":")
        tls = ssl.create_default_context(cafile=str(mesh.gateway_ca))
        self._gateway = Connector(Address(host, int(port)), tls, self.contract["GKE_GATEWAY_HOST"])
        self._verifier = JWKSVerifier(
            self.contract["JWT_ISSUER"], [self.contract["JWT_AUDIENCE"]], json.loads(mesh.key.jwks)
        )

    def agree_on(self, authorization: str) -> str:
        """Ask both, insist that they agree, return the words."""
        verdict = self._verifier.verify_header(authorization)
        headers = {"host": self.contract["GKE_GATEWAY_HOST"], "authorization": authorization}
        answer = send(self._gateway, Request("GET", "/profile/u-1", headers))
        by_jwt = answer.text.startswith(("Jwt", "Jwks", "Audiences in Jwt"))
        # Past the filter it is the policies' turn, and then the service's: neither is the verifier's business.
        said = (answer.status, answer.text) if by_jwt else (200, "")
        assert (verdict.status, verdict.words) == said, authorization
        return verdict.words

    def claims(self, **changes: object) -> dict[str, object]:
        """The good claims, changed: an object left out, a callable asked about the present."""
        now = int(time.time())
        contract = self.contract
        claims: dict[str, object] = {
            "iss": contract["JWT_ISSUER"],
            "sub": contract["JWT_SUBJECT"],
            "aud": contract["JWT_AUDIENCE"],
            "scope": contract["JWT_SCOPE"],
            "exp": now + 300,
        }
        for name, value in changes.items():
            claims[name] = value(now) if callable(value) else value
        return {name: value for name, value in claims.items() if value is not _LEAVE_OUT}

    def header(self, **changes: object) -> dict[str, object]:
        header = {"alg": "ES256", "kid": self.key.kid, **changes}
        return {name: value for name, value in header.items() if value is not _LEAVE_OUT}

    def sign(
        self,
        header: object,
        claims: object,
        key: SigningKey | None = None,
        shape: Callable[[bytes], str] | None = None,
    ) -> str:
        signed = f"{segment(header)}.{segment(claims)}"
        der = (key or self.key).private.sign(signed.encode(), ec.ECDSA(hashes.SHA256()))
        raw = b"".join(number.to_bytes(32, "big") for number in utils.decode_dss_signature(der))
        return f"{signed}.{(shape or base64url)(raw)}"


def segment(value: object) -> str:
    return base64url(value if isinstance(value, bytes) else json.dumps(value).encode())


def base64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


@pytest.fixture(scope="session")
def sides(mesh: ProjectMesh, project: Project) -> Sides:
    return Sides(mesh, project)


@pytest.mark.parametrize("name", sorted(NAMES))
def test_on_every_token_of_the_policy_tests(name: str, sides: Sides) -> None:
    sides.agree_on(f"Bearer {sides.tokens.make(name)}")


_CLAIMS: Mapping[str, tuple[dict[str, object], str]] = {
    "as it should be": ({}, ""),
    "no claims but the issuer's and the audience": ({"sub": _LEAVE_OUT, "exp": _LEAVE_OUT}, ""),
    "exp of zero, which is none": ({"exp": 0}, ""),
    "exp well within the skew": ({"exp": lambda now: now - 40}, ""),
    "exp beyond the skew": ({"exp": lambda now: now - 75}, "Jwt is expired"),
    "exp with a fraction": ({"exp": lambda now: now + 10.5}, ""),
    "exp as text": ({"exp": "soon"}, "Jwt payload [exp] field is not an integer"),
    "exp as a boolean": ({"exp": True}, "Jwt payload [exp] field is not an integer"),
    "exp before 1970": ({"exp": -1}, "Jwt payload [exp] field is not a positive 64 bit integer"),
    "exp at 2^63": ({"exp": 2**63}, ""),
    "exp at 2^64": ({"exp": 2**64}, "Jwt payload [exp] field is not a positive 64 bit integer"),
    "nbf well within the skew": ({"nbf": lambda now: now + 40}, ""),
    "nbf beyond the skew": ({"nbf": lambda now: now + 75}, "Jwt not yet valid"),
    "nbf and exp both wrong": ({"nbf": lambda now: now + 900, "exp": 1}, "Jwt not yet valid"),
    "iat in the future": ({"iat": lambda now: now + 9_999}, ""),
    "iat as null": ({"iat": None}, "Jwt payload [iat] field is not an integer"),
    "another issuer": ({"iss": "https://elsewhere.example"}, "Jwt issuer is not configured"),
    "another issuer, and expired": ({"iss": "x", "exp": 1}, "Jwt issuer is not configured"),
    "no issuer": ({"iss": _LEAVE_OUT}, "Jwt issuer is not configured"),
    "an issuer that is no text": ({"iss": 7}, "Jwt payload [iss] field is not a string"),
    "a subject that is null": ({"sub": None}, "Jwt payload [sub] field is not a string"),
    "a jti that is a number": ({"jti": 1}, "Jwt payload [jti] field is not a string"),
    "another audience": ({"aud": "another-service"}, "Audiences in Jwt are not allowed"),
    "another audience, and expired": ({"aud": "another-service", "exp": 1}, "Jwt is expired"),
    "no audience": ({"aud": _LEAVE_OUT}, "Audiences in Jwt are not allowed"),
    "an empty list of audiences": ({"aud": []}, "Audiences in Jwt are not allowed"),
    "an audience that is null": ({"aud": None}, "Jwt payload [aud] field is not a string or string list"),
    "a list of audiences with a number": (
        {"aud": ["a", 1]},
        "Jwt payload [aud] field is not a string or string list",
    ),
}


@pytest.mark.parametrize("name", _CLAIMS)
def test_on_every_claim(name: str, sides: Sides) -> None:
    changes, words = _CLAIMS[name]

    assert sides.agree_on(f"Bearer {sides.sign(sides.header(), sides.claims(**changes))}") == words


@pytest.mark.parametrize(
    "form", ["{}", "https://{}", "http://{}", "{}/", "https://{}/", "{}//", "ftp://{}", "/{}"]
)
def test_on_an_audience_written_as_a_url(form: str, sides: Sides) -> None:
    audience = form.format(sides.contract["JWT_AUDIENCE"])

    sides.agree_on(f"Bearer {sides.sign(sides.header(), sides.claims(aud=['other', audience]))}")


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"kid": _LEAVE_OUT}, ""),
        ({"kid": ""}, ""),
        ({"kid": "another"}, "Jwks doesn't have key to match kid or alg from Jwt"),
        ({"kid": None}, "Jwt header [kid] field is not a string"),
        ({"alg": "none"}, "Jwt header [alg] is not supported"),
        ({"alg": "es256"}, "Jwt header [alg] is not supported"),
        ({"alg": None}, "Jwt header [alg] field is required and must be a string"),
        ({"alg": "ES384"}, "Jwks doesn't have key to match kid or alg from Jwt"),
        ({"alg": "EdDSA"}, "Jwks doesn't have key to match kid or alg from Jwt"),
        ({"crit": ["exp"]}, ""),
    ],
    ids=str,
)
def test_on_every_header(changes: dict[str, object], words: str, sides: Sides) -> None:
    assert sides.agree_on(f"Bearer {sides.sign(sides.header(**changes), sides.claims())}") == words


@pytest.mark.parametrize(
    "form",
    [
        *("", "Basic abc", "bearer {}", "Bearer", "Bearer ", "Bearer !", "{}", "Token {}"),
        *(
            "Bearer {}",
            "Bearer  {}",
            "X Bearer {}",
            "Bearer !{}",
            'Bearer "{}"',
            "Bearer {} x",
            "Bearer {} !",
        ),
        *("Bearer {},Basic abc", "Basic abc,Bearer {}", "Bearer {0},Bearer {0}"),
        *(
            "Bearer a.b",
            "Bearer a.b.c",
            "Bearer a.b.c.d",
            "Bearer ..",
            "Bearer a..c",
            "Bearer .{}",
            "Bearer {}.",
            "Bearer a..b.c",
            "Bearer ..{}..",
            "Bearer a+b.c.d",
            "Bearer !.a.b",
        ),
    ],
)
def test_on_every_way_to_write_the_header(form: str, sides: Sides) -> None:
    sides.agree_on(form.format(sides.tokens.make("valid")))


@pytest.mark.parametrize(
    "shape",
    [
        lambda raw: base64.urlsafe_b64encode(raw).decode(),
        lambda raw: base64url(raw) + "=",
        lambda raw: base64url(raw + b"\0"),
        lambda raw: base64url(b"\0" + raw[:32] + b"\0" + raw[32:]),
        lambda raw: base64url(raw[32:] + raw[:32]),
        lambda raw: base64url(bytes(64)),
        lambda raw: base64url(raw[:1]),
        lambda raw: base64url(raw)[:-1],
        lambda raw: base64.b64encode(raw + b"\xff\xff").decode(),
    ],
    ids=[
        "padded",
        "over-padded",
        "a byte more",
        "wider halves",
        "swapped",
        "zeros",
        "a byte",
        "cut",
        "not for URLs",
    ],
)
def test_on_every_shape_of_the_signature(shape: Callable[[bytes], str], sides: Sides) -> None:
    sides.agree_on(f"Bearer {sides.sign(sides.header(), sides.claims(), shape=shape)}")


@pytest.mark.parametrize(
    "data",
    [
        *(b"", b"null", b"[]", b'"a"', b"nope", b"{}", b"{} {}", b"{}x", b"\xef\xbb\xbf{}", b" {}\n"),
        *(
            b'{"a":NaN}',
            b'{"a":1e999}',
            b'{"a":01}',
            b'{"a":"\xff"}',
            b'{"a":"\\ud800"}',
            b'{"a":"\n\0"}',
            b'{"a":1,"a":2}',
        ),
        *(b'{"a":{"b":[1,null]}}', b'{"a":/**/1}', b"{'a' 1}", b'{"a":"\\x"}'),
    ],
)
def test_on_every_kind_of_json(data: bytes, sides: Sides) -> None:
    sides.agree_on(f"Bearer {sides.sign(data, sides.claims())}")
    sides.agree_on(f"Bearer {sides.sign(sides.header(), data)}")


_VALUES: st.SearchStrategy[Any] = st.one_of(
    st.none(), st.booleans(), st.integers(-(2**66), 2**66), st.floats(allow_nan=False, allow_infinity=False),
    st.text(max_size=8), st.lists(st.text(max_size=3) | st.integers(), max_size=2), st.just(_LEAVE_OUT),
)  # fmt: skip


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    header=st.dictionaries(st.sampled_from(["alg", "kid", "typ"]), _VALUES, max_size=1),
    claims=st.dictionaries(
        st.sampled_from(["iss", "sub", "aud", "exp", "nbf", "iat", "jti", "x"]), _VALUES, max_size=2
    ),
    known_key=st.booleans(),
    cut=st.none() | st.integers(0, 300),
    change=st.none() | st.tuples(st.integers(0, 300), st.sampled_from(".+/=!,")),
)
def test_on_any_token_that_can_be_made(
    header: dict[str, Any],
    claims: dict[str, Any],
    known_key: bool,
    cut: int | None,
    change: tuple[int, str] | None,
    sides: Sides,
) -> None:
    token = sides.sign(sides.header(**header), sides.claims(**claims), None if known_key else _STRANGER)
    if change is not None:
        at, character = change
        token = token[:at] + character + token[at + 1 :]
    sides.agree_on(f"Bearer {token[:cut]}")
