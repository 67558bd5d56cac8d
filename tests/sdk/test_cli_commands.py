"""`meshpass token`, `call` and `keys`, as typed."""

import json
import os
import pty
import re
import subprocess
import sys
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import jwt
import meshpass.cli
import pytest
import typer.main
from meshlab.cloud import gke_metadata, secretmanager
from meshpass.cli._app import app
from meshpass.cli._exit import MEANINGS, Exit
from meshpass.cli._options import Given
from typer.testing import CliRunner, Result

from .conftest import Seen, Server

COMMAND = Path(sys.executable).parent / "meshpass"
SERVICE = {"server": "istio-envoy", "x-envoy-upstream-service-time": "1", "content-type": "application/json"}
CALL = ["--path", "/profile/{user_id}", "--value", "user_id=u-1001"]

Run = Callable[..., Result]


@pytest.fixture
def environ(server: Server, tmp_path: Path, pem: bytes, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    (tmp_path / "signing.pem").write_bytes(pem)
    monkeypatch.delenv("SIGNING_KEY_SECRET_ID", raising=False)
    server.answer = lambda _: (200, SERVICE, b'{"name": "Ada"}')
    return {
        "GKE_GATEWAY_URL": f"http://{server.address}",
        "GKE_GATEWAY_HOST": "user-profile.internal",
        "JWT_ISSUER": "https://issuer.test",
        "JWT_AUDIENCE": "user-profile",
        "JWT_SCOPE": "profile.read",
        "SIGNING_KEY_FILE": str(tmp_path / "signing.pem"),
    }


@pytest.fixture
def run(environ: dict[str, str]) -> Run:
    def invoke(*arguments: str, **changed: str | None) -> Result:
        result: Result = CliRunner().invoke(app, arguments, env={**environ, **changed})
        assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
        return result

    return invoke


def claims(token: str) -> dict[str, Any]:
    return dict(jwt.decode(token, options={"verify_signature": False}))


def on_a_terminal(command: Path, *arguments: str, environ: dict[str, str]) -> str:
    ours, theirs = pty.openpty()
    with subprocess.Popen(
        [command, *arguments], stdout=theirs, stderr=theirs, env={**os.environ, **environ, "COLUMNS": "200"}
    ) as process:
        os.close(theirs)
        shown = b""
        while True:
            try:
                part = os.read(ours, 65_536)
            except OSError:  # Linux's way to say that the other end is closed
                break
            if not part:
                break
            shown += part
        process.wait()
    os.close(ours)
    return shown.decode()


def test_token_goes_into_a_pipe(run: Run) -> None:
    done = run("token")

    assert done.exit_code == Exit.OK
    assert done.stdout.endswith("\n")
    assert claims(done.stdout.strip())["aud"] == "user-profile"


def test_a_terminal_shows_the_claims_and_not_the_token(environ: dict[str, str]) -> None:
    shown = on_a_terminal(COMMAND, "token", environ=environ)
    assert "https://issuer.test" in shown
    assert "eyJ" not in shown
    assert "--show prints the token itself" in shown


def test_a_terminal_shows_the_token_when_asked(environ: dict[str, str], forked_meshpass: Path) -> None:
    assert "eyJ" in on_a_terminal(forked_meshpass, "token", "--show", environ=environ)


def test_colours_are_for_a_terminal_that_wants_them(environ: dict[str, str], forked_meshpass: Path) -> None:
    coloured = {**environ, "TERM": "xterm"}
    assert "\x1b[1m" in on_a_terminal(forked_meshpass, "token", environ=coloured)
    assert "\x1b[3" not in on_a_terminal(forked_meshpass, "doctor", environ={**coloured, "NO_COLOR": "1"})


def test_token_as_json_holds_the_claims_and_the_token_only_when_asked(run: Run) -> None:
    reported = json.loads(run("token", "--json").stdout)
    assert reported["source"] == "SignedJWT"
    assert {"iss", "sub", "aud", "scope", "exp", "kid", "alg"} <= reported["claims"].keys()
    assert reported["expires_at"] == reported["claims"]["exp"]
    assert "token" not in reported

    assert (
        claims(json.loads(run("token", "--json", "--show").stdout)["token"])["iss"] == "https://issuer.test"
    )


def test_an_option_takes_the_place_of_its_variable(run: Run, tmp_path: Path, pem: bytes) -> None:
    (tmp_path / "other.pem").write_bytes(pem)
    done = run(
        "token", "--audience", "other", "--issuer", "me", "--subject", "you", "--key-file", str(tmp_path / "other.pem"),
        SIGNING_KEY_FILE=None, SIGNING_KEY_SECRET_ID="projects/p/secrets/s/versions/1",
    )  # fmt: skip

    found = claims(done.stdout.strip())
    assert (found["aud"], found["iss"], found["sub"]) == ("other", "me", "you")


def test_google_needs_no_signing_key_and_impersonation_needs_google(run: Run) -> None:
    done = run(
        "token", "--google", "--json", SIGNING_KEY_FILE=None, JWT_ISSUER=None, NO_GCE_CHECK="true", HOME="/"
    )
    assert json.loads(done.stdout)["error"]["code"] == "identity"
    assert done.exit_code == Exit.TOKEN_SOURCE

    assert "--impersonate needs --google" in run("token", "--impersonate", "sa@p.iam").stderr


def test_call_prints_the_services_answer(run: Run, server: Server) -> None:
    done = run("call", "/profile/{user_id}", "--value", "user_id=a/b", "--param", "verbose=1")

    assert (done.exit_code, done.stdout) == (Exit.OK, '{"name": "Ada"}')
    (seen,) = server.seen
    assert (seen.method, seen.target) == ("GET", "/profile/a%2Fb?verbose=1")
    assert seen.headers["authorization"].startswith("Bearer ey")


def test_call_takes_a_url_outside_the_mesh_with_a_google_token_for_its_origin(
    run: Run, server: Server, tmp_path: Path
) -> None:
    pod = gke_metadata.Pod("p-1", google_service_account="orders@p-1.meshlab.invalid")
    with gke_metadata.running(pod) as metadata:
        found = {
            "GCE_METADATA_HOST": metadata,
            "CLOUDSDK_CONFIG": str(tmp_path),
            "GOOGLE_APPLICATION_CREDENTIALS": None,
        }
        url = f"http://{server.address}"
        target = f"{url.replace('http', 'HTTP')}/lookup/{{id}}"
        done = run("call", "--google", target, "--value", "id=a/b", GKE_GATEWAY_URL=None, **found)
        other = run("call", "--google", url, "--audience", "custom", **found)

    assert (done.exit_code, done.stdout) == (Exit.OK, '{"name": "Ada"}'), done.stderr
    assert other.exit_code == Exit.OK
    first, second = server.seen
    assert (first.target, second.target) == ("/lookup/a%2Fb", "/")
    audiences = [
        claims(seen.headers["authorization"].removeprefix("Bearer "))["aud"] for seen in (first, second)
    ]
    # Not JWT_AUDIENCE of the environment: that is the mesh's.
    assert audiences == [url, "custom"]


def test_a_url_without_google_is_not_sent_the_meshs_token(run: Run, server: Server) -> None:
    done = run("call", f"http://{server.address}/lookup/u-1")

    assert done.exit_code == Exit.SETTINGS
    assert "A URL needs --google" in done.stderr
    assert not server.seen


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("http://203.0.113.7/", "use https://"),
        ("HTTP://lookup.example/", "use https://"),
        ("https://user:s3cret@host.example/", "user name or password"),
        ("https://run.example\\@host.example/", "user name or password"),
        ("https:///lookup", "name a host"),
        ("ftp://host.example/", "must start with https://"),
        (" https://host.example/", "spaces"),
        ("https://host.example/lookup/u-1?fields=s3cret", "--param NAME=VALUE"),
        ("https://host.example?s3cret=/lookup", "--param NAME=VALUE"),
        ("lookup.example/u-1", "a URL with https://"),
    ],
)
def test_a_url_that_cannot_be_called_is_not(run: Run, url: str, words: str) -> None:
    done = run("call", "--google", url)

    assert done.exit_code == Exit.SETTINGS
    assert words in " ".join(done.stderr.split())
    assert "s3cret" not in done.output


