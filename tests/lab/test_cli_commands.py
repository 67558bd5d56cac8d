"""The other commands: init, render, coverage, schema; help, version, and what starting costs."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from meshlab.bench.case_file import parse_case_file
from meshlab.bench.read_fields import coverage_rows, markdown_table
from meshlab.bench.survey import Endpoint, Survey
from meshlab.errors import LabError

from tests.lab.bench.fakes import CART, FakeMesh

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.lab.conftest import Done

    Command = Callable[..., Done]

ROOT = Path(__file__).parents[2]
COMMANDS = [
    "init", "test", "explain", "reach", "diff", "mutate", "lint", "check", "render", "support", "schema", "demo", "up",
    "run",
]  # fmt: skip

SURVEYED = FakeMesh(
    surveyed=Survey(
        endpoints=(Endpoint(CART, "cart.shop.svc.cluster.local", 80, 8080, http=True),), senders=(CART,)
    )
)


def test_init_writes_a_case_file_with_the_verdicts_of_today(command: Command, tmp_path: Path) -> None:
    done = command("init", "-f", "manifests/", tmp_path / "tests", mesh=SURVEYED)
    file = tmp_path / "tests/first-cases.yaml"
    assert done.code == 0
    assert f"wrote 2 cases to {file}" in done.out
    assert f"meshlab test -f manifests/ {tmp_path}/tests" in done.out
    assert len(parse_case_file(file.read_text(), str(file)).cases) == 2


def test_init_overwrites_only_with_force(command: Command, tmp_path: Path) -> None:
    file = tmp_path / "first-cases.yaml"
    file.write_text("mine")
    done = command("init", "-f", "m", tmp_path, mesh=SURVEYED)
    assert done.code == 2
    assert "is there already; --force overwrites it" in done.err
    assert file.read_text() == "mine"
    assert command("init", "-f", "m", tmp_path, "--force", mesh=SURVEYED).code == 0
    assert file.read_text() != "mine"


def test_init_refuses_a_file_in_place_of_a_directory_and_a_mesh_without_anything_to_ask(
    command: Command, tmp_path: Path
) -> None:
    (tmp_path / "file").touch()
    assert "is a file" in command("init", "-f", "m", tmp_path / "file", mesh=SURVEYED).err
    done = command("init", "-f", "m", tmp_path)
    assert done.code == 2
    assert "no gateway with a host" in done.err
    assert not (tmp_path / "first-cases.yaml").exists()


MESH = FakeMesh(configs={"shop/cart": {"b": 1, "a": [2]}})


def test_render_prints_one_proxy_as_sorted_json(command: Command) -> None:
    done = command("render", "-f", "m", "--workload", "shop/cart", mesh=MESH)
    assert (done.code, done.out) == (0, '{\n  "a": [\n    2\n  ],\n  "b": 1\n}\n')


def test_render_writes_every_proxy_into_a_file_of_its_own(command: Command, tmp_path: Path) -> None:
    done = command("render", "-f", "m", "--all", "--out", tmp_path / "out", mesh=MESH)
    assert done.code == 0
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        "istio-ingress.gateway.json",
        "shop.cart.json",
    ]
    assert json.loads((tmp_path / "out/shop.cart.json").read_text()) == {"a": [2], "b": 1}


def test_render_names_what_is_not_compiled_on_stderr(command: Command) -> None:
    mesh = FakeMesh(refusals=("mesh.yaml:7: EnvoyFilter a/b: not supported",))
    done = command("render", "-f", "m", "--workload", "shop/cart", mesh=mesh)
    assert done.err == "meshlab: not compiled: mesh.yaml:7: EnvoyFilter a/b: not supported\n"
    json.loads(done.out)


def test_render_shows_what_changed_proxy_by_proxy(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    meshes = iter([FakeMesh(configs={"shop/cart": {"a": 1}}), FakeMesh(configs={"shop/cart": {"a": 2}})])
    monkeypatch.setattr("tests.lab.bench.fakes.FakeBench.load", lambda *_: next(meshes))
    done = command("render", "-f", "new", "--diff", "old")
    assert done.code == 1
    assert "--- shop/cart (old)\n+++ shop/cart (new)\n" in done.out
    assert '-  "a": 1\n+  "a": 2\n' in done.out
    assert "istio-ingress" not in done.out


def test_render_shows_proxies_that_appear_and_go_away(
    command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    meshes = iter([FakeMesh(proxies=()), FakeMesh(proxies=(CART,))])
    monkeypatch.setattr("tests.lab.bench.fakes.FakeBench.load", lambda *_: next(meshes))
    done = command("render", "-f", "new", "--diff", "old")
    assert done.code == 1
    assert '+  "proxy": "shop/cart"' in done.out


def test_render_of_equal_inputs_prints_nothing(command: Command) -> None:
    done = command("render", "-f", "new", "--diff", "old")
    assert (done.code, done.out) == (0, "")


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        ([], "name one proxy with --workload"),
        (["--all"], "--all needs --out"),
        (["--all", "--workload", "a/b", "--out", "x"], "name one proxy"),
        (["--workload", "cart"], "write namespace/name"),
        (["--diff", "old", "--workload", "a/b"], "neither input has a proxy a/b"),
    ],
)
def test_render_says_what_is_missing(command: Command, arguments: list[str], problem: str) -> None:
    done = command("render", "-f", "m", *arguments)
    assert done.code == 2
    assert problem in done.err


def test_render_says_that_an_input_cannot_be_read(command: Command) -> None:
    done = command("render", "-f", "m", "--workload", "a/b", mesh=LabError("m: there is no such file."))
    assert (done.code, done.err) == (2, "meshlab: m: there is no such file.\n")


def test_support_is_a_list_for_people_and_a_table_for_pages(command: Command) -> None:
    done = command("support")
    assert done.code == 0
    assert "Kinds that are read:\n" in done.out
    assert "EnvoyFilter (networking.istio.io): " in done.out
    assert max(map(len, done.out.splitlines())) <= 80
    assert command("support", "--markdown").out == markdown_table(coverage_rows())


def test_the_old_name_of_support_still_works_and_names_the_new_one(command: Command) -> None:
    old, new = command("coverage", "Gateway", "--markdown"), command("support", "Gateway", "--markdown")
    assert (old.code, old.out) == (0, new.out)
    assert old.err.startswith("meshlab: `meshlab coverage` is called `meshlab support` now")
    assert "  coverage" not in command("--help").out


def test_support_shows_the_fields_of_one_kind(command: Command) -> None:
    done = command("support", "virtualservice")
    assert "spec.http[].retries: read: attempts" in done.out
    assert "DestinationRule" not in done.out
    unknown = command("support", "Surprise")
    assert unknown.code == 2
    assert "Surprise is not in the table" in unknown.err


def test_schema_prints_the_schema_of_case_files(command: Command) -> None:
    done = command("schema")
    assert done.out == (ROOT / "lab/src/meshlab/data/case-file.schema.json").read_text()
    assert json.loads(done.out)["$schema"] == "https://json-schema.org/draft/2020-12/schema"


def test_the_version_is_printed(command: Command) -> None:
    done = command("--version")
    assert done.code == 0
    assert done.out.startswith("meshlab 0.")


def test_help_shows_examples_and_exit_codes(command: Command) -> None:
    done = command("--help")
    assert "meshlab test -f mesh/ cases/" in done.out
    assert "130 interrupted" in " ".join(done.out.split())
    assert max(map(len, done.out.splitlines())) <= 80
    assert "..." not in done.out.partition("Commands:")[2]
    assert all(name in done.out for name in COMMANDS)


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_explains_itself_in_80_columns(command: Command, name: str) -> None:
    done = command(name, "--help")
    assert done.code == 0
    assert f"Usage: meshlab {name}" in done.out


@pytest.mark.parametrize("name", ["demo", "up", "run"])
def test_outside_a_checkout_the_lab_refuses_in_one_sentence_and_takes_no_other_checkout(
    command: Command, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    done = command(name, *(["--", "true"] if name == "run" else []))
    assert (done.code, done.out) == (1, "")
    assert done.err.startswith(f"meshlab: {tmp_path} is not in a checkout of the project")
    assert done.err.count("\n") == 1


@pytest.mark.parametrize("name", ["demo", "up", "run"])
@pytest.mark.parametrize("content", [None, "", "no equals sign\n"])
def test_a_directory_that_is_no_whole_checkout_is_refused_in_one_sentence(
    command: Command, name: str, content: str | None, tmp_path: Path
) -> None:
    if content is not None:
        (tmp_path / "infra").mkdir()
        (tmp_path / "infra/contract.env").write_text(content)
    done = command(name, "--project", tmp_path, *(["--", "true"] if name == "run" else []))
    assert (done.code, done.out) == (1, "")
    assert done.err.startswith("meshlab: ")
    assert done.err.count("\n") == 1
    assert "internal error" not in done.err


@pytest.mark.parametrize("name", ["demo", "up", "run"])
def test_without_the_extra_the_lab_says_how_to_get_it(
    command: Command, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in [
        loaded for loaded in sys.modules if loaded.startswith(("meshlab.lab.stack", "meshlab.demo"))
    ]:
        monkeypatch.delitem(sys.modules, module)
    monkeypatch.setitem(sys.modules, "google.cloud.bigquery", None)
    monkeypatch.setitem(sys.modules, "google.cloud", None)
    monkeypatch.setitem(sys.modules, "duckdb", None)
    monkeypatch.setitem(sys.modules, "aiohttp", None)
    monkeypatch.setitem(sys.modules, "google.auth", None)
    monkeypatch.setitem(sys.modules, "google", None)
    done = command(name, "--project", ROOT, *(["--", "true"] if name == "run" else []))
    assert done.code == 1
    assert done.err.endswith('Run `pip install ./infra/contract "./lab[lab]"` in a clone of the project.\n')
    assert done.err.startswith(f"meshlab: `meshlab {name}` needs packages that are not installed")


LAB = ("aiohttp", "google.", "grpc", "duckdb", "starlette", "uvicorn", "sqlglot", "yarl")
HEAVY = (*LAB, "cryptography", "jwt", "envoy")


def loaded_by(*arguments: str) -> set[str]:
    """The modules that a command loads, in a process of its own."""
    code = (
        "import sys, atexit\n"
        "before = set(sys.modules)\n"
        "atexit.register(lambda: print(*set(sys.modules) - before, file=sys.stderr))\n"
        f"sys.argv = ['meshlab', *{list(arguments)!r}]\n"
        "from meshlab.cli import main\n"
        "main()\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    return set(done.stderr.split())


def heavy(loaded: set[str], packages: tuple[str, ...]) -> list[str]:
    return sorted(name for name in loaded if name.startswith(packages))


@pytest.mark.parametrize(
    "arguments", [["--help"], ["test", "--help"], ["schema"], ["--version"], ["demo", "--help"]]
)
def test_help_and_schema_load_nothing_heavy(arguments: list[str]) -> None:
    assert heavy(loaded_by(*arguments), (*HEAVY, "yaml", "rich")) == []


def test_render_and_coverage_load_nothing_of_the_lab() -> None:
    assert heavy(loaded_by("support"), LAB) == []
    overlay = "infra/mesh/overlays/example"
    assert heavy(loaded_by("render", "-f", overlay, "--workload", "user-profile/user-profile"), LAB) == []
