"""The local verifier and a real Envoy judge tokens of every kind of key alike, wrong signatures too."""

import http.client
import json
import time
from collections.abc import Iterator
from contextlib import closing

import pytest
from meshlab.istio import Address
from meshlab.processes.envoy import Envoy
from meshlab.processes.ports import free_ports
from meshlab.processes.supervisor import Supervisor
from meshpass.testing import JWKSVerifier, Verdict

from tests.sdk.testing.signers import ALGORITHMS, Signer

ISSUER, AUDIENCE = "https://issuer.test", "you"


class Sides:
    """An Envoy and the verifier, both with a key of every kind."""

    def __init__(self, supervisor: Supervisor) -> None:
        self.signers = {algorithm: Signer(algorithm) for algorithm in ALGORITHMS}
        # Keys without `alg`: which algorithms they verify is then Envoy's decision.
        for algorithm in ("ES256", "ES384", "RS256"):
            plain = Signer(algorithm)
            del plain.jwk["alg"]
            plain.jwk["kid"] = f"any with {algorithm}"
            self.signers[plain.jwk["kid"]] = plain
        jwks = {"keys": [signer.jwk for signer in self.signers.values()]}
        self._verifier = JWKSVerifier(ISSUER, [AUDIENCE], jwks)
        ports = free_ports()
        admin, self.port = next(ports), next(ports)
        envoy = Envoy(supervisor, "jwt", configuration(jwks, admin, self.port), Address("127.0.0.1", admin))
        envoy.start().wait_port(self.port)

    def agree_on(self, token: str) -> Verdict:
        verdict = self._verifier.verify(token)
        with closing(http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)) as connection:
            connection.request("GET", "/", headers={"authorization": f"Bearer {token}"})
            response = connection.getresponse()
            said = response.status, response.read().decode()
        assert (verdict.status, verdict.words) == said
        return verdict


def configuration(jwks: object, admin: int, port: int) -> dict[str, object]:
    def listens(number: int) -> dict[str, object]:
        return {"socket_address": {"address": "127.0.0.1", "port_value": number}}

    kinds = "type.googleapis.com/envoy.extensions.filters"
    provider = {
        "issuer": ISSUER,
        "audiences": [AUDIENCE],
        "local_jwks": {"inline_string": json.dumps(jwks)},
        "clock_skew_seconds": 60,
    }
    filters = [
        {
            "name": "envoy.filters.http.jwt_authn",
            "typed_config": {
                "@type": f"{kinds}.http.jwt_authn.v3.JwtAuthentication",
                "providers": {"all": provider},
                "rules": [{"match": {"prefix": "/"}, "requires": {"provider_name": "all"}}],
            },
        },
        {"name": "envoy.filters.http.router", "typed_config": {"@type": f"{kinds}.http.router.v3.Router"}},
    ]
    manager = {
        "@type": f"{kinds}.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": "jwt",
        "http_filters": filters,
        "route_config": {
            "virtual_hosts": [
                {
                    "name": "all",
                    "domains": ["*"],
                    "routes": [{"match": {"prefix": "/"}, "direct_response": {"status": 200}}],
                }
            ]
        },
    }
    chain = {"filters": [{"name": "http", "typed_config": manager}]}
    return {
        "admin": {"address": listens(admin)},
        "node": {"id": "jwt", "cluster": "jwt"},
        "staticResources": {
            "listeners": [{"name": "jwt", "address": listens(port), "filter_chains": [chain]}]
        },
    }


@pytest.fixture(scope="module")
def sides() -> Iterator[Sides]:
    with Supervisor() as supervisor:
        yield Sides(supervisor)


def claims(**changes: object) -> dict[str, object]:
    return {"iss": ISSUER, "aud": AUDIENCE, "exp": int(time.time()) + 300, **changes}


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_they_agree_on_every_kind_of_key(algorithm: str, sides: Sides) -> None:
    signer = sides.signers[algorithm]
    assert sides.agree_on(signer.token(claims())).accepted
    assert not sides.agree_on(signer.token(claims(exp=1))).accepted
    assert not sides.agree_on(Signer(algorithm).token(claims())).accepted


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_they_agree_on_signatures_of_another_size(algorithm: str, sides: Sides) -> None:
    signer = sides.signers[algorithm]
    accepted = [
        sides.agree_on(signer.token(claims(), more=b"\0")).accepted,
        sides.agree_on(signer.token(claims(), more=b"\0\0")).accepted,
        sides.agree_on(signer.token(claims(), wider=1)).accepted,
    ]
    assert accepted == ([True, False, True] if algorithm.startswith("ES") else [False, False, True])


@pytest.mark.parametrize("algorithm", ALGORITHMS)
@pytest.mark.parametrize("key", ["ES256", "ES384", "RS256"])
def test_they_agree_on_keys_that_name_no_algorithm(key: str, algorithm: str, sides: Sides) -> None:
    signer = sides.signers[f"any with {key}"]
    sides.agree_on(signer.token(claims(), algorithm=algorithm))