@pytest.mark.parametrize(
    ("url", "origin"),
    [
        ("https://Lookup.Example:443/u-1", "https://lookup.example"),
        ("HTTPS://lookup.example", "https://lookup.example"),
        ("https://lookup.example:8443/u-1", "https://lookup.example:8443"),
    ],
)
def test_the_audience_of_a_url_is_its_origin_as_cloud_run_writes_it(url: str, origin: str) -> None:
    found = Given({}, google=True).destination(url)
    assert (found.base_url, repr(found.auth)) == (origin, f"GoogleIDToken(audience={origin!r})")


def test_call_sends_a_body_from_a_file_or_stdin(
    run: Run, server: Server, tmp_path: Path, environ: dict[str, str]
) -> None:
    (tmp_path / "body.json").write_text('{"a": 1}')
    run("call", "post", "/profiles", "--body", str(tmp_path / "body.json"))
    CliRunner().invoke(app, ["call", "POST", "/profiles", "--body", "-"], env=environ, input=b'{"a": 2}')

    assert [(seen.method, seen.body) for seen in server.seen] == [
        ("POST", b'{"a": 1}'),
        ("POST", b'{"a": 2}'),
    ]
    assert server.seen[0].headers["content-type"] == "application/json"


def test_call_as_json_holds_status_headers_and_body(run: Run) -> None:
    reported = json.loads(run("call", "/", "--json").stdout)

    assert reported["status"] == 200
    assert reported["body"] == {"name": "Ada"}
    assert reported["headers"]["server"] == "istio-envoy"


