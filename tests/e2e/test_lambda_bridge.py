"""Both meshes of the Lambda bridge at once: expectations, a swapped load balancer, and the drill of certificates."""

from __future__ import annotations

import json
import os
import shutil
import socket
import ssl
import subprocess
import sys
import threading
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Self

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import rsa
from meshlab.bench.case import Certificate
from meshlab.bench.case_file.collect import collect
from meshlab.lab.lambda_bridge.run import EGRESS, INGRESS, BridgeRun, bridge_values
from meshlab.lab.project import Project

from deploy.steps.bridge import certificates as bridge_certificates
from tests.docs.test_docs_code import assert_page_shows
from tests.sdk.conftest import Server
from tests.sdk.google.conftest import TARGET, Google, claims_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import TracebackType

    from meshlab.bench.case import Case, CaseFile
    from meshlab.bench.verdicts.verdict import Outcome

ROOT = Path(__file__).parents[2]
PROJECT = Project(ROOT, ROOT / "infra/mesh/overlays/example")
VALUES = bridge_values(PROJECT)
FILES = collect([ROOT / "infra/policy-tests/lambda-bridge/both"], VALUES)
PAGE = "the application gets the page"
TIMEOUT_S = 10


def only(name: str) -> list[CaseFile]:
    """The case files with one case alone."""
    return [replace(file, cases=tuple(case for case in file.cases if case.name == name)) for file in FILES]


@pytest.fixture(scope="module")
def outcomes() -> dict[str, Outcome]:
    with BridgeRun(PROJECT, FILES) as run:
        return {outcome.case.name: outcome for outcome in run.send()}


@pytest.mark.parametrize("name", [case.name for file in FILES for case in file.cases])
def test_expectation(name: str, outcomes: dict[str, Outcome]) -> None:
    assert (outcomes[name].state, outcomes[name].mismatches) == ("passed", ())


def test_the_page_goes_through_a_sidecar_and_two_gateways(outcomes: dict[str, Outcome]) -> None:
    verdict = outcomes[PAGE].verdict
    assert verdict is not None
    assert [str(hop.workload) for hop in verdict.hops] == ["greeter/greeter", str(EGRESS), str(INGRESS)]
    # Who the client was: its workload's identity at the first gateway, the bridge's own at the second.
    assert [hop.line.peer for hop in verdict.hops[1:]] == [
        "spiffe://cluster.local/ns/greeter/sa/greeter",
        VALUES["BRIDGE_CLIENT_IDENTITY"],
    ]


@pytest.mark.parametrize(
    ("shown", "reason"),
    [
        (Certificate("lambda-alb-ca", dns=(VALUES["BRIDGE_HOST"],)), "san matcher"),
        (Certificate("internet", dns=(VALUES["ALB_HOST"],)), "certificate verify failed"),
    ],
    ids=["another name", "another authority"],
)
def test_a_load_balancer_with_a_swapped_certificate_gets_no_request(shown: Certificate, reason: str) -> None:
    with BridgeRun(PROJECT, only(PAGE), balancer=shown) as run:
        (outcome,) = run.send()
    verdict = outcome.verdict
    assert verdict is not None
    assert (verdict.reply.status, verdict.proxy) == (503, INGRESS)
    assert reason in verdict.reason


class Calls:
    """Calls of the application, one after the other, for as long as the block runs."""

    def __init__(self, run: BridgeRun, case: Case) -> None:
        self.outcomes: list[Outcome] = []
        self._run, self._case = run, case
        self._arrived = threading.Condition()
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._call)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over.set()
        self._thread.join()

    def more(self, count: int) -> None:
        """Wait until so many calls began and ended after this."""
        with self._arrived:
            wanted = len(self.outcomes) + count + 1
            assert self._arrived.wait_for(lambda: len(self.outcomes) >= wanted, TIMEOUT_S)

    @property
    def failed(self) -> list[str]:
        return [
            str(outcome.verdict and outcome.verdict.summary)
            for outcome in self.outcomes
            if outcome.state != "passed"
        ]

    def _call(self) -> None:
        while not self._over.is_set():
            found = list(self._run.send([self._case]))
            with self._arrived:
                self.outcomes += found
                self._arrived.notify_all()


