"""One blocking call after the other on a warm connection."""

import http.client
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing

import httpx
import meshpass
from google.auth.transport.requests import AuthorizedSession
from google.oauth2.credentials import Credentials

from bench import caller, server
from bench.harness import BenchError, Comparison, Contender, Effort, Sample, compare, percentile

_SETUP = (
    "one thread, one warm connection, HTTP without TLS, a service that answers at once; peers send the same path, Host "
    "and token, signed beforehand"
)

Get = Callable[[], tuple[int, bytes]]
"""Makes one call; returns its status and whole body."""


def run(effort: Effort) -> Iterator[Comparison]:
    """Compare the SDK's client with httpx's, the standard library's, and google-auth's session of requests."""
    calls = effort.calls(400)
    auth = caller.token_source(caller.new_key())
    token = auth.token().value
    with server.running() as address, ExitStack() as stack:
        ours = stack.enter_context(
            meshpass.Client(f"http://{server.HOST}", address=address, auth=auth, timeout_s=10)
        )
        headers = {"host": server.HOST, "authorization": f"Bearer {token}"}
        theirs = stack.enter_context(
            httpx.Client(
                base_url=f"http://{address}",
                timeout=10,
                trust_env=False,
            )
        )
        bare = stack.enter_context(closing(http.client.HTTPConnection(address, timeout=10)))

        def get_ours() -> tuple[int, bytes]:
            answer = ours.get("/profile/{user_id}", user_id="u-1001")
            return answer.status_code, answer.content

        def get_theirs() -> tuple[int, bytes]:
            answer = theirs.get(server.PATH, headers=headers)
            return answer.status_code, answer.content

        def get_bare() -> tuple[int, bytes]:
            bare.request("GET", server.PATH, headers=headers)
            answer = bare.getresponse()
            return answer.status, answer.read()

        session = stack.enter_context(AuthorizedSession(Credentials(token)))
        session.trust_env = False
        url = f"http://{address}{server.PATH}"

        def get_authorized() -> tuple[int, bytes]:
            answer = session.get(url, headers={"host": server.HOST}, timeout=10)
            return answer.status_code, answer.content

        contenders = [
            ("meshpass.Client", get_ours),
            ("httpx.Client", get_theirs),
            ("http.client", get_bare),
            ("google.auth AuthorizedSession", get_authorized),
        ]
        yield compare(
            f"call: {calls} calls a round, one after the other, per call",
            [Contender(name, measuring(get, calls)) for name, get in contenders],
            rounds=effort.rounds(11),
            setup=_SETUP,
            peer="httpx.Client",
        )


def measuring(get: Get, calls: int) -> Callable[[], Sample]:
    """Return what makes so many calls, one after the other, and measures them."""

    def measure() -> Sample:
        taken_us = []
        cpu_s = time.process_time()
        for _ in range(calls):
            began = time.perf_counter()
            answer = get()
            taken_us.append((time.perf_counter() - began) * 1e6)
            check(answer)
        cpu_s = time.process_time() - cpu_s
        return {"cpu_us": cpu_s / calls * 1e6, "p50_us": percentile(taken_us, 50)}

    return measure


def check(answer: tuple[int, bytes]) -> None:
    """Refuse to time anything but the right answer.

    Raises:
        BenchError: It is another one.
    """
    if answer != (200, server.BODY):
        raise BenchError(
            f"a call was answered with {answer[0]} and {len(answer[1])} bytes, not with the profile"
        )