def test_an_error_of_the_service_is_printed_and_exits_1(run: Run, server: Server) -> None:
    server.answer = lambda _: (404, SERVICE, b'{"error": "profile_not_found"}')
    done = run("call", "/")

    assert (done.exit_code, done.stdout) == (Exit.FAILED, '{"error": "profile_not_found"}')
    assert done.stderr == "404 Not Found\n"


def test_a_refusal_of_the_mesh_is_a_message_or_json_with_its_own_exit_code(run: Run, server: Server) -> None:
    server.answer = lambda _: (403, {"server": "istio-envoy"}, b"RBAC: access denied")
    done = run("call", "/")
    assert (done.exit_code, done.stdout) == (Exit.POLICY, "")
    assert done.stderr.startswith("meshpass: GET / on user-profile.internal")
    reported = json.loads(run("call", "/", "--json").stdout)["error"]

    assert (reported["code"], reported["status"], reported["detail"]) == (
        "not_allowed",
        403,
        "RBAC: access denied",
    )
    assert reported["hint"]


def test_missing_settings_are_reported_and_exit_3(run: Run) -> None:
    done = run("call", "/", "--json", JWT_SCOPE="", JWT_AUDIENCE="")

    assert done.exit_code == Exit.SETTINGS
    assert json.loads(done.stdout)["error"]["problems"] == [
        "JWT_AUDIENCE is missing.",
        "JWT_SCOPE is missing.",
    ]


@pytest.mark.parametrize(
    "arguments", [["GET", "/", "/"], ["/{a}", "--value", "a"], ["/", "--body", "missing.json"]]
)
def test_wrong_usage_exits_2(run: Run, arguments: list[str]) -> None:
    assert run("call", *arguments).exit_code == Exit.USAGE


def test_a_value_that_cannot_be_sent_exits_2(run: Run, server: Server) -> None:
    assert run("call", "/{a}", "--value", "a=..").exit_code == Exit.USAGE
    assert server.seen == []


class Mesh:
    """Answers as a gateway that knows the keys of a JWKS file."""

    def __init__(self, jwks: Path) -> None:
        self.jwks = jwks

    def __call__(self, seen: Seen) -> tuple[int, dict[str, str], bytes]:
        token = seen.headers["authorization"].removeprefix("Bearer ")
        known = {key["kid"] for key in json.loads(self.jwks.read_text())["keys"]}
        if jwt.get_unverified_header(token)["kid"] in known:
            return 200, SERVICE, b"{}"
        return 401, {"server": "istio-envoy"}, b"Jwks doesn't have key to match kid or alg from Jwt"


