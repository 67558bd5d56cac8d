"""The command `meshlab`, as typed."""

from __future__ import annotations

import functools
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import TYPE_CHECKING

import pytest
from meshlab.processes.supervisor import Supervisor
from meshpass import Settings
from meshpass.keys import GatewayProof, KeyLifecycleError, KeyRing, open_store

from docs.terminal_picture import lines_of
from tests.docs.test_docs_code import assert_page_shows

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[2]
MESHLAB = str(Path(sys.executable).parent / "meshlab")
ENVOY = str(Path(sys.executable).parent / "envoy")
FILES = {"pipeline": "pipeline.toml", "table": "table.json", "events": "events.jsonl"}
EXAMPLE = ("-f", "infra/mesh/overlays/example")


Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def loaded(commands: Path) -> Run:
    """`meshlab` in a process that has its imports behind it, for what ends before anything is started."""
    return functools.partial(meshlab, program=str(commands / "meshlab"))


def meshlab(
    *arguments: str, cwd: Path = ROOT, program: str = MESHLAB, **environment: str
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [program, *arguments],
        capture_output=True,
        text=True,
        cwd=cwd,
        timeout=120,
        env={**_without_pubsub(), **environment},
        check=False,
    )


def _without_pubsub() -> dict[str, str]:
    # Parallel test processes have a terminal's width in their environment; a pipe has none.
    own = {"PUBSUB_EMULATOR_HOST", "COLUMNS"}
    return {name: value for name, value in os.environ.items() if name not in own}


def wait_until(condition: Callable[[], bool], timeout_s: float = 20.0) -> None:
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.05)


def processes_of(run_directory: str) -> list[int]:
    """Processes whose command line mentions a run's private directory, as its proxies' do."""
    found = []
    for entry in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            command = entry.read_text()
        except OSError:  # it ended in between
            continue
        if run_directory in command:
            found.append(int(entry.parent.name))
    return found


def test_the_demo_accounts_for_every_event_of_the_shipped_sample(tmp_path: Path) -> None:
    done = meshlab("demo", NO_COLOR="1", TMPDIR=str(tmp_path))
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.splitlines()[-1] == "demo: 243 events, 225 rows, 18 dead-lettered, 0 lost"
    assert "Who may call the private function" in done.stdout
    assert "(expected" not in done.stdout
    assert "\x1b" not in done.stdout
    assert done.stderr == ""
    assert list(tmp_path.iterdir()) == []
    assert processes_of(str(tmp_path)) == []
    # Lines of the README's picture, but for those with times, rows in their order, and what depends on these.
    varies = re.compile(r"\d m?s\b|\d\d:\d\d:\d\d|^e-\d|lookups in the mesh|writes to BigQuery|make demo")
    printed = {" ".join(re.sub("[│┃]", " ", line).split()) for line in done.stdout.splitlines()}
    pictured = [
        line for line in lines_of((ROOT / "docs/images/demo.svg").read_text()) if not varies.search(line)
    ]
    assert "dead-lettered 18" in pictured
    assert [line for line in pictured if line not in printed] == [], "Run `python docs/demo_picture.py`."


def test_the_demo_of_the_egress_mesh_shows_who_got_where_and_why_not(tmp_path: Path) -> None:
    done = meshlab("demo", "egress", NO_COLOR="1", TMPDIR=str(tmp_path))
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.fullmatch(
        r"egress: 7 steps, (\d+) requests, \1 as expected, 0 not", done.stdout.splitlines()[-1]
    )
    cells = [[cell.strip() for cell in line.split("│")[1:-1]] for line in done.stdout.splitlines()]
    assert [
        "team-x GET http://httpbin.org/status/418",
        *("200", "502 S", "502 S", "200", "403 G", "403 G", "502 S"),
    ] in cells
    assert ["team-y GET http://httpbin.org/", "403", "gateway", "no ALLOW policy matched"] in cells
    assert_page_shows("docs/egress.md", "meshlab demo egress", done.stdout)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("option", [("--overlay", "plain-http"), ("--no-policy-tests",)])
def test_the_demo_of_a_mesh_refuses_options_that_are_for_events(loaded: Run, option: tuple[str, ...]) -> None:
    done = loaded("demo", "egress", *option)
    assert (done.returncode, done.stdout) == (1, "")
    assert (
        "--events, --overlay and --no-policy-tests are for the demo of events, not for egress" in done.stderr
    )


