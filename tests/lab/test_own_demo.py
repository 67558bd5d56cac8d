"""A demo with a pipeline of the user: what is checked before anything starts, and the mesh that is made for it."""

from __future__ import annotations

import json
import socket
import sys
from pathlib import Path

import httpx
import pytest
from meshlab.cloud.serving import serving
from meshlab.demo.events import read_events
from meshlab.demo.function_log import Problem, read_log
from meshlab.demo.own import Own, prepare
from meshlab.errors import LabError
from meshlab.istio import load_mesh
from meshlab.kustomize import build
from meshlab.lab.lookup_service import LookupApp, arguments_for, load_profiles
from meshlab.lab.own_routes import with_routes
from meshlab.lab.pipeline import Lookup, Pipeline
from meshlab.lab.project import Project
from meshlab.processes.supervisor import Supervisor

ROOT = Path(__file__).parents[2]
PIPELINE = """
[event]
id = "event.order_id"
[event.fields]
order_id = { type = "string", max_length = 128 }
customer = "string"
[lookup]
path = "/customers/{customer}"
echo = "customer"
miss_error = "unknown"
[columns]
id = "event.order_id"
tier = "profile.tier"
"""
TABLE = {"schema": {"fields": [{"name": "id", "type": "STRING"}, {"name": "tier", "type": "STRING"}]}}


@pytest.fixture
def project() -> Project:
    return Project.find(root=ROOT)


@pytest.fixture
def files(tmp_path: Path) -> Path:
    """The files of a user."""
    (tmp_path / "copy").mkdir()
    (tmp_path / "pipeline.toml").write_text(PIPELINE)
    (tmp_path / "table.json").write_text(json.dumps(TABLE))
    (tmp_path / "profiles.json").write_text('{"c-1": {"tier": "gold"}}')
    return tmp_path


def own(files: Path, *profiles: str, app: str | None = None) -> Own:
    return Own(files / "pipeline.toml", files / "table.json", profiles, app)


def test_a_new_lookup_path_gets_a_route_and_policies_in_a_copy_and_the_edits_are_named(
    project: Project, files: Path
) -> None:
    before = (ROOT / "infra/mesh/services/user-profile/service.yaml").read_bytes()
    ready = prepare(project, own(files, str(files / "profiles.json")), files / "copy")
    assert ready.own.mesh.root == files / "copy"
    assert ready.own.served == ((ready.own.pipeline.lookups[0], files / "profiles.json"),)
    text = "".join(path.read_text() for path in (files / "copy/infra/mesh").rglob("generated/*.yaml"))
    assert text.count("- /customers/{*}") >= 2  # the gateway's policy and the sidecar's
    load_mesh(build(ready.own.mesh.overlay)).require_complete(without_notes=True)
    service, caller = ready.edits
    assert service.startswith("infra/mesh/services/user-profile/service.yaml, under routes: ")
    assert "{methods: [GET], paths: [/customers/{*}]}" in service
    assert caller == "infra/mesh/callers/enrichment.yaml, under calls: user-profile: [profile, own-1]"
    assert (ROOT / "infra/mesh/services/user-profile/service.yaml").read_bytes() == before


def test_the_shipped_path_needs_no_new_mesh(project: Project, tmp_path: Path) -> None:
    assert with_routes(project, [Lookup()], tmp_path / "unused").project is project
    ready = prepare(project, Own(None, None, (), None), tmp_path / "unused")
    assert (ready.own.mesh, ready.edits) == (project, ())


def test_a_path_that_the_mesh_cannot_have_is_refused_with_the_reason(
    project: Project, tmp_path: Path
) -> None:
    with pytest.raises(LabError, match=r"cannot have this lookup: .*a path such as /orders") as caught:
        with_routes(project, [Lookup(path="/a;b/{id}")], tmp_path)
    assert str(tmp_path) not in str(caught.value)


def test_an_overlay_outside_of_the_checkout_is_refused(project: Project, tmp_path: Path) -> None:
    (tmp_path / "kustomization.yaml").touch()
    elsewhere = Project.find(root=ROOT, overlay=tmp_path)
    with pytest.raises(LabError, match="add the route there yourself"):
        with_routes(elsewhere, [Lookup(path="/x/{id}")], tmp_path)


