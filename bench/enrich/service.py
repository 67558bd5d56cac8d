"""The private service that is asked for profiles: it checks every token, and takes the time that its work would take.

It answers as user-profile does behind its Envoys, and refuses as they do.
"""

import re
import ssl
import sys
import time
from pathlib import Path
from typing import TypedDict

import jwt
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from bench import caller, server
from bench.enrich import wire, workload

_AUTHORIZATION = re.compile(rb"\r\nauthorization: *bearer +([\w.-]+)\r\n", re.IGNORECASE)
_HOST = re.compile(rb"\r\nhost: *%b\r\n" % re.escape(server.HOST.encode()), re.IGNORECASE)
_ASKED = re.compile(rb"GET /(?:profile/(u-(?P<user>\d+))|account/(a-(?P<account>\d+))) ")
_SERVICE = b"server: istio-envoy\r\nx-envoy-upstream-service-time: 20\r\n"
_ENVOY = b"server: istio-envoy\r\n"


class Report(TypedDict):
    """What the service has seen since the last report.

    Attributes:
        lookups: Requests for a profile or an account, answered.
        first_at_s: When the first of them came, by the machine's monotonic clock; 0 without one.
    """

    lookups: int
    first_at_s: float


class Service:
    """Answers for profiles to callers that show a good token.

    Args:
        key: The public half of the callers' key.
    """

    def __init__(self, key: ec.EllipticCurvePublicKey) -> None:
        self._key = key
        # Envoy checks the signature on every request. Here it is checked once for each token: the service must not be
        # what is measured.
        self._good_until_s: dict[bytes, float] = {}
        self._seen = Report(lookups=0, first_at_s=0.0)

    def report(self) -> Report:
        """What was seen since the last report."""
        seen, self._seen = self._seen, Report(lookups=0, first_at_s=0.0)
        return seen

    def answer(self, head: bytes, _: bytes) -> wire.Answer:
        """Answer one request."""
        asked = _ASKED.match(head)
        if asked is None or not _HOST.search(head):
            return 0.0, wire.response(404, b"", _ENVOY)
        token = _AUTHORIZATION.search(head)
        if token is None or not self._good(token[1]):
            return 0.0, wire.response(401, b"Jwt verification fails", _ENVOY)
        if not self._seen["lookups"]:
            self._seen["first_at_s"] = time.monotonic()
        self._seen["lookups"] += 1
        key = int(asked["user"] or asked["account"])
        body = workload.profile(asked[1]) if asked["user"] else workload.account(asked[3])
        return workload.service_s(key), wire.response(200, body, _SERVICE)

    def _good(self, token: bytes) -> bool:
        good_until_s = self._good_until_s.get(token)
        if good_until_s is None:
            try:
                claims = jwt.decode(
                    token,
                    self._key,
                    algorithms=["ES256"],
                    audience=caller.AUDIENCE,
                    issuer=caller.ISSUER,
                    options={"require": ["exp", "iat", "scope"]},
                )
            except jwt.InvalidTokenError:
                return False
            good_until_s = self._good_until_s[token] = float(claims["exp"])
        return time.time() < good_until_s


def main(public_key_file: str, chain_file: str = "", key_file: str = "") -> None:
    """Serve until a signal ends the process, with TLS where a certificate is given."""
    tls = None
    if chain_file:
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        tls.load_cert_chain(chain_file, key_file)
    key = serialization.load_pem_public_key(Path(public_key_file).read_bytes())
    assert isinstance(key, ec.EllipticCurvePublicKey)
    service = Service(key)
    wire.serve(service.answer, service.report, tls=tls)


if __name__ == "__main__":
    main(*sys.argv[1:])