PIPELINE = """
[event]
id = "event.order_id"
[event.fields]
order_id = { type = "string", max_length = 128 }
"customer.id" = "string"
placed_at = "timestamp"
[lookup]
path = "/customers/{customer.id}/tier"
echo = "customer"
miss_error = "unknown_customer"
[columns]
order = "event.order_id"
placed_at = "event.placed_at"
tier = "profile.tier"
shop = "message.attributes.shop"
"""
TABLE = {
    "schema": {
        "fields": [
            {"name": "order", "type": "STRING", "mode": "REQUIRED"},
            {"name": "placed_at", "type": "TIMESTAMP"},
            {"name": "tier", "type": "STRING"},
            {"name": "shop", "type": "STRING"},
        ]
    }
}


class Customers(BaseHTTPRequestHandler):
    """A user's own service."""

    def do_GET(self) -> None:
        customer = self.path.split("/")[2]
        known = customer != "c-9"
        body = json.dumps(
            {"customer": customer, **({"tier": "gold"} if known else {"error": "unknown_customer"})}
        )
        self.send_response(200 if known else 404)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body.encode())

    def log_message(self, *_: object) -> None:
        pass


def test_the_demo_shows_own_events_as_rows_of_an_own_table_with_an_own_service(tmp_path: Path) -> None:
    lines = [
        {"order_id": f"o-{number}", "customer": {"id": customer}, "placed_at": "2026-11-20T08:00:00Z"}
        for number, customer in ((1, "c-1"), (2, "c-9"), (3, "c-3"), (1, "c-1"))
    ]
    (tmp_path / "events.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    (tmp_path / "pipeline.toml").write_text(PIPELINE)
    (tmp_path / "table.json").write_text(json.dumps(TABLE))
    files = [f"--{name}={tmp_path / file}" for name, file in FILES.items()]
    with ThreadingHTTPServer(("127.0.0.1", 0), Customers) as server:
        Thread(target=server.serve_forever, args=(0.01,)).start()
        own = ["--attribute=shop=s-1", f"--app=127.0.0.1:{server.server_port}"]
        # docs/own-the-events.md shows the demo of another pipeline with the policy tests of its mesh.
        done = meshlab("demo", *files, *own, "--no-policy-tests")
        server.shutdown()
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.splitlines()[-1] == "demo: 3 events, 2 rows, 1 dead-lettered, 0 lost"
    cells = [[cell.strip() for cell in line.split("│")[1:-1]] for line in done.stdout.splitlines()]
    assert ["o-3", "2026-11-20 08:00:00+00:00", "gold", "s-1"] in cells
    assert (
        "services/user-profile/service.yaml, under routes: own-1: {methods: [GET], paths: [/customers/{*}/tier]}"
        in (done.stdout)
    )


@pytest.mark.parametrize(("attribute", "said"), [("shop", "NAME=VALUE"), ("timeout=1", "cannot publish")])
def test_the_demo_refuses_an_attribute_that_is_none(loaded: Run, attribute: str, said: str) -> None:
    done = loaded("demo", f"--attribute={attribute}")
    assert (done.returncode, done.stdout) == (1, "")
    assert said in done.stderr


def test_the_demo_says_in_one_sentence_what_is_wrong_with_an_own_pipeline(
    loaded: Run, tmp_path: Path
) -> None:
    (tmp_path / "pipeline.toml").write_text(PIPELINE)
    done = loaded("demo", f"--pipeline={tmp_path / 'pipeline.toml'}")
    assert done.returncode == 1
    assert "columns.order is no column of the table" in done.stderr
    assert "name the definition of yours with --table FILE" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("content", "complaint"), [(None, "cannot read the events"), (b"\n\n", "holds no event")]
)
def test_the_demo_refuses_a_file_without_events(
    loaded: Run, tmp_path: Path, content: bytes | None, complaint: str
) -> None:
    file = tmp_path / "events.jsonl"
    if content is not None:
        file.write_bytes(content)
    done = loaded("demo", "--events", str(file))
    assert done.returncode == 1
    assert complaint in done.stderr
    assert str(file) in done.stderr


MINE = [
    {"event_id": "mine-1", "user_id": "u-1001", "type": "t", "occurred_at": "2026-11-20T08:00:00Z"},
    {"event_id": "mine-2", "user_id": "nobody", "type": "t", "occurred_at": "2026-11-20T08:00:00Z"},
]