@pytest.fixture(params=["files", "secret manager"])
def keys(
    request: pytest.FixtureRequest, run: Run, tmp_path: Path, server: Server, monkeypatch: pytest.MonkeyPatch
) -> Run:
    """`meshpass keys` with a store that the environment names, and a mesh that trusts `jwks.json`."""
    server.answer = Mesh(tmp_path / "jwks.json")
    if request.param == "files":
        named = {"SIGNING_KEY_FILE": str(tmp_path / "keys" / "active.pem")}
    else:
        address = request.getfixturevalue("secret_manager")
        monkeypatch.setenv("SECRET_MANAGER_EMULATOR_HOST", address)
        named = {"SIGNING_KEY_FILE": "", "SIGNING_KEY_SECRET_ID": "projects/p/secrets/s/versions/active"}
    return lambda *arguments: run("keys", *arguments, **named)


@pytest.fixture
def secret_manager() -> Any:  # noqa: ANN401
    with secretmanager.running() as address:
        yield address


def test_a_whole_rotation_by_command(keys: Run, tmp_path: Path) -> None:
    out = str(tmp_path / "jwks.json")
    first = keys("create", "--out", out)
    assert first.exit_code == Exit.OK
    assert json.loads(first.stdout) == json.loads(Path(out).read_text())
    assert "active" in first.stderr
    both = keys("next")
    assert len(json.loads(both.stdout)["keys"]) == 2
    assert "then run `meshpass keys promote`" in both.stderr
    refused = keys("promote", *CALL)
    assert refused.exit_code == Exit.KEYS
    assert "not proven that the mesh accepts the key" in refused.stderr
    assert "Apply the JWKS" in refused.stderr
    reported = json.loads(keys("status", "--json", "--jwks", out, *CALL).stdout)["versions"]
    assert [(row["state"], row["in_jwks"], row["accepted"]) for row in reported] == [
        ("active", True, True),
        ("next", False, False),
    ]
    keys("jwks", "--out", out)
    promoted = keys("promote", *CALL)
    assert promoted.exit_code == Exit.OK, promoted.stderr
    assert "Proven by 5 calls and promoted" in promoted.stderr
    early = keys("retire", "--json")
    assert early.exit_code == Exit.KEYS
    assert json.loads(early.stdout)["error"]["code"] == "key_too_early"
    done = json.loads(keys("retire", "--drain", "0", "--json", "--out", out).stdout)

    assert [row["state"] for row in done["versions"]] == ["retired", "active"]
    assert done["jwks"] == json.loads(Path(out).read_text())
    assert done["next_step"]
    shown = keys("status")
    assert "retired" in shown.stdout
    assert "active" in shown.stdout


def test_a_revocation_says_what_must_be_applied_now(keys: Run, tmp_path: Path) -> None:
    keys("create", "--out", str(tmp_path / "jwks.json"))
    alone = keys("revoke", "active")
    assert alone.exit_code == Exit.KEYS
    assert "--force" in alone.stderr
    keys("next")
    done = keys("revoke", "active", "--out", str(tmp_path / "jwks.json"))

    assert done.exit_code == Exit.OK
    assert len(json.loads((tmp_path / "jwks.json").read_text())["keys"]) == 1
    assert "Apply this JWKS to the mesh NOW" in done.stderr
    assert "until the mesh drops the key, it accepts every token signed with it" in done.stderr


def test_no_command_prints_a_private_key(keys: Run, tmp_path: Path) -> None:
    out = str(tmp_path / "jwks.json")
    said = [keys("create", "--out", out), keys("next", "--json"), keys("jwks", "--out", out)]
    held = [file.read_text() for file in (tmp_path / "keys").glob("*.pem")]
    said += [keys("promote", *CALL, "--json"), keys("status", *CALL), keys("revoke", "previous")]
    shown = "".join(done.stdout + done.stderr for done in said)

    assert "PRIVATE" not in shown
    assert '"d"' not in shown
    for pem in held:
        assert pem.splitlines()[1] not in shown