class Shown:
    """A copy of a client certificate, such as a thief would have."""

    def __init__(self, run: BridgeRun, directory: Path) -> None:
        directory.mkdir()
        self.certificate = shutil.copy(run.certificates.secret("gke") / "tls.crt", directory)
        self.key = shutil.copy(run.certificates.secret("gke") / "tls.key", directory)
        self.serial = x509.load_pem_x509_certificate(Path(self.certificate).read_bytes()).serial_number

    def ask(self, run: BridgeRun) -> str:
        """The status line of an answer to this certificate over a new connection."""
        with self._connected(run) as tls:
            tls.sendall(
                f"GET / HTTP/1.1\r\nhost: {VALUES['BRIDGE_HOST']}\r\nconnection: close\r\n\r\n".encode()
            )
            return tls.recv(64).decode().partition("\r\n")[0] or "closed"

    def refusal(self, run: BridgeRun) -> str:
        """Why the gateway refuses this certificate on a new connection.

        With TLS 1.3 the refusal follows the client's handshake, so nothing is sent before it is read.
        """
        try:
            with self._connected(run) as tls:
                return f"not refused: {tls.recv(64)!r}"
        except ssl.SSLError as error:
            return str(error)

    @contextmanager
    def _connected(self, run: BridgeRun) -> Iterator[ssl.SSLSocket]:
        context = ssl.create_default_context(cafile=run.certificates.root / "ca.pem")
        context.load_cert_chain(self.certificate, self.key)
        address = run.gateway_address
        with (
            socket.create_connection((address.host, address.port), TIMEOUT_S) as raw,
            context.wrap_socket(raw, server_hostname=VALUES["BRIDGE_HOST"]) as tls,
        ):
            yield tls


@pytest.fixture
def bridge() -> Iterator[BridgeRun]:
    with BridgeRun(PROJECT, only(PAGE)) as run:
        yield run


def certificates(run: BridgeRun, *arguments: str) -> None:
    """One step of the drill: the command, and the Secrets it changed."""
    run.certificates.run(*arguments)
    run.publish()


OK = "HTTP/1.1 200 OK"
REVOKED = "revoked"


def test_certificates_rotate_and_are_revoked_and_no_call_fails(bridge: BridgeRun, tmp_path: Path) -> None:
    (case,) = only(PAGE)[0].cases
    with Calls(bridge, case) as calls:
        calls.more(3)
        first = Shown(bridge, tmp_path / "first")
        assert first.serial in bridge.proxy(EGRESS).certificates()
        assert first.ask(bridge) == OK

        # Another certificate for each side. Those before go on to work.
        certificates(bridge, "issue", "gke")
        second = Shown(bridge, tmp_path / "second")
        assert second.serial in bridge.proxy(EGRESS).certificates()
        assert first.serial not in bridge.proxy(EGRESS).certificates()
        certificates(bridge, "issue", "eks")
        assert [shown.ask(bridge) for shown in (first, second)] == [OK, OK]
        calls.more(3)

        # One certificate is revoked. Its neighbour goes on to work.
        stolen = next((bridge.certificates.directory / "issued/gke").glob(f"{first.serial:x}.pem"))
        certificates(bridge, "revoke", "gke", str(stolen))
        assert REVOKED in first.refusal(bridge)
        assert second.ask(bridge) == OK
        calls.more(3)

        # Another intermediate for each side: first it is trusted, then it signs, then the one before is not trusted.
        for side in ("gke", "eks"):
            certificates(bridge, "renew", side)
            calls.more(3)
            certificates(bridge, "issue", side)
            calls.more(3)
        third = Shown(bridge, tmp_path / "third")
        assert [shown.ask(bridge) for shown in (second, third)] == [OK, OK]
        for side in ("gke", "eks"):
            certificates(bridge, "retire", side)
            calls.more(3)
        assert third.ask(bridge) == OK
        assert "alert" in second.refusal(bridge)
        assert "alert" in first.refusal(bridge)

    assert calls.failed == []
    assert len(calls.outcomes) > 20


def test_an_egress_gateway_whose_certificate_is_revoked_gets_nothing(bridge: BridgeRun) -> None:
    certificates(bridge, "revoke", "gke", str(bridge.certificates.secret("gke") / "tls.crt"))
    (outcome,) = bridge.send()
    verdict = outcome.verdict
    assert verdict is not None
    assert (verdict.reply.status, verdict.proxy) == (503, EGRESS)
    assert f"{INGRESS}: TLS with the client failed" in verdict.reason
    assert REVOKED in verdict.reason