def test_the_demo_fails_and_says_so_when_a_guarantee_of_the_mesh_is_broken(tmp_path: Path) -> None:
    for part in ("infra", "function"):
        shutil.copytree(ROOT / part, tmp_path / part, symlinks=True)
    policy = tmp_path / "infra/mesh/services/user-profile/generated/caller-enrichment.yaml"
    policy.write_text(
        policy.read_text().replace("              - GET\n", "              - GET\n              - POST\n")
    )
    # The cases of the service whose policy is wider; those of the others are for the demo of the shipped sample.
    tests = tmp_path / "infra/policy-tests/ingress"
    others = [file for file in tests.rglob("*.yaml") if file.name != "user-profile.yaml"]
    assert others
    for file in others:
        file.unlink()
    (tmp_path / "events.jsonl").write_text(json.dumps(MINE[0]) + "\n")
    done = meshlab("demo", "--project", str(tmp_path), "--events", str(tmp_path / "events.jsonl"))
    assert done.returncode == 1
    assert "✗ the gateway's identity with POST" in done.stdout
    assert "✗ user-profile, enrichment: POST /profile/x-1, at user-profile" in done.stdout
    assert re.search(r"broken: 2 of \d+ policy tests", done.stdout)
    assert done.stdout.splitlines()[-1].startswith("demo: ")


def test_the_demo_takes_a_users_own_events_and_uses_a_pubsub_server_that_is_already_there(
    tmp_path: Path,
) -> None:
    events = tmp_path / "events.jsonl"
    events.write_text("\n".join(map(json.dumps, MINE)) + "\nnot JSON\n")
    with Supervisor() as supervisor:
        other = supervisor.spawn("other", [sys.executable, "-m", "meshlab.cloud.pubsub"])
        address = f"127.0.0.1:{other.listening_port()}"
        command = ("demo", "--no-policy-tests", "--events", str(events))
        done = meshlab(*command, PUBSUB_EMULATOR_HOST=address)
        again = meshlab(*command, PUBSUB_EMULATOR_HOST=address)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.splitlines()[-1] == "demo: 3 events, 1 rows, 2 dead-lettered, 0 lost"
    assert address in done.stdout
    assert "eventarc" in done.stdout
    assert "Access matrix" not in done.stdout
    assert again.returncode == 0, again.stdout + again.stderr


def test_run_leads_official_clients_to_the_lab_and_passes_the_exit_code_on() -> None:
    program = """
import sys
from google.cloud import bigquery, pubsub_v1
import meshpass, os
topic = f"projects/{os.environ['GOOGLE_CLOUD_PROJECT']}/topics/{os.environ['TRIGGER_TOPIC']}"
event = b'{"event_id": "run-1", "user_id": "u-1001", "type": "t", "occurred_at": "2026-11-20T08:00:00Z"}'
print("message", pubsub_v1.PublisherClient().publish(topic, event).result(10))
client = bigquery.Client()
query = f"SELECT event_id FROM `{os.environ['BIGQUERY_TABLE']}`"
while not (rows := list(client.query_and_wait(query))):
    pass
print("row", rows[0].event_id)
import grpc
from google.cloud.bigquery_storage_v1 import BigQueryWriteClient
from google.cloud.bigquery_storage_v1.services.big_query_write.transports import BigQueryWriteGrpcTransport
transport = BigQueryWriteGrpcTransport(channel=grpc.insecure_channel(os.environ["BIGQUERY_WRITE_EMULATOR_HOST"]))
stream = BigQueryWriteClient.table_path(*os.environ["BIGQUERY_TABLE"].split(".")) + "/streams/_default"
found = BigQueryWriteClient(transport=transport).get_write_stream({"name": stream, "view": "FULL"})
print("column", found.table_schema.fields[0].name)
with meshpass.Client.from_env() as mesh:
    print("profile", mesh.get("/profile/{user_id}", user_id="u-1001").json()["user_id"])
sys.exit(7)
"""
    done = meshlab("run", "--", sys.executable, "-c", program)
    assert done.returncode == 7, done.stderr
    assert "row run-1" in done.stdout
    assert "column event_id" in done.stdout
    assert "profile u-1001" in done.stdout


def test_run_names_a_command_that_does_not_exist(loaded: Run) -> None:
    done = loaded("run", "--", "no-such-command")
    assert done.returncode == 1
    assert "cannot run no-such-command" in done.stderr


