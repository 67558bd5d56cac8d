"""No value of a manifest, a case file, a response or a file's name commands the terminal that shows it."""

from __future__ import annotations

import io
import json
import re
from pathlib import Path
from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

import meshlab
import pytest
from meshlab.bench.case_file import parse_case_file
from meshlab.bench.protocol import BenchError, MeshNames
from meshlab.bench.report import terminal
from meshlab.bench.report.run import Run
from meshlab.bench.survey import Endpoint, Entrance, PolicyRule, Survey
from meshlab.errors import LabError
from meshlab.manifest import ManifestError
from meshlab.visible_text import in_words, json_text, one_line, shown_value, visible, without_log_commands
from rich.text import Text

from tests.lab.bench.fakes import CART, GATEWAY, FakeMesh, answered, outcome_of, refused

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.lab.conftest import Done

    Command = Callable[..., Done]

CLEAR_SCREEN = "\x1b[2J"
HOSTILE = f"a{CLEAR_SCREEN}\x1b]0;title\x07\x9b31m\x7f\u202eb\r\u2028c"
"""Sequences that clear the screen, name the window, set a colour (with one byte, too) and turn the text around."""
JWS = "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJhbGljZSJ9.c2lnbmF0dXJlc2ln"
QUOTED = json.dumps(HOSTILE)
"""The same within quotes of YAML."""

CASES = f"""
defaults: {{from: {{workload: shop/cart}}}}
tokens: {{t: {{issuer: 'https://idp.example', claims: {{sub: {QUOTED}}}}}}}
cases:
  - name: one
    token: t
    request: {{method: POST, url: 'http://orders.orders/', body: {QUOTED}}}
    expect: {{status: 200, says: {QUOTED}}}
  - {{name: two, request: 'http://orders.orders/2', expect: 200 orders/orders}}
matrix:
  - name: table
    columns: {{orders: 'http://orders.orders/3'}}
    rows: {{first: {{from: {{workload: shop/cart}}}}}}
    expect: {{first: [404 orders/orders]}}
"""
MANIFESTS = f"""
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {{name: callers, namespace: shop}}
spec: {{{QUOTED}: 1, action: {QUOTED}, rules: [{{when: [{{key: {QUOTED}, values: [x]}}]}}]}}
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {{name: way, namespace: shop}}
spec: {{hosts: [{QUOTED}], http: [{{route: [{{destination: {{host: {QUOTED}}}}}]}}]}}
---
apiVersion: {QUOTED}
kind: {QUOTED}
metadata: {{name: x}}
---
apiVersion: v1
kind: Service
metadata: {{name: cart, namespace: shop, annotations: {{networking.istio.io/exportTo: {QUOTED}}}}}
spec: {{selector: {{app: {QUOTED}}}, ports: [{{port: 80, name: {QUOTED}}}]}}
"""
OUTCOMES = FakeMesh(
    {
        "one": answered(500, body=HOSTILE.encode()),
        "two": f"mesh.yaml:7: EnvoyFilter {HOSTILE}: not supported",
    },
    notes=[f"a note about {HOSTILE}"],
    refusals=[f"a refusal of {HOSTILE}"],
)


def is_safe(text: str) -> bool:
    return all(line.isprintable() for line in text.split("\n"))


@pytest.fixture
def cases(tmp_path: Path) -> Path:
    """A hostile case file with a hostile name."""
    file = tmp_path / f"cases{CLEAR_SCREEN}.yaml"
    file.write_text(CASES)
    return file


@pytest.fixture
def manifests(tmp_path: Path) -> Path:
    """A directory of hostile manifests with hostile names."""
    directory = tmp_path / f"mesh{CLEAR_SCREEN}"
    directory.mkdir()
    (directory / f"x{CLEAR_SCREEN}\n0 failed.yaml").write_text(MANIFESTS)
    (directory / f"broken{CLEAR_SCREEN}.yaml").write_text("a: [")
    (directory / f"empty{CLEAR_SCREEN}.yaml").write_text("")
    return directory