def test_a_jwks_that_cannot_be_written_does_not_hide_that_the_step_was_taken(
    keys: Run, tmp_path: Path
) -> None:
    done = keys("create", "--out", str(tmp_path / "missing" / "jwks.json"))

    assert done.exit_code == Exit.SETTINGS
    assert "The step itself was taken" in done.stderr
    assert keys("jwks").exit_code == Exit.OK


def test_a_pinned_version_is_pointed_at(run: Run) -> None:
    with secretmanager.running() as address:
        done = run(
            "keys", "create", SIGNING_KEY_FILE="", SIGNING_KEY_SECRET_ID="projects/p/secrets/s/versions/1",
            SECRET_MANAGER_EMULATOR_HOST=address,
        )  # fmt: skip

    assert done.stderr.count("callers follow a promotion only by .../versions/active") == 1


def test_no_keys_yet_is_said(run: Run, tmp_path: Path) -> None:
    done = run("keys", "status", "--store", str(tmp_path / "none"))

    assert done.exit_code == Exit.OK
    assert "Make the first one" in done.stderr


COMMANDS = [
    (),
    ("token",),
    ("call",),
    ("doctor",),
    ("keys",),
    *(("keys", name) for name in ("create", "jwks", "next", "promote", "retire", "revoke", "status")),
]


def tree(command: Any, *names: str) -> dict[tuple[str, ...], Any]:  # noqa: ANN401 - typer's own click
    found = {names: command}
    for name, inner in getattr(command, "commands", {}).items():
        found |= tree(inner, *names, name)
    return found


def flat(text: str) -> str:
    return " ".join(text.split())


def test_the_list_of_commands_is_complete() -> None:
    assert set(tree(typer.main.get_command(app))) == set(COMMANDS)


@pytest.mark.parametrize("columns", ["80", "120"])
@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_the_help_is_whole_and_names_every_exit_code(command: tuple[str, ...], columns: str) -> None:
    done = CliRunner().invoke(app, [*command, "--help"], env={"COLUMNS": columns})
    shown = flat(done.stdout)
    described = tree(typer.main.get_command(app))[command]

    assert done.exit_code == Exit.OK
    assert max(map(len, done.stdout.splitlines())) <= int(columns)
    assert all("..." not in line.removeprefix("  ") or "$(" in line for line in done.stdout.splitlines()[1:])
    assert "…" not in shown
    assert flat(described.help) in shown
    texts = [each.help for each in described.params]
    texts += [inner.short_help for inner in getattr(described, "commands", {}).values()]
    assert [text for text in texts if not text or flat(text) not in shown] == []
    assert [code for code in Exit if f" {code.value} {MEANINGS[code]}" not in shown] == []


def test_every_summary_is_the_first_sentence_of_the_commands_own_help() -> None:
    for names, command in tree(typer.main.get_command(app)).items():
        if names:
            assert flat(command.help).startswith(command.short_help), names
            assert command.short_help.endswith("."), names


def test_no_option_shows_a_type_of_python(run: Run) -> None:
    for command in COMMANDS:
        shown = run(*command, "--help").stdout
        options = shown.partition("Options:")[2].partition("Exit codes:")[0]
        assert not re.search(r"<[a-z]|list\[", options), command


def test_the_version_is_that_of_the_package(run: Run) -> None:
    assert run("--version").stdout.startswith(f"meshpass {version('meshpass')} (Python 3.")