@contextmanager
def meshlab_up(env_file: Path, *arguments: str) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(
        [MESHLAB, "up", "--env-file", str(env_file), *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        cwd=ROOT,
        env=_without_pubsub(),
    )
    try:
        assert process.stdout is not None
        said = [process.stdout.readline()]
        while not said[-1].startswith("# up after"):
            assert said[-1], "".join(said)
            said.append(process.stdout.readline())
        yield process
    finally:
        process.kill()
        process.communicate()


def read_env(env_file: Path) -> dict[str, str]:
    return dict(line.split("=", 1) for line in env_file.read_text().splitlines())


@pytest.mark.parametrize("end", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_up_ends_everything_however_it_ends(tmp_path: Path, end: signal.Signals) -> None:
    env_file = tmp_path / "lab.env"
    with meshlab_up(env_file) as process:
        assert_ends_everything(process, env_file, end)
    assert not env_file.exists()


def assert_ends_everything(process: subprocess.Popen[str], env_file: Path, end: signal.Signals) -> None:
    run_directory = str(Path(read_env(env_file)["GKE_GATEWAY_CA_FILE"]).parents[3])
    assert len(processes_of(run_directory)) >= 2
    process.send_signal(end)
    assert process.wait(20) == (-end if end == signal.SIGKILL else 128 + end)
    wait_until(lambda: not processes_of(run_directory))
    wait_until(lambda: not Path(run_directory).exists())


def test_up_follows_a_file_of_keys_and_leaves_nothing_when_it_is_killed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    env_file, jwks = tmp_path / "lab.env", tmp_path / "jwks.json"
    with meshlab_up(env_file, "--jwks", str(jwks)) as process:
        assert process.stdout is not None
        for name, value in read_env(env_file).items():
            monkeypatch.setenv(name, value)
        ring = KeyRing(open_store(os.environ["SIGNING_KEY_SECRET_ID"]))
        proof = GatewayProof(Settings.from_env(), "/profile/{user_id}", {"user_id": "u-1001"})
        ring.next()
        with pytest.raises(KeyLifecycleError, match="not proven that the mesh accepts the key"):
            ring.promote(proof)
        jwks.write_text("{")
        assert process.stdout.readline().startswith(f"meshlab: {jwks} was not taken: ")
        jwks.write_text(json.dumps(ring.jwks()))
        assert process.stdout.readline() == f"# the mesh trusts the keys in {jwks}\n"
        states = [version.state for version in ring.promote(proof).versions]
        assert states == ["previous", "active"]
        assert_ends_everything(process, env_file, signal.SIGKILL)


@pytest.mark.parametrize("workload", ["istio-ingress/istio-internal-gateway", "user-profile/user-profile"])
def test_render_prints_what_envoy_accepts_and_no_key(loaded: Run, workload: str) -> None:
    done = loaded("render", *EXAMPLE, "--workload", workload)
    assert done.returncode == 0, done.stderr
    assert "PRIVATE" not in done.stdout
    checked = subprocess.run(
        [ENVOY, "--mode", "validate", "--config-yaml", done.stdout],
        capture_output=True,
        text=True,
        check=False,
    )
    assert checked.returncode == 0, checked.stderr
    assert "OK" in checked.stdout


def test_render_is_the_same_every_time(loaded: Run) -> None:
    one = ("render", *EXAMPLE, "--workload", "user-profile/user-profile")
    first, second = meshlab(*one).stdout, loaded(*one).stdout
    assert first
    assert first == second


@pytest.mark.parametrize(
    ("workload", "complaint"),
    [
        ("user-profile/nobody", "There is no workload user-profile/nobody"),
        ("nobody", "write namespace/name"),
    ],
)
def test_render_names_a_workload_that_does_not_exist(loaded: Run, workload: str, complaint: str) -> None:
    done = loaded("render", *EXAMPLE, "--workload", workload)
    assert done.returncode == 2
    assert complaint in done.stderr


def test_outside_a_project_every_command_says_where_to_go(loaded: Run, tmp_path: Path) -> None:
    done = loaded("run", "--project", str(tmp_path), "--", "true")
    assert done.returncode == 1
    assert "--project" in done.stderr


@pytest.mark.parametrize(
    "command", [[], ["test"], ["init"], ["render"], ["support"], ["schema"], ["demo"], ["up"], ["run"]]
)
def test_every_command_explains_itself(command: list[str]) -> None:
    done = meshlab(*command, "--help")
    assert done.returncode == 0
    assert "Usage: meshlab" in done.stdout