def test_visible_text_keeps_what_is_printable_and_the_ends_of_lines() -> None:
    assert visible("Grüße, 世界 🙂\n\tnext") == "Grüße, 世界 🙂\n\tnext"
    assert visible("a\x1b[2J\x07b\u202ec\ud800") == "a�[2J�b�c�"
    assert visible("a\rb\u2028c\x85d\xa0e") == "a b c d e"


@pytest.mark.parametrize(
    ("text", "seen"),
    [
        (f"Bearer {JWS}", "Bearer <token>"),
        (f"{JWS}. Next", "<token>. Next"),
        ("eyJhbGciOiJub25lIn0.eyJzdWIiOiJhIn0.", "<token>."),
        ("eyJlbmMiOiJBMTI4In0..aXY.Y2lwaGVy.dGFn", "<token>"),
        ("cut: eyJhbGciOiJSUzI1NiJ9.eyJzdW…", "cut: <token>…"),
        (
            "/x?access_token=abc&y=1 and ?ACCESS_TOKEN=d",
            "/x?access_token=<token>&y=1 and ?ACCESS_TOKEN=<token>",
        ),
        ("eyJhbGciOiJSUzI1NiJ9 alone is a header", "eyJhbGciOiJSUzI1NiJ9 alone is a header"),
    ],
)
def test_visible_text_holds_no_token(text: str, seen: str) -> None:
    assert visible(text) == seen
    assert visible(seen) == seen
    assert visible(text, keep_tokens=True) == text


def test_a_token_is_hidden_before_a_line_is_cut() -> None:
    assert one_line(f"a {JWS} b", 8) == "a <toke…"


def test_json_text_holds_no_token_and_stays_json() -> None:
    document = {f"key {JWS}": ["/?access_token=secret", {"path": f"/z/{JWS}", "next": "?access_token="}]}

    assert json.loads(json_text(document)) == {
        "key <token>": ["/?access_token=<token>", {"path": "/z/<token>", "next": "?access_token="}]
    }
    assert json.loads(visible(json_text(document))) == json.loads(json_text(document))
    assert json.loads(json_text(document, keep_tokens=True)) == document


def test_one_line_holds_no_line_end_and_is_cut() -> None:
    assert one_line("a\n  b\x1b\r\nc") == "a b� c"
    assert one_line("abcdef", 4) == "abc…"


def test_json_text_is_ascii_and_says_the_same() -> None:
    text = json_text({HOSTILE: [HOSTILE]})
    assert is_safe(text)
    assert text.isascii()
    assert json.loads(text) == {HOSTILE: [HOSTILE]}


@pytest.mark.parametrize("options", [[], ["-v"], ["--json"]])
def test_a_run_prints_visible_text(command: Command, cases: Path, options: list[str]) -> None:
    done = command("test", "-f", "m", cases, *options, mesh=OUTCOMES)
    assert done.code == 1
    assert "EnvoyFilter" in done.out
    assert is_safe(done.out)


def test_a_junit_file_is_xml_and_holds_visible_text(command: Command, cases: Path, tmp_path: Path) -> None:
    file = tmp_path / "junit.xml"
    command("test", "-f", "m", cases, "--junit", file, mesh=OUTCOMES)
    text = file.read_text(encoding="utf-8")
    assert [suite.attrib["tests"] for suite in ET.fromstring(text)] == ["3"]
    assert is_safe(text)


def test_a_watch_prints_visible_text(cases: Path) -> None:
    file = parse_case_file(cases.read_text(), str(cases))

    def run(found: object) -> Run:
        return Run([file], [outcome_of(case, found) for case in file.cases])  # type: ignore[arg-type]

    out = io.StringIO()
    on = terminal.console(out)
    failed = run(answered(500, body=HOSTILE.encode()))
    terminal.changes(run(answered(200)), failed, on)
    terminal.changes(failed, run(f"not known: {HOSTILE}"), on)
    terminal.changes(failed, Run([file], []), on)
    assert "gone" in out.getvalue()
    assert is_safe(out.getvalue())