def test_the_version_is_printed_without_the_packages_of_the_command() -> None:
    code = "import sys; sys.modules['typer'] = None; from meshpass.cli import main; main()"
    ran = [
        subprocess.run([sys.executable, "-c", code, option], check=False, capture_output=True, text=True)
        for option in ("--version", "token")
    ]

    assert (ran[0].returncode, ran[0].stderr) == (0, "")
    assert ran[0].stdout.startswith(f"meshpass {version('meshpass')} (Python 3.")
    assert ran[1].returncode == 1
    assert 'Run `pip install "./sdk[cli]"`' in ran[1].stderr


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["call", "/", "--timeout", "nan"], Exit.USAGE),
        (["call", "/", "--timeout", "inf"], Exit.USAGE),
        (["call", "nopath"], Exit.USAGE),
        (["call", "/{a}", "--value", "a=\udcff"], Exit.USAGE),
        (["call", "/", "--value", "json=1"], Exit.USAGE),
        (["doctor", "/", "--timeout", "inf"], Exit.USAGE),
        (["doctor", "nopath"], Exit.USAGE),
        (["doctor", "--value", "a=b"], Exit.USAGE),
        (["keys", "create", "--store", ""], Exit.SETTINGS),
        (["keys", "create", "--store", "STORE", "--out", "/"], Exit.SETTINGS),
        (["keys", "promote", "--store", "STORE", "--path", "nopath"], Exit.USAGE),
        (["keys", "retire", "--store", "STORE", "--drain", "nan"], Exit.USAGE),
        (["keys", "retire", "--store", "STORE", "--drain", "inf"], Exit.USAGE),
        (["keys", "status", "--store", "STORE", "--path", "nopath"], Exit.USAGE),
        (["keys", "status", "--store", "STORE", "--jwks", "NESTED"], Exit.SETTINGS),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_misuse_is_a_sentence_and_an_exit_code(
    run: Run, server: Server, tmp_path: Path, arguments: list[str], code: Exit
) -> None:
    (tmp_path / "nested.json").write_text("[" * 100_000)
    places = {"STORE": str(tmp_path / "keys"), "NESTED": str(tmp_path / "nested.json")}
    done = run(*(places.get(argument, argument) for argument in arguments))

    assert done.exit_code == code, done.stderr
    assert done.stderr.count("\n") >= 1
    assert server.seen == []


@pytest.mark.parametrize("name", ["json", "params", "method", "path", "self", "timeout_s"])
def test_a_placeholder_may_have_any_name(run: Run, server: Server, name: str) -> None:
    assert run("call", f"/a/{{{name}}}", "--value", f"{name}=b/c").exit_code == Exit.OK
    assert run("doctor", f"/a/{{{name}}}", "--value", f"{name}=b/c").exit_code == Exit.OK

    assert [seen.target for seen in server.seen if "authorization" in seen.headers] == [
        "/a/b%2Fc",
        "/a/b%2Fc",
    ]


@pytest.mark.parametrize("arguments", [["--help"], ["token"], ["doctor", "--json"]], ids=" ".join)
def test_an_output_that_cannot_be_written_is_said_in_one_line(
    arguments: list[str], environ: dict[str, str]
) -> None:
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [COMMAND, *arguments],
            env={**os.environ, **environ},
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )

    assert done.returncode == Exit.FAILED
    assert done.stderr == "meshpass: The output or a file cannot be used: No space left on device.\n"


def test_a_closed_output_and_a_narrow_encoding_are_no_error(environ: dict[str, str], server: Server) -> None:
    given = {**os.environ, **environ}
    closed = subprocess.run(
        ["sh", "-c", '"$0" token >&-', str(COMMAND)], env=given, capture_output=True, text=True, check=False
    )
    assert (closed.returncode, closed.stderr) == (Exit.OK, "")

    narrow = subprocess.run(
        [COMMAND, "token", "--issuer", "ü", "--json"],
        env={**given, "PYTHONIOENCODING": "ascii"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert "Traceback" not in narrow.stderr


def test_a_missing_extra_says_how_to_install_it(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "typer", None)

    with pytest.raises(SystemExit) as ended:
        meshpass.cli.main()
    assert ended.value.code == 1
    assert capsys.readouterr().err.endswith('Run `pip install "./sdk[cli]"` in a clone of the project.\n')


def test_the_command_is_installed_and_starts_without_google_or_grpc() -> None:
    code = "import sys, meshpass.cli._app; print({'grpc', 'google.auth', 'aiohttp'} & set(sys.modules))"
    ran = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert ran.stdout == "set()\n"

    assert subprocess.run([COMMAND, "--help"], check=True, capture_output=True, text=True).stdout.startswith(
        "Usage: meshpass"
    )


def test_importing_meshpass_brings_in_none_of_the_command() -> None:
    heavy = "'typer', 'rich', 'click', 'meshpass.cli', 'httpx', 'cryptography', 'google.auth'"
    code = f"import sys, meshpass.keys; print({{{heavy}}} & set(sys.modules))"

    assert (
        subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout
        == "set()\n"
    )
