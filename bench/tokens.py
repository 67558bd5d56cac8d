"""A cached token against signing one for each call."""

import secrets
import time
from collections.abc import Callable, Iterator

import jwt

from bench import caller
from bench.harness import Comparison, Contender, Effort, Sample, compare

_LIFETIME_S = 300
_SETUP = "ES256, the same claims and header for all; keys are parsed once, beforehand"


def run(effort: Effort) -> Iterator[Comparison]:
    """Compare `SignedJWT.token` with PyJWT called by hand."""
    key = caller.new_key()
    source = caller.token_source(key)
    kid = str(jwt.get_unverified_header(source.token().value)["kid"])

    def sign_anew() -> object:
        source.invalidate(source.token())
        return source.token()

    def by_hand() -> object:
        now = int(time.time())
        claims = {
            "iss": caller.ISSUER, "sub": caller.ISSUER, "aud": caller.AUDIENCE, "scope": caller.SCOPE,
            "iat": now, "nbf": now, "exp": now + _LIFETIME_S, "jti": secrets.token_urlsafe(16),
        }  # fmt: skip
        return jwt.encode(claims, key, algorithm="ES256", headers={"kid": kid})

    yield compare(
        "token: per token",
        [
            Contender("meshpass, cached", _measure(source.token, effort.calls(20_000))),
            Contender("meshpass, signed anew", _measure(sign_anew, effort.calls(400))),
            Contender("PyJWT, signed each time", _measure(by_hand, effort.calls(400))),
        ],
        rounds=effort.rounds(11),
        setup=_SETUP,
        peer="PyJWT, signed each time",
    )


def _measure(make: Callable[[], object], calls: int) -> Callable[[], Sample]:
    def measure() -> Sample:
        cpu_s, wall_s = time.process_time(), time.perf_counter()
        for _ in range(calls):
            make()
        cpu_s, wall_s = time.process_time() - cpu_s, time.perf_counter() - wall_s
        return {"cpu_us": cpu_s / calls * 1e6, "wall_us": wall_s / calls * 1e6}

    return measure