def test_the_functions_own_check_says_what_is_wrong_with_a_pipeline(project: Project, files: Path) -> None:
    (files / "pipeline.toml").write_text(PIPELINE.replace("profile.tier", "profiles.tier"))
    with pytest.raises(LabError, match=r"pipeline\.toml: columns\.tier"):
        prepare(project, own(files, str(files / "profiles.json")), files / "copy")


def test_a_mistake_of_the_pipeline_is_named_though_the_made_up_event_does_not_fit_either(
    project: Project, files: Path
) -> None:
    """The made-up event has no key, as its attribute is missing; that alone would be no mistake."""
    by_attribute = PIPELINE.replace("echo =", 'params = { customer = "message.attributes.c" }\necho =')
    (files / "pipeline.toml").write_text(by_attribute)
    prepare(project, own(files, str(files / "profiles.json")), files / "copy")
    (files / "pipeline.toml").write_text(by_attribute.replace('"profile.tier"', '"profile.tier == null"'))
    with pytest.raises(LabError, match=r"^pipeline\.toml: columns\.tier[^\n]*$"):
        prepare(project, own(files, str(files / "profiles.json")), files / "copy")


@pytest.mark.parametrize(
    ("content", "messages"),
    [
        (b'{"a": 1}\n\n\xff\n', [b'{"a": 1}', b"\xff"]),
        (b'{\n"a": 1\n}\n', [b'{\n"a": 1\n}\n']),
        (b"\x1f\x8b\x08\nx\ny", [b"\x1f\x8b\x08\nx\ny"]),
        (b"Obj\0\nx\ny", [b"Obj\0\nx\ny"]),
        (
            '[\n {"a" : "é]"},\n{\n"b": 1.50}, [2] ]\n'.encode(),
            ['{"a" : "é]"}'.encode(), b'{\n"b": 1.50}', b"[2]"],
        ),
        (b'[{"a": "\\ud800"}]', [b'{"a": "\\ud800"}']),
        (b'[{"a": 1},\n', [b'[{"a": 1},']),
        (b'[1]\n{"a": 1}\n', [b"[1]", b'{"a": 1}']),
        (b'[\n"\xff"]', [b"[", b'"\xff"]']),
    ],
    ids=[
        "lines",
        "one document",
        "gzip",
        "binary",
        "array",
        "escape",
        "half an array",
        "arrays a line",
        "no UTF-8",
    ],
)
def test_a_file_of_events_is_one_message_a_line_unless_it_is_a_document_an_array_or_no_text(
    tmp_path: Path, content: bytes, messages: list[bytes]
) -> None:
    (tmp_path / "events").write_bytes(content)
    assert read_events(tmp_path / "events") == messages


def test_an_array_is_one_message_where_the_pipeline_says_so(tmp_path: Path) -> None:
    content = b'[{"id": "a"},\n{"id": "b"}]\n'
    (tmp_path / "events").write_bytes(content)
    assert read_events(tmp_path / "events", holds_arrays=True) == [content]
    (tmp_path / "events").write_bytes(b"[1]\n[2]\n")
    assert read_events(tmp_path / "events", holds_arrays=True) == [b"[1]", b"[2]"]


@pytest.mark.parametrize("content", [b"", b" \n", b"[ ]"])
def test_a_file_without_an_event_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "events").write_bytes(content)
    with pytest.raises(LabError, match="holds no event"):
        read_events(tmp_path / "events")


@pytest.mark.parametrize(
    ("profiles", "said"),
    [
        ([], r"nothing answers the lookup profile \(/customers/{customer}\): give --profiles FILE"),
        (["none.json"], "Cannot read the profiles"),
        (["shop=profiles.json"], "--profiles names the lookup shop, and .* has: profile"),
    ],
)
def test_a_lookup_that_nothing_answers_is_named(
    project: Project, files: Path, monkeypatch: pytest.MonkeyPatch, profiles: list[str], said: str
) -> None:
    monkeypatch.chdir(files)
    with pytest.raises(LabError, match=said):
        prepare(project, own(files, *profiles), files / "copy")


