"""A program as a user of meshpass writes it, checked with mypy's and pyright's strictest settings; it is never run."""

from collections.abc import AsyncIterator, Callable, Mapping
from datetime import date
from pathlib import Path
from typing import assert_type
from uuid import UUID

import httpx
import meshpass
import requests
from meshpass import keys


class TokensOfOurOwn:
    """Any object with these three methods is a `TokenSource`."""

    def token(self) -> meshpass.Token:
        return meshpass.Token("value", 1_800_000_000.0, "our own", {"iss": "us"})

    async def atoken(self) -> meshpass.Token:
        return self.token()

    def invalidate(self, token: meshpass.Token) -> None:
        print("refused", token.source, token.expires_at)


def pem_from_somewhere() -> bytes:
    return Path("signing.pem").read_bytes()


KEYS: list[meshpass.KeyFile | meshpass.SecretManagerKey | meshpass.KMSKey | Callable[[], bytes]] = [
    meshpass.KeyFile("signing.pem"),
    meshpass.KeyFile(Path("signing.pem")),
    meshpass.SecretManagerKey("projects/p/secrets/s/versions/active", timeout_s=5),
    meshpass.KMSKey("projects/p/locations/l/keyRings/r/cryptoKeys/k/cryptoKeyVersions/1"),
    pem_from_somewhere,
]


def sources() -> list[meshpass.TokenSource]:
    signed = [
        meshpass.SignedJWT(
            "https://issuer.example",
            "user-profile",
            key,
            subject="me",
            scope="profile.read",
            claims={"team": "data", "tags": [1, 2]},
            lifetime_s=120,
            key_ttl_s=60,
        )
        for key in KEYS
    ]
    assert_type(signed[0].jwks(), dict[str, list[dict[str, str]]])
    google = meshpass.GoogleIDToken(
        "user-profile", service_account="caller@project.iam.gserviceaccount.com", delegates=["a@b.example"]
    )
    origin = google.origin()
    assert_type(origin, meshpass.IdentityOrigin)
    print(origin.kind, origin.detail, origin.why)
    return [*signed, google, meshpass.GoogleIDToken("user-profile", credentials="metadata"), TokensOfOurOwn()]


def call() -> Mapping[str, object]:
    with meshpass.Client.from_env(timeout_s=5) as client:
        answer = client.get(
            "/profile/{user_id}",
            user_id="u-1",
            params={"full": "yes"},
            headers={"x-trace": "1"},
            timeout_s=2.5,
        )
        assert_type(answer, httpx.Response)
        client.get(
            "/orders/{day}/{order}",
            day=date(2026, 1, 2),
            order=UUID(int=1),
            params={"all": True, "after": None},
        )
        client.post(
            "/{json}", path_values={"json": 1}, data={"a": ["b", "c"]}, files={"f": ("n", b"x", "text/plain")}
        )
        with Path("export").open("rb") as file:
            client.put("/export", content=file)
            client.patch("/export", content=(part for part in (b"a", b"b")))
        assert_type(client.head("/"), httpx.Response)
        assert_type(client.options("/"), httpx.Response)
        with client.stream("GET", "/export") as response:
            assert_type(response, httpx.Response)
            for part in response.iter_bytes():
                print(len(part))
        sent = client.request("POST", "/profile", json={"name": "Ann"}, idempotent=True)
        assert_type(sent.status_code, int)
        profile: dict[str, object] = answer.json()
        return profile


def log_request(request: httpx.Request) -> None:
    print(request.method, request.url)


async def parts() -> AsyncIterator[bytes]:
    yield b"x"


def call_with_all_options(source: meshpass.TokenSource) -> httpx.Response:
    client = meshpass.Client(
        "https://user-profile.internal",
        auth=source,
        address="10.128.0.5:443",
        ca_file=Path("ca.pem"),
        client_cert=("chain.pem", "key.pem"),
        timeout_s=10,
        connect_timeout_s=1,
        attempt_timeout_s=3,
        retry=meshpass.RetryPolicy(attempts=2, backoff_s=0.1, statuses={500}),
        max_response_bytes=1 << 20,
        deadline_header=None,
        headers={"x-team": "data"},
        event_hooks={"request": [log_request], "response": [httpx.Response.raise_for_status]},
    )
    other = client.for_service("https://orders.internal")
    assert_type(other, meshpass.Client)
    allowance = meshpass.Deadline.after(2)
    try:
        other.get("/orders/{order}/{line}", order=7, line="a", timeout_s=allowance)
        return client.get("/", timeout_s=allowance, retry=meshpass.RetryPolicy(attempts=1))
    finally:
        other.close()
        client.close()


async def call_async() -> int:
    async with meshpass.AsyncClient.from_env() as client:
        answer = await client.get("/profile/{user_id}", user_id="u-1")
        assert_type(answer, httpx.Response)
        await client.post("/export", content=parts())
        async with client.stream("GET", "/export") as response:
            async for line in response.aiter_lines():
                print(line)
        return (await client.delete("/profile/{user_id}", user_id="u-1")).status_code


def handle() -> str:
    try:
        call()
    except meshpass.ConfigurationError as error:
        return "; ".join(error.problems)
    except meshpass.TokenRefused as error:
        return f"{error.cause} {error.status} {error.claims.get('aud')} {error.answered_by}"
    except (meshpass.NotAllowed, meshpass.NoRoute, meshpass.RequestRefused) as error:
        return f"{error.code}: {error.detail}"
    except (meshpass.GatewayUnreachable, meshpass.UpstreamUnavailable, meshpass.MeshTimeout) as error:
        return "later" if error.retryable else error.hint
    except (meshpass.SigningKeyError, meshpass.IdentityError, meshpass.GatewayTLSError) as error:
        return error.hint
    except (
        meshpass.InvalidPathValue,
        meshpass.InvalidRequest,
        meshpass.ClientClosed,
        meshpass.BadResponse,
    ) as error:
        return str(error)
    except meshpass.MeshError as error:
        return f"{error.service} {error.attempts} {error.retry_after_s}"
    return "well"


def with_other_clients(source: meshpass.SignedJWT) -> tuple[int, int]:
    answer = httpx.get("https://a.example", auth=source)
    with httpx.Client(auth=meshpass.GoogleIDToken("a")) as client:
        client.get("https://a.example")
    plain = requests.get("https://a.example", auth=meshpass.RequestsAuth(source), timeout=5)
    return answer.status_code, plain.status_code


def settings() -> meshpass.TokenSource:
    assert_type(meshpass.settings_problems({"GKE_GATEWAY_URL": "https://10.0.0.5"}), list[str])
    found = meshpass.Settings.from_env()
    print(found.base_url, found.address, found.issuer, found.subject)
    return found.token_source()


def rotate(wait: bool) -> list[str | None]:
    ring = keys.KeyRing(keys.open_store("projects/p/secrets/s"))
    ring.create()
    ring.next()
    ring.promote(keys.GatewayProof(meshpass.Settings.from_env(), "/profile/{user_id}", {"user_id": "u-1"}))
    ring.retire(wait=wait)
    ring.revoke("active", force=True)
    return [version.kid for version in ring.status().versions if version.published]
