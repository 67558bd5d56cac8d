"""What Istio and Envoy let through and no manifest can change; a release that closes one of them is noticed.

Those that a case file can spell are in infra/policy-tests/ingress/user-profile.yaml.
"""

from __future__ import annotations

import ssl
from collections.abc import Callable
from typing import TYPE_CHECKING

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature, encode_dss_signature
from meshlab.bench.case_file.collect import collect
from meshlab.bench.local_bench import LocalBench
from meshlab.bench.protocol import Sources
from meshlab.bench.session import Choice, run_cases
from meshlab.bench.signing_keys import base64url
from meshlab.istio import Address
from meshlab.lab.contract_tokens import Tokens

from tests.probe import Connector, Request
from tests.probe import send as send_request

if TYPE_CHECKING:
    from pathlib import Path

    from meshlab.lab.project import Project
    from meshlab.lab.project_mesh import ProjectMesh

Send = Callable[[str], int]

_ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
_N = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551  # the order of P-256 (FIPS 186-4)


@pytest.fixture
def token(mesh: ProjectMesh, project: Project) -> str:
    """A good token of the function."""
    return Tokens(mesh.key, project.contract()).make("valid")


@pytest.fixture
def send(mesh: ProjectMesh, project: Project) -> Send:
    """Read a profile with an Authorization header, and return the status."""
    contract_host = project.contract()["GKE_GATEWAY_HOST"]
    host, _, port = mesh.gateway_url.removeprefix("https://").rpartition(":")
    tls = ssl.create_default_context(cafile=str(mesh.gateway_ca))

    def request(authorization: str) -> int:
        connector = Connector(Address(host, int(port)), tls, contract_host)
        headers = {"host": contract_host, "authorization": authorization}
        return send_request(connector, Request("GET", "/profile/u-1001", headers)).status or 0

    return request


def test_a_critical_header_that_no_proxy_knows_is_ignored(mesh: ProjectMesh, token: str, send: Send) -> None:
    claims = jwt.decode(token, options={"verify_signature": False})
    headers = {"kid": mesh.key.kid, "crit": ["only-once"], "only-once": True}
    assert send(f"Bearer {jwt.encode(claims, mesh.key.private, 'ES256', headers)}") == 200


def _with_another_s(token: str) -> str:
    """The second signature that ECDSA has for the same message and key."""
    signed, _, signature = token.rpartition(".")
    raw = jwt.utils.base64url_decode(signature)
    r, s = int.from_bytes(raw[:32], "big"), int.from_bytes(raw[32:], "big")
    assert decode_dss_signature(encode_dss_signature(r, s)) == (r, s)
    return f"{signed}.{base64url(r.to_bytes(32, 'big') + (_N - s).to_bytes(32, 'big'))}"


def _with_other_trailing_bits(token: str) -> str:
    """The same bytes in Base64 whose last letter has other unused bits."""
    return token[:-1] + _ALPHABET[_ALPHABET.index(token[-1]) ^ 1]


SPELLINGS: dict[str, Callable[[str], str]] = {
    "as signed": lambda token: f"Bearer {token}",
    "the other signature": lambda token: f"Bearer {_with_another_s(token)}",
    "other unused bits at the end": lambda token: f"Bearer {_with_other_trailing_bits(token)}",
    "spaces in front": lambda token: f"Bearer   {token}",
}


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_one_token_has_many_spellings_so_none_may_be_revoked_by_its_hash(
    token: str, send: Send, spelling: str
) -> None:
    assert send(SPELLINGS[spelling](token)) == 200


def test_a_spelling_of_other_bytes_is_no_spelling(token: str, send: Send) -> None:
    other = token[:-2] + _ALPHABET[_ALPHABET.index(token[-2]) ^ 1] + token[-1]
    assert send(f"Bearer {other}") == 401


NORMALIZATIONS: dict[str, dict[str, int | str]] = {
    # A path of a policy is one segment only as long as nothing behind the policy reads it in another way.
    "BASE": {"//profile//u-1": 403, "/profile/..": 403, "/profile/..%2Fadmin": "/profile/..%2Fadmin"},
    "MERGE_SLASHES": {
        "//profile//u-1": "/profile/u-1",
        "/profile/..": 403,
        "/profile/..%2Fadmin": "/profile/..%2Fadmin",
    },
    "DECODE_AND_MERGE_SLASHES": {
        "//profile//u-1": "/profile/u-1",
        "/profile/..": 403,
        "/profile/..%2Fadmin": 403,
    },
    "NONE": {
        "//profile//u-1": 403,
        "/profile/..": "/profile/..",
        "/profile/..%2Fadmin": "/profile/..%2Fadmin",
    },
}


@pytest.mark.parametrize("normalization", NORMALIZATIONS)
def test_the_paths_of_the_policies_mean_what_base_makes_of_them(
    project: Project, tmp_path: Path, normalization: str
) -> None:
    settings = tmp_path / "mesh-config.yaml"
    settings.write_text(f"pathNormalization: {{normalization: {normalization}}}\n")
    (tmp_path / "cases.yaml").write_text(_cases(NORMALIZATIONS[normalization]))
    bench = LocalBench()
    try:
        mesh = bench.load(Sources((str(project.overlay),), mesh_config=settings))
        run = run_cases(mesh, collect([tmp_path / "cases.yaml"], project.contract()), Choice())
    finally:
        bench.close()
    assert [
        (outcome.case.name, outcome.mismatches) for outcome in run.outcomes if outcome.state != "passed"
    ] == []


def _cases(expected: dict[str, int | str]) -> str:
    lines = [
        "callers: {outside: {outside: istio-ingress/istio-internal-gateway}}",
        "tokens:",
        (
            '  caller: {issuer: "${JWT_ISSUER}",'
            ' claims: {sub: "${JWT_SUBJECT}", aud: "${JWT_AUDIENCE}", scope: "${JWT_SCOPE}"}}'
        ),
        "defaults: {from: outside, token: caller}",
        "cases:",
    ]
    for target, result in expected.items():
        expect = (
            f"{result} proxy istio-ingress/istio-internal-gateway"
            if isinstance(result, int)
            else f"{{status: 200, app: user-profile/user-profile, received: {{path: '{result}'}}}}"
        )
        lines += [
            f"  - name: '{target}'",
            f"    request: {{url: 'https://${{GKE_GATEWAY_HOST}}/', target: '{target}'}}",
            f"    expect: {expect}",
        ]
    return "\n".join(lines)