def test_a_service_of_the_user_must_listen_on_this_machine(project: Project, files: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = f"localhost:{server.getsockname()[1]}"
        ready = prepare(project, own(files, app=address), files / "copy")
        assert str(ready.own.app) == address.replace("localhost", "127.0.0.1")
        with pytest.raises(LabError, match="exclude each other"):
            prepare(project, own(files, "profiles.json", app=address), files / "copy")
    for text, said in {
        address: "nothing listens on",
        "127.0.0.1": "takes HOST:PORT",
        "127.0.0.1:x": "takes HOST:PORT",
        "192.0.2.1:80": "not on this machine",
    }.items():
        with pytest.raises(LabError, match=said):
            prepare(project, own(files, app=text), files / "copy")


def test_a_missing_file_is_named(project: Project, files: Path) -> None:
    (files / "table.json").unlink()
    with pytest.raises(LabError, match=r"table\.json: there is no such file"):
        prepare(project, own(files), files / "copy")


def test_the_log_says_what_was_dropped_and_what_stands_in_the_way(tmp_path: Path) -> None:
    def line(message_id: str, outcome: str, **more: str) -> str:
        labels = {
            "outcome": outcome,
            **({"stage": "lookup", "reason": "no_route"} if outcome == "fault" else {}),
        }
        return json.dumps(
            {"message_id": message_id, "message": "why", "logging.googleapis.com/labels": labels, **more}
        )

    log = tmp_path / "function.log"
    lines = [
        line("1", "written", event_id="e-1"),
        line("2", "dropped"),
        line("3", "fault"),
        line("3", "fault"),
    ]
    log.write_text("\n".join(["Serving", "[1]", *lines, '{"message_id": "4", "mess']))
    found = read_log(log)
    assert (dict(found.event_ids), set(found.dropped)) == ({"1": "e-1"}, {"2"})
    assert found.problems == {Problem("fault", "lookup", "no_route", "why"): 2}
    assert read_log(tmp_path / "none.log").problems == {}


def test_an_event_that_is_nested_too_deeply_has_no_name_in_the_balance() -> None:
    pipeline = Pipeline(Path(), Path(), (), ("event.id",), (), has_plain_events=True, makes_many_rows=False)
    assert pipeline.identity("m-1", b'{"id": "e-1"}') == "e-1"
    assert pipeline.identity("m-1", b"[" * 100_000) is None


def test_the_users_documents_come_before_the_shipped_ones_of_the_same_path(tmp_path: Path) -> None:
    (tmp_path / "mine.json").write_text('{"u-1": {"mine": true}}')
    (tmp_path / "shipped.json").write_text('{"u-1": {"mine": false}}')
    with Supervisor() as supervisor:
        command = [sys.executable, "-m", "meshlab.lab.lookup_service", "--port", "0"]
        mine = arguments_for([(Lookup(), tmp_path / "mine.json")])
        shipped = ["--profiles", str(tmp_path / "shipped.json")]
        port = supervisor.spawn("lookups", [*command, *shipped, *mine]).listening_port()
        answer = httpx.get(f"http://127.0.0.1:{port}/profile/u-1", trust_env=False).json()
    assert answer == {"user_id": "u-1", "mine": True}


def test_documents_are_served_on_the_paths_of_lookups(tmp_path: Path) -> None:
    file = tmp_path / "documents.json"
    file.write_text('{"7": {"id": 7}, "eu/8": {"id": "eu/8"}}')
    plans = Lookup(
        "plan", "/shops/{shop}/plans/{plan}", query=("region",), echo="", miss_status=410, miss_field=""
    )
    customers = Lookup("profile", "/customers/{id}", echo="", miss_field="code", miss_value="unknown")
    app = LookupApp([(customers, load_profiles(file, "")), (plans, {"s/p/eu": {"name": "pro"}})])
    expected = {
        "/customers/7": (200, {"id": 7}),
        "/customers/eu%2F8": (200, {"id": "eu/8"}),
        "/customers/9": (404, {"code": "unknown"}),
        "/shops/s/plans/p?region=eu": (200, {"name": "pro"}),
        "/shops/s/plans/p?region=us": (410, {}),
        "/shops/s/plans/p": (404, {"error": "not_found"}),
    }
    with serving(app) as address, httpx.Client(base_url=f"http://{address}", trust_env=False) as client:
        answers = {path: client.get(path) for path in expected}
    assert {path: (answer.status_code, answer.json()) for path, answer in answers.items()} == expected
