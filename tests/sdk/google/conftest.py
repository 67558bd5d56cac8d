"""Google and AWS as one server on 127.0.0.1: metadata, token endpoint, STS, IAM Credentials, EC2 and containers."""

import base64
import functools
import json
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, parse_qsl, unquote, urlsplit

import jwt
import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from meshpass._tokens.google import id_token
from meshpass._tokens.google.web import Web

from ..conftest import Answer, Seen, Server, pem_of  # noqa: TID252 - this folder's parent

ACCOUNT = "caller@project.iam.gserviceaccount.com"
TARGET = "target@project.iam.gserviceaccount.com"
AUDIENCE = "https://user-profile.internal/?a=b&c=ä"
LIFE_S = 437
_METADATA = "/computeMetadata/v1/instance/service-accounts/default/"
_IAM = "/v1/projects/-/serviceAccounts/"
# google-auth names the public endpoint in its assertions, wherever it sends them.
_OAUTH_AUDIENCE = "https://oauth2.googleapis.com/token"
_FLAVOR = {"Metadata-Flavor": "Google"}


def _json(value: object, status: int = 200) -> Answer:
    return status, {"content-type": "application/json"}, json.dumps(value).encode()


class Google:
    """What Google and AWS answer. A path in `broken` answers what is given there instead, once per entry."""

    def __init__(self, server: Server, public_key: rsa.RSAPublicKey) -> None:
        self.server = server
        self.url = f"http://{server.address}"
        self.broken: dict[str, list[Answer]] = {}
        self.may_act: dict[str, str] = {"metadata-access": TARGET, "federated-access": TARGET}
        self.made: list[str] = []
        self._public_key = public_key
        server.answer = self._answer

    @property
    def asked(self) -> list[str]:
        """The methods and paths of all requests, without their queries."""
        return [f"{seen.method} {urlsplit(seen.target).path}" for seen in self.server.seen]

    def body(self, path_end: str) -> dict[str, Any]:
        """The JSON or form of the last request to such a path."""
        seen = next(s for s in reversed(self.server.seen) if urlsplit(s.target).path.endswith(path_end))
        if seen.headers.get("content-type", "").startswith("application/json"):
            return dict(json.loads(seen.body))
        return dict(parse_qsl(seen.body.decode()))

    def id_token(self, audience: str, account: str, *, email: bool = True) -> str:
        claims = {
            "iss": "https://accounts.google.com",
            "aud": audience,
            "sub": "1",
            "exp": int(time.time()) + LIFE_S,
        }
        claims |= {"email": account, "email_verified": True} if email else {}
        self.made.append(jwt.encode(claims, "s3cret" * 8, algorithm="HS256", headers={"kid": "k1"}))
        return self.made[-1]

    def _answer(self, seen: Seen) -> Answer:
        path = urlsplit(seen.target).path
        for end, answers in self.broken.items():
            if path.endswith(end) and answers:
                return answers.pop(0)
        if path.startswith(_METADATA):
            return self._metadata(seen, path.removeprefix(_METADATA))
        if path.startswith(_IAM):
            return self._iam(seen, *path.removeprefix(_IAM).split(":"))
        routes: dict[str, Callable[[Seen], Answer]] = {"/token": self._oauth, "/v1/token": self._sts}
        return routes.get(path, self._aws)(seen)

    def _metadata(self, seen: Seen, what: str) -> Answer:
        if seen.headers.get("metadata-flavor") != "Google":
            return 403, {}, b"Missing required header"
        if what == "token":
            status, headers, body = _json({"access_token": "metadata-access", "expires_in": 3600})
            return status, headers | _FLAVOR, body
        query = parse_qs(urlsplit(seen.target).query)
        email = query["format"] == ["full"]
        return 200, _FLAVOR, self.id_token(query["audience"][0], ACCOUNT, email=email).encode()

    def _oauth(self, seen: Seen) -> Answer:
        form = dict(parse_qsl(seen.body.decode()))
        if form["grant_type"] == "refresh_token":
            self.may_act["user-access"] = TARGET
            return _json({"access_token": "user-access", "expires_in": 3600})
        claims = self._claims(form["assertion"])
        if "target_audience" in claims:
            return _json({"id_token": self.id_token(claims["target_audience"], claims["iss"])})
        self.may_act["key-access"] = TARGET
        return _json({"access_token": "key-access", "expires_in": 3600})

    def _claims(self, assertion: str) -> dict[str, Any]:
        """Return the claims of an assertion that the account's key has signed; PyJWT would warn of the small key."""
        signed, _, signature = assertion.rpartition(".")
        raw = base64.urlsafe_b64decode(f"{signature}==")
        self._public_key.verify(raw, signed.encode(), padding.PKCS1v15(), hashes.SHA256())
        assert jwt.get_unverified_header(assertion)["alg"] == "RS256"
        checks: Any = {"verify_signature": False, "verify_aud": True, "verify_exp": True, "verify_iat": True}
        return jwt.decode(assertion, options=checks, audience=_OAUTH_AUDIENCE)

    def _sts(self, seen: Seen) -> Answer:
        subject = dict(parse_qsl(seen.body.decode()))["subject_token"]
        if subject == "platform-s3cret" or "GetCallerIdentity" in unquote(subject):
            return _json({"access_token": "federated-access", "expires_in": 3600, "token_type": "Bearer"})
        return _json({"error": "invalid_grant", "error_description": f"bad {subject}"}, 400)

    def _iam(self, seen: Seen, account: str, method: str) -> Answer:
        bearer = seen.headers.get("authorization", "").removeprefix("Bearer ")
        if bearer not in self.may_act:
            return _json({"error": {"code": 401, "message": f"no {bearer}"}}, 401)
        if self.may_act[bearer] != account:
            return _json({"error": {"code": 403, "message": f"no {bearer}"}}, 403)
        if method == "generateAccessToken":
            self.may_act["chained-access"] = "last@project.iam.gserviceaccount.com"
            return _json({"accessToken": "chained-access", "expireTime": "2099-01-01T00:00:00Z"})
        body = json.loads(seen.body)
        return _json({"token": self.id_token(body["audience"], account, email=body["includeEmail"])})

    def _aws(self, seen: Seen) -> Answer:
        keys = {"AccessKeyId": "AKIDEC2", "SecretAccessKey": "s3cret-aws", "Token": "s3cret-session"}
        imds = seen.headers.get("x-aws-ec2-metadata-token") == "imds-s3cret"
        container = seen.headers.get("authorization") == "pod-s3cret"
        known: dict[str, tuple[bool, Answer]] = {
            "PUT /latest/api/token": (True, (200, {}, b"imds-s3cret")),
            "GET /az": (imds, (200, {}, b"eu-west-1b")),
            "GET /role": (imds, (200, {}, b"my-role")),
            "GET /role/my-role": (imds, _json(keys)),
            "GET /v2/credentials": (container, _json({**keys, "AccessKeyId": "AKIDPOD"})),
            "GET /subject": (True, _json({"id_token": "platform-s3cret"})),
        }
        allowed, answer = known.get(f"{seen.method} {seen.target}", (True, (404, {}, b"s3cret nothing here")))
        return answer if allowed else (401, {}, b"s3cret not you")


