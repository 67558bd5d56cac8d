"""`meshlab demo lookup-access`: who may call the private function from another project, how, and who is refused."""

from __future__ import annotations

import http.client
import json
import shutil
import ssl
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote, urlsplit

from rich.table import Table

from meshlab.lab.lookup_access import INVOKER, STRANGER, UNLINKED, LookupAccess
from meshlab.lab.stack import Lab
from meshlab.quick_dataclass import dataclass

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from rich.console import Console

    from meshlab.lab.project import Project

__all__ = ["HTTPX_PROGRAM", "Outcome", "access_table", "call_all", "run_lookup_access", "show_access"]

_KEY = "u-1001"
_TIMEOUT_S = 120.0
_AT_ONCE = 4
_NO_TOKEN = 4  # exit code of `meshpass` where no token can be had
HTTPX_PROGRAM = """
import os

import httpx
import meshpass

url = os.environ["LOOKUP_URL"]
response = httpx.get(f"{url}/lookup/u-1001", auth=meshpass.GoogleIDToken(url))
print(response.status_code, response.text)
"""
"""The program of docs/call-a-function.md."""


@dataclass(frozen=True)
class Outcome:
    """What became of one call.

    Attributes:
        caller: The pod that called.
        how: How it called.
        expected: The outcome to expect.
        found: The outcome.
    """

    caller: str
    how: str
    expected: str
    found: str

    @property
    def good(self) -> bool:
        """Whether it ended as expected."""
        return self.found == self.expected


@dataclass(frozen=True)
class _Call:
    caller: str
    how: str
    expected: str
    make: Callable[[LookupAccess], str]


def run_lookup_access(project: Project, console: Console) -> bool:
    """Run the lab and the function behind its front door, and show what becomes of each call.

    Args:
        project: The checkout to run.
        console: Where to show it.

    Returns:
        Whether every call ended as expected.

    Raises:
        LabError: A part did not start.
    """
    began_at = time.monotonic()
    with console.status("starting the mesh, the fakes, the function and its front door"):
        lab = Lab(project)
        with lab, LookupAccess(project, lab) as access:
            access.wait_ready()
            ready_after_s = time.monotonic() - began_at
            outcomes = call_all(access)
    console.print(f"ready after {ready_after_s:.2f} s", highlight=False)
    good = show_access(access, outcomes, console)
    console.print(
        f"took {time.monotonic() - began_at:.1f} s in all; nothing is left running", highlight=False
    )
    met = sum(outcome.good for outcome in outcomes)
    console.print(f"demo: {met} of {len(outcomes)} calls ended as expected", highlight=False)
    return good


def show_access(access: LookupAccess, outcomes: Sequence[Outcome], console: Console) -> bool:
    """Show the calls, and return whether all of them ended as expected."""
    console.print(access_table(outcomes))
    for sentence in access.not_checked:
        console.print(f"LOOKUP_INVOKERS: {sentence}", style="dim", highlight=False)
    return all(outcome.good for outcome in outcomes)


def access_table(outcomes: Sequence[Outcome]) -> Table:
    """Return who called the function, how, and with what outcome."""
    table = Table(
        title="Who may call the private function",
        title_justify="left",
        title_style="bold",
        header_style="bold",
    )
    for column in ("caller", "how", "outcome"):
        table.add_column(column, overflow="fold")
    for outcome in outcomes:
        found = outcome.found if outcome.good else f"{outcome.found} (expected: {outcome.expected})"
        table.add_row(outcome.caller, outcome.how, found, style="" if outcome.good else "red")
    return table


def call_all(access: LookupAccess) -> list[Outcome]:
    """Make all calls, some at once, and return their outcomes in the order of the table."""
    calls = _calls(access)
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        found = list(pool.map(lambda call: _made(call, access), calls))
    return [
        Outcome(call.caller, call.how, call.expected, one) for call, one in zip(calls, found, strict=True)
    ]


def _made(call: _Call, access: LookupAccess) -> str:
    """Make a call, and return its outcome: one that fails or takes too long is one as well."""
    try:
        return call.make(access)
    except (subprocess.TimeoutExpired, TimeoutError):
        return f"no answer within {_TIMEOUT_S:g} s"
    except (OSError, http.client.HTTPException) as error:
        return f"no answer: {getattr(error, 'strerror', None) or type(error).__name__}"