@pytest.mark.parametrize("error", [LabError, ManifestError, BenchError, ValueError])
@pytest.mark.parametrize("options", [[], ["--json"]])
def test_an_error_is_visible_text(
    command: Command, cases: Path, error: type[Exception], options: list[str]
) -> None:
    done = command("test", "-f", "m", cases, *options, mesh=error(f"first {HOSTILE}\nsecond {HOSTILE}"))
    assert done.code in (2, 4)
    assert "second" in done.out + done.err
    assert is_safe(done.out + done.err)


@pytest.mark.parametrize(
    "text", [f"{QUOTED}: 1", f"cases: {QUOTED}", f"cases: [{{{QUOTED}: 1}}]", f"a: '{HOSTILE}'", "a: ["]
)
def test_the_problems_of_a_case_file_are_visible_text(command: Command, cases: Path, text: str) -> None:
    cases.write_text(text)
    done = command("test", "-f", "m", cases)
    assert done.code == 2
    assert is_safe(done.err)


@pytest.mark.parametrize("options", [[], ["--json"], ["--each"], ["--each", "--json"], ["--each-directory"]])
def test_check_prints_visible_text(command: Command, manifests: Path, options: list[str]) -> None:
    done = command("check", "-f", manifests, *options)
    assert done.code == 2
    assert "callers" in done.out or "refused" in done.out
    assert is_safe(done.out + done.err)


def test_a_problem_is_one_line_whatever_the_name_of_the_file(command: Command, manifests: Path) -> None:
    assert "\n0 failed" not in command("check", "-f", manifests).out


def test_render_prints_visible_text(command: Command, manifests: Path) -> None:
    mesh = FakeMesh(configs={"shop/cart": {HOSTILE: HOSTILE}}, refusals=[HOSTILE])
    done = command("render", "-f", "m", "--workload", "shop/cart", mesh=mesh)
    assert json.loads(done.out) == {HOSTILE: HOSTILE}
    assert is_safe(done.out + done.err)
    assert is_safe(command("render", "-f", "m", "--workload", HOSTILE, mesh=mesh).err)
    assert is_safe(command("render", "-f", "m", "--diff", "n", mesh=mesh).err)


def test_render_keeps_what_looks_like_a_token_as_a_proxy_needs_it(command: Command) -> None:
    mesh = FakeMesh(configs={"shop/cart": {"exact": JWS}})
    done = command("render", "-f", "m", "--workload", "shop/cart", mesh=mesh)
    assert json.loads(done.out) == {"exact": JWS}


def test_init_prints_visible_text_and_writes_the_values_as_they_are(command: Command, tmp_path: Path) -> None:
    endpoint = Endpoint(CART, "cart.shop.svc.cluster.local", 80, 8080, http=True)
    rule = PolicyRule("shop/p", CART, ("GET",), ("/",), "https://idp.example", (("sub", HOSTILE),))
    way_in = Entrance(GATEWAY, "http", "shop.example", 80)
    surveyed = Survey(entrances=(way_in,), endpoints=(endpoint,), senders=(CART,), rules=(rule,))
    names = MeshNames(
        workloads=frozenset({"shop/cart", "istio-ingress/gateway"}),
        gateways=frozenset({"istio-ingress/gateway"}),
        issuers=frozenset({"https://idp.example"}),
    )
    answers = {"plaintext to shop/cart, without a sidecar": f"not known: {HOSTILE}"}
    mesh = FakeMesh(answers, names=names, surveyed=surveyed)
    directory = tmp_path / f"tests{CLEAR_SCREEN}"
    done = command("init", "-f", f"m{CLEAR_SCREEN}", directory, mesh=mesh)
    assert done.code == 0
    assert is_safe(done.out + done.err)
    text = (directory / "first-cases.yaml").read_text(encoding="utf-8")
    assert is_safe(text)
    tokens = {token.claims["sub"] for case in parse_case_file(text, "x").cases for token in case.tokens}
    assert tokens == {HOSTILE}
    assert "# not judged: not known: " in text