@pytest.fixture(scope="session")
def rsa_key() -> rsa.RSAPrivateKey:
    """Return the key of an account: a small one, because each time it is read OpenSSL checks that it holds primes."""
    return rsa.generate_private_key(65537, 1024)


@pytest.fixture
def google(server: Server, rsa_key: rsa.RSAPrivateKey) -> Google:
    return Google(server, rsa_key.public_key())


@pytest.fixture(autouse=True)
def bare_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Nothing in the environment says anything of Google, AWS or a proxy, and there is no gcloud."""
    for name in os.environ:
        if name.startswith(
            ("GOOGLE_", "CLOUDSDK", "GCE_", "GAE_", "AWS_", "K_", "FUNCTION_", "NO_GCE", "CLOUD_RUN")
        ):
            monkeypatch.delenv(name)
        if name.lower().endswith("_proxy"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setattr("meshpass._tokens.google.metadata._PRODUCT_FILE", tmp_path / "product_name")


@pytest.fixture(autouse=True)
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """How long was waited between attempts; nothing really waits."""
    waited: list[float] = []
    monkeypatch.setattr(id_token, "Web", functools.partial(Web, sleep=waited.append, chance=lambda: 1.0))
    return waited


@pytest.fixture
def on_google(google: Google, monkeypatch: pytest.MonkeyPatch) -> Google:
    """This process runs on Google Cloud."""
    monkeypatch.setenv("GCE_METADATA_HOST", google.server.address)
    return google


@pytest.fixture
def key_file(google: Google, rsa_key: rsa.RSAPrivateKey) -> dict[str, Any]:
    return {
        "type": "service_account",
        "client_email": ACCOUNT,
        "private_key_id": "1",
        "private_key": pem_of(rsa_key).decode(),
        "token_uri": f"{google.url}/token",
    }


@pytest.fixture
def user_file(google: Google) -> dict[str, Any]:
    return {
        "type": "authorized_user",
        "client_id": "c",
        "client_secret": "s3cret-client",
        "refresh_token": "s3cret-refresh",
        "token_uri": f"{google.url}/token",
    }


@pytest.fixture
def federation_file(google: Google, tmp_path: Path) -> dict[str, Any]:
    """Workload identity federation whose subject token is in a file."""
    subject = tmp_path / "subject"
    subject.write_text("platform-s3cret")
    return {
        "type": "external_account",
        "audience": "//iam.googleapis.com/projects/1/locations/global/workloadIdentityPools/p/providers/q",
        "subject_token_type": "urn:ietf:params:oauth:token-type:jwt",
        "token_url": f"{google.url}/v1/token",
        "service_account_impersonation_url": f"{google.url}{_IAM}{TARGET}:generateAccessToken",
        "credential_source": {"file": str(subject)},
    }


@pytest.fixture
def aws_file(google: Google, federation_file: dict[str, Any]) -> dict[str, Any]:
    """Workload identity federation of AWS, as gcloud makes it; its addresses are the fake's."""
    return {
        **federation_file,
        "subject_token_type": "urn:ietf:params:aws:token-type:aws4_request",
        "credential_source": {
            "environment_id": "aws1",
            "region_url": f"{google.url}/az",
            "url": f"{google.url}/role",
            "imdsv2_session_token_url": f"{google.url}/latest/api/token",
            "regional_cred_verification_url": (
                "https://sts.{region}.amazonaws.com?Action=GetCallerIdentity&Version=2011-06-15"
            ),
        },
    }


@pytest.fixture
def adc(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[[dict[str, Any]], Path]:
    """Let GOOGLE_APPLICATION_CREDENTIALS name a file with this content."""

    def write(content: dict[str, Any]) -> Path:
        path = tmp_path / "credentials.json"
        path.write_text(json.dumps(content))
        monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(path))
        return path

    return write


def claims_of(encoded: str) -> dict[str, Any]:
    claims: dict[str, Any] = jwt.decode(encoded, options={"verify_signature": False})
    return claims