def _calls(access: LookupAccess) -> list[_Call]:
    account = access.pods[INVOKER].identity.partition("@")[0]
    reached, unverified, refused = f"200, {_KEY}", "401 Unauthorized", "403 Forbidden"
    curl = "curl" if shutil.which("curl") else "HTTP"
    return [
        _Call(account, "meshpass call --google URL", reached, _meshpass(INVOKER)),
        _Call(account, "httpx, auth=meshpass.GoogleIDToken(URL)", reached, _httpx),
        _Call(account, f"{curl}, token of the metadata server", reached, _curl("Authorization")),
        _Call(
            account,
            f"{curl}, X-Serverless-Authorization beside an application's own token",
            reached,
            _curl("X-Serverless-Authorization", "Authorization: Bearer of-the-application"),
        ),
        _Call("stranger", "its own ID token", refused, lambda found: _get(found, _id_token(found, STRANGER))),
        _Call(
            account,
            "ID token for another audience",
            unverified,
            lambda found: _get(found, _id_token(found, INVOKER, "https://another.example")),
        ),
        _Call(account, "access token", unverified, lambda found: _get(found, _access_token(found))),
        _Call(account, "no token", refused, lambda found: _get(found, None)),
        _Call("pod without a link", "meshpass call --google URL", "no ID token", _meshpass(UNLINKED)),
    ]


def _meshpass(pod: str) -> Callable[[LookupAccess], str]:
    def call(access: LookupAccess) -> str:
        command = [str(Path(sys.executable).parent / "meshpass"), "call", "--google", "--json"]
        code, out = _run([*command, f"{access.url}/lookup/{_KEY}"], access, pod)
        if code == _NO_TOKEN:
            return "no ID token"
        try:
            answer = json.loads(out)
            return _outcome(answer["status"], json.dumps(answer["body"]))
        except (ValueError, LookupError, TypeError):
            return f"exit code {code}"

    return call


def _httpx(access: LookupAccess) -> str:
    code, out = _run([sys.executable, "-c", HTTPX_PROGRAM], access, INVOKER)
    status, _, body = out.partition(" ")
    return _outcome(int(status), body) if code == 0 and status.isdigit() else f"exit code {code}"


def _curl(name: str, *headers: str) -> Callable[[LookupAccess], str]:
    def call(access: LookupAccess) -> str:
        token = _id_token(access, INVOKER)
        program = shutil.which("curl")
        if program is None:
            return _get(access, token, name, *headers)
        command = [program, "--silent", "--show-error", "--header", "@-", "--write-out", " %{http_code}"]
        # On standard input, for other users can read a command's arguments.
        lines = "".join(f"{line}\n" for line in (*headers, f"{name}: Bearer {token}"))
        code, out = _run([*command, f"{access.url}/lookup/{_KEY}"], access, INVOKER, lines)
        body, _, status = out.rpartition(" ")
        return _outcome(int(status), body) if code == 0 and status.isdigit() else f"exit code {code}"

    return call


def _run(command: Sequence[str], access: LookupAccess, pod: str, given: str = "") -> tuple[int, str]:
    """Run a program in a pod's environment, and return its exit code and its standard output."""
    done = subprocess.run(  # noqa: S603 - the demo's own commands
        command,
        env=access.environment(pod),
        input=given,
        capture_output=True,
        encoding="utf-8",
        errors="replace",
        timeout=_TIMEOUT_S,
        check=False,
    )
    return done.returncode, done.stdout


def _get(access: LookupAccess, token: str | None, name: str = "Authorization", *headers: str) -> str:
    """Send one plain request."""
    url = urlsplit(access.url)
    trusted = ssl.create_default_context(cafile=access.ca_file)
    given = dict(line.split(": ", 1) for line in headers) | ({name: f"Bearer {token}"} if token else {})
    connection = http.client.HTTPSConnection(
        url.hostname or "", url.port, context=trusted, timeout=_TIMEOUT_S
    )
    try:
        connection.request("GET", f"/lookup/{_KEY}", headers=given)
        response = connection.getresponse()
        return _outcome(response.status, response.read().decode(errors="replace"))
    finally:
        connection.close()


def _outcome(status: int, body: str) -> str:
    if status != http.HTTPStatus.OK:
        return f"{status} {http.client.responses.get(status, '')}".rstrip()
    return f"{status}, {_KEY}" if f'"{_KEY}"' in body else f"{status}, without the profile"


def _id_token(access: LookupAccess, pod: str, audience: str | None = None) -> str:
    return _metadata(access, pod, f"identity?audience={quote(audience or access.url, safe='')}")


def _access_token(access: LookupAccess) -> str:
    return str(json.loads(_metadata(access, INVOKER, "token"))["access_token"])


def _metadata(access: LookupAccess, pod: str, what: str) -> str:
    connection = http.client.HTTPConnection(access.metadata_server(pod), timeout=_TIMEOUT_S)
    try:
        path = f"/computeMetadata/v1/instance/service-accounts/default/{what}"
        connection.request("GET", path, headers={"Metadata-Flavor": "Google"})
        return connection.getresponse().read().decode()
    finally:
        connection.close()
