"""A source of tokens as the `auth` of httpx and of requests."""

import asyncio
import io
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Hashable, Iterator

import httpx
import meshpass
import pytest
import requests
from meshpass._tokens.cache import CachedSource

from .conftest import Answer, Seen, Server


class Source(CachedSource):
    """Gives out `token-1`, `token-2` and so on; `stuck` always the same."""

    def __init__(self, *, stuck: bool = False, broken_after: int = 9) -> None:
        self.fetches = 0
        self._stuck = stuck
        self._broken_after = broken_after

    def _cache_key(self) -> Hashable:
        return object()

    def _fetch(self, deadline_s: float) -> meshpass.Token:
        if self.fetches >= self._broken_after:
            raise meshpass.SigningKeyError("No more.")
        self.fetches += 1
        return meshpass.Token("token-1" if self._stuck else f"token-{self.fetches}", 9e9, "Source")


Post = Callable[..., int]

# Of every body in this file. With it, httpx sends a stream unchunked, which is all that the tests' server reads.
_LENGTH = {"content-length": "4"}


def _httpx_sync(url: str, source: Source, body: object) -> int:
    with httpx.Client(auth=source, trust_env=False) as client:
        return client.post(url, content=body, headers=_LENGTH).status_code  # type: ignore[arg-type]


def _httpx_async(url: str, source: Source, body: object) -> int:
    async def post() -> int:
        async with httpx.AsyncClient(auth=source, trust_env=False) as client:
            return (await client.post(url, content=body, headers=_LENGTH)).status_code  # type: ignore[arg-type]

    return asyncio.run(post())


def _requests(url: str, source: Source, body: object) -> int:
    with requests.Session() as session:
        session.trust_env = False
        status: int = session.post(url, data=body, auth=meshpass.RequestsAuth(source)).status_code  # type: ignore[arg-type]
    return status


@pytest.fixture(params=[_httpx_sync, _httpx_async, _requests])
def post(request: pytest.FixtureRequest) -> Post:
    method: Post = request.param
    return method


def accepting(*tokens: str) -> Callable[[Seen], Answer]:
    return lambda seen: (200 if seen.headers.get("authorization", "")[7:] in tokens else 401, {}, b"answer")


def sent(server: Server) -> list[tuple[str | None, bytes]]:
    return [(seen.headers.get("authorization"), seen.body) for seen in server.seen]


def test_the_token_goes_along(post: Post, server: Server) -> None:
    assert post(f"http://{server.address}/", Source(), b"body") == 200

    assert sent(server) == [("Bearer token-1", b"body")]


def test_a_refused_request_is_sent_once_more_with_a_new_token(post: Post, server: Server) -> None:
    server.answer = accepting("token-2")

    assert post(f"http://{server.address}/", Source(), b"body") == 200

    assert sent(server) == [("Bearer token-1", b"body"), ("Bearer token-2", b"body")]
    assert server.connections == 1


def test_it_is_never_sent_a_third_time(post: Post, server: Server) -> None:
    server.answer = accepting()

    assert post(f"http://{server.address}/", Source(), b"body") == 401

    assert len(server.seen) == 2


def test_it_is_not_sent_again_with_the_same_token(post: Post, server: Server) -> None:
    server.answer = accepting()

    assert post(f"http://{server.address}/", Source(stuck=True), b"body") == 401

    assert len(server.seen) == 1


def test_the_answer_stands_where_there_is_no_new_token(post: Post, server: Server) -> None:
    server.answer = accepting()

    assert post(f"http://{server.address}/", Source(broken_after=1), b"body") == 401


def test_no_token_at_all_is_an_error(post: Post, server: Server) -> None:
    with pytest.raises(meshpass.SigningKeyError, match=r"No more\."):
        post(f"http://{server.address}/", Source(broken_after=0), b"body")

    assert not server.seen


def test_any_other_answer_is_returned_as_it_is(post: Post, server: Server) -> None:
    server.answer = lambda _: (403, {}, b"")

    assert post(f"http://{server.address}/", Source(), b"body") == 403

    assert len(server.seen) == 1


def _stream() -> Iterator[bytes]:
    yield b"bo"
    yield b"dy"


async def _astream() -> AsyncIterator[bytes]:
    yield b"body"


@pytest.mark.parametrize(
    ("method", "body"),
    [(_httpx_sync, _stream), (_httpx_async, _astream), (_requests, lambda: io.BytesIO(b"body"))],
)
def test_a_body_that_is_used_up_is_not_sent_again(
    method: Post, body: Callable[[], object], server: Server
) -> None:
    server.answer = accepting()
    source = Source()

    assert method(f"http://{server.address}/", source, body()) == 401

    assert len(server.seen) == 1
    assert source.token().value == "token-1"


def test_requests_gives_no_token_to_another_host_that_asks_for_one(
    server: Server, serve: Callable[..., Server]
) -> None:
    other = serve()
    other.answer = accepting()
    server.answer = lambda _: (307, {"location": f"http://localhost:{other.server_port}/"}, b"")

    assert _requests(f"http://{server.address}/", Source(), b"body") == 401

    assert sent(other) == [(None, b"body")]


def test_httpx_gives_no_token_to_another_host_that_asks_for_one(
    server: Server, serve: Callable[..., Server]
) -> None:
    other = serve()
    other.answer = accepting()
    server.answer = lambda _: (307, {"location": f"http://localhost:{other.server_port}/"}, b"")

    with httpx.Client(auth=Source(), trust_env=False, follow_redirects=True) as client:
        assert client.post(f"http://{server.address}/", content=b"body").status_code == 401

    assert {header for header, _ in sent(other)} == {None}


def test_a_source_is_an_httpx_auth_and_still_what_it_was() -> None:
    source = Source()

    assert isinstance(source, httpx.Auth)
    assert isinstance(source, Source)
    assert type(source) is Source


@pytest.mark.parametrize("order", ["import httpx, meshpass", "import meshpass"])
def test_httpx_may_be_imported_before_or_after_the_source_is_made(order: str, server: Server) -> None:
    code = f"""
{order}
from pathlib import Path
source = meshpass.SignedJWT("i", "a", lambda: Path("/dev/stdin").read_bytes())
import httpx
print(httpx.get("http://{server.address}/", auth=source, trust_env=False).status_code)
"""
    from cryptography.hazmat.primitives.asymmetric import ec

    from .conftest import pem_of

    key = pem_of(ec.generate_private_key(ec.SECP256R1())).decode()
    ran = subprocess.run([sys.executable, "-c", code], input=key, capture_output=True, text=True, check=True)

    assert ran.stdout == "200\n"
    assert server.seen[0].headers["authorization"].startswith("Bearer ey")


def test_the_adapter_for_requests_shows_no_token() -> None:
    source = Source()
    source.token()

    assert "token-1" not in repr(meshpass.RequestsAuth(source))


def test_the_adapter_for_requests_takes_any_token_source(server: Server, auth: meshpass.SignedJWT) -> None:
    class Plain:
        def token(self) -> meshpass.Token:
            return meshpass.Token("plain", 9e9, "test")

        async def atoken(self) -> meshpass.Token:
            return self.token()

        def invalidate(self, token: meshpass.Token) -> None: ...

    requests.get(f"http://{server.address}/", auth=meshpass.RequestsAuth(Plain()), timeout=5)
    requests.get(f"http://{server.address}/", auth=meshpass.RequestsAuth(auth), timeout=5)

    assert sent(server)[0] == ("Bearer plain", b"")
    assert sent(server)[1] == (f"Bearer {auth.token().value}", b"")