def test_wrong_usage_is_visible_text(command: Command) -> None:
    for arguments in (
        ["check", f"--{HOSTILE}"],
        ["schema", HOSTILE],
        ["support", HOSTILE],
        ["coverage", HOSTILE],
        [HOSTILE],
    ):
        done = command(*arguments)
        assert done.code == 2
        assert is_safe(done.err)


def test_colours_are_the_console_s_own_and_not_a_value_s(
    monkeypatch: pytest.MonkeyPatch, cases: Path
) -> None:
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.delenv("NO_COLOR", raising=False)
    out = io.StringIO()
    monkeypatch.setattr(out, "isatty", lambda: True, raising=False)
    file = parse_case_file(cases.read_text(), str(cases))
    run = Run([file], [outcome_of(case, refused(500, body=HOSTILE.encode())) for case in file.cases])
    terminal.full(run, terminal.console(out))
    assert "\x1b[31m" in out.getvalue() or "\x1b[1;31m" in out.getvalue()
    for sequence in (CLEAR_SCREEN, "\x1b]0;", "\x07", "\x9b", "\x7f", "\u202e"):
        assert sequence not in out.getvalue()


def test_nothing_prints_past_the_function_and_the_console_that_make_text_visible() -> None:
    source = Path(meshlab.__file__).parent
    raw = re.compile(r"typer\.echo\(|(?<!Safe)Console\(")
    found = {str(path.relative_to(source)) for path in source.rglob("*.py") if raw.search(path.read_text())}
    assert found == {"cli/_output.py"}


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("::error::broken", ": :error::broken"),
        ("first\n   ::set-output name=x::y", "first\n   : :set-output name=x::y"),
        ("the log holds ##[add-mask]a", "the log holds # #[add-mask]a"),
        ("##vso[task.setvariable variable=x]y", "# #vso[task.setvariable variable=x]y"),
        ("##teamcity[buildStop]", "# #teamcity[buildStop]"),
    ],
)
def test_no_line_is_a_command_to_the_runner_of_a_ci_system(text: str, shown: str) -> None:
    assert without_log_commands(text) == shown


@pytest.mark.parametrize(
    "text", ["::1", "listens on\n::ffff:10.0.0.1", "a ::b:: c", "## a title", "#1", "::"]
)
def test_what_only_looks_like_a_command_of_a_log_stays(text: str) -> None:
    assert without_log_commands(text) == text


def test_a_word_of_a_manifest_that_begins_a_wrapped_line_is_no_command() -> None:
    output = io.StringIO()
    on = terminal.SafeConsole(file=output, width=30, markup=False, highlight=False, emoji=False)
    on.print(Text("the policy names the path x/yy ::error::stop"))
    assert [line.lstrip()[:2] for line in output.getvalue().splitlines()] == ["th", ": "]


def test_a_json_document_holds_the_same_text_and_no_command() -> None:
    text = json_text({"path": "##[error]x"})
    assert "##" not in text
    assert json.loads(text) == {"path": "##[error]x"}


@pytest.mark.parametrize(
    ("value", "words", "shown"),
    [
        ("a b", "a b", "'a b'"),
        (None, "null", "null"),
        (True, "true", "true"),
        (["é", {"a": None}], '["é", {"a": null}]', '["é", {"a": null}]'),
    ],
)
def test_a_value_of_yaml_stands_in_a_sentence_as_it_is_written(value: object, words: str, shown: str) -> None:
    assert (in_words(value), shown_value(value)) == (words, shown)