def test_a_revocation_list_that_is_out_of_date_closes_the_door(bridge: BridgeRun, tmp_path: Path) -> None:
    shown = Shown(bridge, tmp_path / "shown")
    (now,) = bridge.send()
    assert now.state == "passed"
    long_ago = datetime.now(UTC) - timedelta(days=31)
    sides = bridge_certificates.sides_of(bridge_certificates.DEFAULT_CONTRACT)
    bridge_certificates.Certificates(bridge.certificates.directory, sides, long_ago).publish()
    bridge.publish()

    assert "alert" in shown.refusal(bridge)

    certificates(bridge, "publish")
    assert shown.ask(bridge) == OK


@pytest.fixture
def google_and_lookup(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Google, Server]]:
    """Google's STS and IAM, the private lookup, and the environment of a function whose role may ask it."""
    with ExitStack() as ends:
        servers = [ends.enter_context(Server()) for _ in range(2)]
        for server in servers:
            thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
            thread.start()
            ends.callback(thread.join)
            ends.callback(server.shutdown)
        key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        google, lookup = Google(servers[0], key.public_key()), servers[1]
        lookup.answer = lambda _: (200, {"content-type": "application/json"}, b'{"user_id": "u/1001"}')
        iam = f"{google.url}/v1/projects/-/serviceAccounts/{TARGET}:generateAccessToken"
        federation = {
            "type": "external_account",
            "audience": "//iam.googleapis.com/projects/1/locations/global/workloadIdentityPools/p/providers/q",
            "subject_token_type": "urn:ietf:params:aws:token-type:aws4_request",
            "token_url": f"{google.url}/v1/token",
            "service_account_impersonation_url": iam,
            "credential_source": {
                "environment_id": "aws1",
                "regional_cred_verification_url": "https://sts.{region}.amazonaws.com?Action=GetCallerIdentity&Version=2011-06-15",
            },
        }
        (tmp_path / "google.json").write_text(json.dumps(federation))
        for name, value in {
            "GOOGLE_APPLICATION_CREDENTIALS": str(tmp_path / "google.json"),
            "LOOKUP_URL": f"http://{lookup.address}",
            "AWS_ACCESS_KEY_ID": "ASIALAMBDA",
            "AWS_SECRET_ACCESS_KEY": "s3cret-role",
            "AWS_SESSION_TOKEN": "s3cret-session",
            "AWS_REGION": "eu-west-1",
        }.items():
            monkeypatch.setenv(name, value)
        yield google, lookup


def test_the_application_gets_what_the_private_lookup_says(google_and_lookup: tuple[Google, Server]) -> None:
    google, lookup = google_and_lookup
    asked = "a lookup that the function is not set up for"
    with BridgeRun(PROJECT, only(asked)) as run:
        (outcome,) = run.send()

    verdict = outcome.verdict
    assert verdict is not None
    assert (verdict.reply.status, json.loads(verdict.reply.text)) == (200, {"user_id": "u/1001"})
    assert [seen.target for seen in lookup.seen] == ["/lookup/u-1001"]
    # With the identity of the function's role, and for this lookup.
    token = lookup.seen[0].headers["authorization"].removeprefix("Bearer ")
    assert token == google.made[-1]
    assert (claims_of(token)["email"], claims_of(token)["aud"]) == (TARGET, os.environ["LOOKUP_URL"])


def test_the_demo_shows_who_got_where_and_why_not() -> None:
    command = [sys.executable, "-m", "meshlab", "demo", "lambda-bridge", "--project", str(ROOT)]
    wide = {**os.environ, "COLUMNS": "200"}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=wide)
    assert done.returncode == 0, done.stderr
    assert PAGE in done.stdout
    assert "did not return a certificate" in done.stdout
    count = sum(len(file.cases) for file in FILES)
    assert done.stdout.splitlines()[-1] == f"demo: {count} of {count} requests ended as expected"
    assert_page_shows("docs/lambda-bridge.md", "meshlab demo lambda-bridge", done.stdout)
