"""`meshlab diff`: how it ends, what it prints, and one whole run on git revisions and real Envoys."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from meshlab.bench.protocol import BenchError

from tests.lab.diff.git_repository import GitRepository
from tests.lab.diff.results import ALLOWED, REFUSED, UNKNOWN, difference, finding, result
from tests.lab.kube import app, mesh_of, namespace, service

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from meshlab.diff.result import Result

    from tests.lab.conftest import Done

    Command = Callable[..., Done]
    Compared = Callable[[Result | BaseException], None]

POLICY = """\
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: readers, namespace: shop}
spec:
  selector: {matchLabels: {app: cart}}
  rules: [{to: [{operation: {methods: [GET]}}]}]
"""
PEERS = """\
apiVersion: security.istio.io/v1
kind: PeerAuthentication
metadata: {name: default, namespace: shop}
"""
MESH = mesh_of(namespace("shop"), app("cart", "shop"), service("cart", "shop"), POLICY)


@pytest.fixture
def inputs(tmp_path: Path) -> tuple[Path, Path]:
    """Two files of manifests that differ."""
    old, new = tmp_path / "old.yaml", tmp_path / "new.yaml"
    old.write_text(MESH)
    new.write_text(MESH.replace("[GET]", "[GET, POST]"))
    return old, new


@pytest.fixture
def compared(monkeypatch: pytest.MonkeyPatch) -> Compared:
    """Let the comparison have a result, without running it."""

    def compared(found: Result | BaseException) -> None:
        def compare(*_args: object, **_options: object) -> Result:
            if isinstance(found, BaseException):
                raise found
            return found

        monkeypatch.setattr("meshlab.diff.run.compare", compare)

    return compared


NOW_ALLOWED, NOW_REFUSED = result(finding()), result(finding(ALLOWED, REFUSED))
FAILED = replace(UNKNOWN, failed=True)


@pytest.mark.parametrize(
    ("found", "options", "code"),
    [
        (result(), [], 0),
        (result(is_same=True), [], 0),
        (NOW_ALLOWED, [], 1),
        (NOW_REFUSED, [], 1),
        (NOW_ALLOWED, ["--fail-on", "allowed"], 1),
        (NOW_REFUSED, ["--fail-on", "allowed"], 0),
        (NOW_ALLOWED, ["--fail-on", "none"], 0),
        (result(unknown=1), [], 3),
        (result(unknown=1), ["--fail-on", "none"], 3),
        (result(unknown=1), ["--allow-not-judged"], 0),
        (result(finding(), unknown=1), [], 1),
        (replace(NOW_ALLOWED, not_known=(difference(REFUSED, FAILED),)), [], 4),
        (
            replace(result(), not_known=(difference(REFUSED, FAILED),)),
            ["--allow-not-judged", "--fail-on", "none"],
            4,
        ),
    ],
)
def test_the_exit_code_says_what_was_found(
    command: Command,
    compared: Compared,
    inputs: tuple[Path, Path],
    found: Result,
    options: list[str],
    code: int,
) -> None:
    compared(found)
    for form in ([], ["--json"], ["--markdown"]):
        assert command("diff", *inputs, *options, *form).code == code


def test_a_bench_that_fails_ends_with_four(
    command: Command, compared: Compared, inputs: tuple[Path, Path]
) -> None:
    compared(BenchError("Envoy did not start"))
    assert command("diff", *inputs).code == 4


def test_wrong_input_ends_with_two_and_says_what(command: Command, inputs: tuple[Path, Path]) -> None:
    done = command("diff", "absent", inputs[1])
    assert done.code == 2
    assert done.err.startswith("meshlab: absent: there is no such file or directory.")
    done = command("diff", *inputs, "--markdown", "--json")
    assert done.code == 2
    assert "choose one" in json.loads(done.out)["error"]["message"]
    assert command("diff", *inputs, "--cases", "absent.yaml").code == 2


def test_a_name_in_a_case_file_that_neither_side_has_ends_with_two(
    command: Command, inputs: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.undo()  # the real bench reads the manifests
    cases = tmp_path / "cases.yaml"
    cases.write_text(
        "cases: [{name: a, from: {workload: shop/absent}, request: 'http://cart/', expect: refused}]\n"
    )
    done = run("diff", *inputs, "--cases", cases)
    assert done.returncode == 2
    assert "no workload shop/absent" in done.stderr


def run(*arguments: object, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "meshlab", *map(str, arguments)]
    # pytest imports readline, which puts COLUMNS into the environment of its process behind Python's back.
    environment = dict(os.environ)
    return subprocess.run(command, capture_output=True, text=True, check=False, cwd=cwd, env=environment)


def test_the_same_manifests_in_another_place_start_nothing(tmp_path: Path, inputs: tuple[Path, Path]) -> None:
    moved = tmp_path / "moved.yaml"
    moved.write_text(f"# a comment\n{MESH}")
    done = run("diff", inputs[0], moved)
    assert (done.returncode, "meshlab:" in done.stderr) == (0, False)
    assert done.stdout.endswith("every proxy is configured alike on both sides, so nothing was started\n")


def test_one_whole_run_on_a_revision_and_the_working_tree(tmp_path: Path) -> None:
    repository = GitRepository.new(tmp_path / "repository")
    repository.commit({"mesh/mesh.yaml": MESH, "mesh/README.md": "not a manifest"})
    repository.write({"mesh/mesh.yaml": MESH.replace("[GET]", "[GET, POST]")})
    cases = tmp_path / "cases.yaml"
    cases.write_text(
        "cases: [{name: mine, from: {bypass: none, to: shop/cart, mode: plaintext},"
        " request: 'POST http://cart/mine', expect: refused}]\n"
    )
    done = run("diff", "main..", "mesh", "--cases", cases, "--json", cwd=repository.root)
    assert (done.returncode, "meshlab:" in done.stderr) == (1, False)
    found = json.loads(done.stdout)
    assert (found["old"], found["new"], found["same_configuration"]) == ("main:mesh", "mesh", False)
    assert set(found["counts"]["kinds"]) == {"now allowed"}
    assert "mine" in [each["name"] for each in found["differences"]]
    (changed,) = found["objects"]
    assert changed["object"] == "AuthorizationPolicy shop/readers"
    assert changed["old_place"] == f"main:mesh/mesh.yaml:{MESH[: MESH.index(POLICY)].count(chr(10)) + 1}"
    assert all(each["because"] == [0] for each in found["differences"])


def test_of_two_changed_objects_the_one_that_decides_is_named(
    tmp_path: Path, inputs: tuple[Path, Path]
) -> None:
    old, new = inputs
    for file, mode in ((old, "PERMISSIVE"), (new, "STRICT")):
        file.write_text(f"{file.read_text()}---\n{PEERS}spec: {{mtls: {{mode: {mode}}}}}\n")
    cases = tmp_path / "cases.yaml"
    cases.write_text(
        "workloads: {shop/caller: {}}\n"
        "cases:\n"
        "  - {name: writes, from: {workload: shop/caller}, request: 'POST http://cart/', expect: refused}\n"
        "  - {name: plain, from: {bypass: none, to: shop/cart, mode: plaintext}, request: 'GET http://cart/',"
        " expect: refused}\n"
    )
    done = run("diff", old, new, "--cases", cases, "--json")
    found = json.loads(done.stdout)
    names = [changed["object"].partition(" ")[0] for changed in found["objects"]]
    because = {each["name"]: [names[number] for number in each["because"]] for each in found["differences"]}
    assert because["writes"] == ["AuthorizationPolicy"]
    assert because["plain"] == ["PeerAuthentication"]


def test_the_object_that_concerns_the_sender_is_named_where_another_one_concerns_who_answers(
    tmp_path: Path,
) -> None:
    route = (
        "apiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {name: cart, namespace: shop}\n"
        'spec: {hosts: [cart], exportTo: ["."], http: [{route: [{destination: {host: cart}}], headers: '
        "{request: {set: {x-from: HERE}}}}]}\n"
    )
    away = app("caller", "team"), namespace("team")
    old, new = tmp_path / "old.yaml", tmp_path / "new.yaml"
    mesh = mesh_of(
        MESH, *away, route.replace("shop}", "team}").replace("cart]", "cart.shop.svc.cluster.local]")
    )
    mesh = mesh.replace("destination: {host: cart}", "destination: {host: cart.shop.svc.cluster.local}")
    old.write_text(mesh)
    new.write_text(mesh.replace("HERE", "there").replace("[GET]", "[GET, POST]"))
    done = run("diff", old, new, "--json")
    found = json.loads(done.stdout)
    names = [changed["object"].partition(" ")[0] for changed in found["objects"]]
    changed = [each for each in found["differences"] if each["kind"] == "reaches the application differently"]
    assert changed
    assert {names[number] for each in changed for number in each["because"]} == {"VirtualService"}
