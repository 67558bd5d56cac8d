"""What `import meshpass` gives, and what it costs."""

import pickle
import subprocess
import sys
from collections.abc import Iterable

import meshpass
import pytest

_HEAVY = {"httpx", "httpcore", "aiohttp", "jwt", "cryptography", "google", "grpc", "requests", "ssl"}


def _loaded_by(code: str) -> set[str]:
    probe = f"{code}\nimport sys\nprint(*sys.modules)"
    ran = subprocess.run([sys.executable, "-c", probe], check=True, capture_output=True, text=True)
    return set(ran.stdout.split())


def _added_by(code: str) -> set[str]:
    return {name.partition(".")[0] for name in _loaded_by(code) - _loaded_by("")}


def test_importing_meshpass_loads_only_itself() -> None:
    added = _loaded_by("import meshpass") - _loaded_by("import importlib, typing")

    assert added == {"meshpass"}


@pytest.mark.parametrize(
    "use",
    [
        "meshpass.Settings, meshpass.settings_problems({})",
        "meshpass.MeshError, meshpass.KeyFile('k'), meshpass.SecretManagerKey('s')",
        "meshpass.SignedJWT('i', 'a', bytes)",
        "meshpass.Client('https://h.internal', auth=meshpass.SignedJWT('i', 'a', bytes))",
        "meshpass.AsyncClient('https://h.internal', auth=meshpass.SignedJWT('i', 'a', bytes))",
    ],
)
def test_no_http_stack_crypto_or_google_client_is_loaded_before_a_call(use: str) -> None:
    # asyncio brings the standard library's own ssl.
    assert _added_by(f"import meshpass\n{use}") & _HEAVY <= {"ssl"}


@pytest.mark.parametrize(
    "call",
    [
        "meshpass.Client('http://127.0.0.1:9', auth=auth).get('/')",
        "asyncio.run(meshpass.AsyncClient('http://127.0.0.1:9', auth=auth).get('/'))",
    ],
    ids=["blocking", "asyncio"],
)
def test_a_call_loads_the_types_of_its_answer_and_no_other_engine_or_client(call: str) -> None:
    # Nothing listens on the discard port; the refused connection is far enough.
    added = _added_by(
        "import asyncio, contextlib, meshpass\n"
        "class Auth:\n"
        "  def token(self): return meshpass.Token('t', 9e9, 'test')\n"
        "  async def atoken(self): return self.token()\n"
        "  def invalidate(self, token): pass\n"
        "auth = Auth()\n"
        f"with contextlib.suppress(meshpass.GatewayUnreachable): {call}"
    )

    assert "httpx" in added
    assert not added & {"aiohttp", "h11", "google", "grpc", "jwt", "cryptography"}


def test_every_public_name_is_there_and_listed() -> None:
    assert sorted(meshpass.__all__) == meshpass.__all__
    for name in meshpass.__all__:
        assert getattr(meshpass, name) is not None
        assert name in dir(meshpass)


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'Nothing'"):
        _ = meshpass.Nothing


def test_every_error_is_a_mesh_error_with_a_code_of_its_own() -> None:
    public = [getattr(meshpass, name) for name in meshpass.__all__]
    errors = [value for value in public if isinstance(value, type) and issubclass(value, Exception)]

    assert all(issubclass(error, meshpass.MeshError) for error in errors)
    assert len({getattr(error, "code", None) for error in errors}) == len(errors)


def test_an_error_survives_pickling_with_all_its_fields() -> None:
    error = meshpass.NoRoute("No way.", service="s.internal", status=404, hint="Look.", retryable=True)
    listed = meshpass.ConfigurationError(["A is missing.", "B is wrong."])

    assert vars(pickle.loads(pickle.dumps(error))) == vars(error)
    assert str(pickle.loads(pickle.dumps(error))) == "No way. Look."
    assert pickle.loads(pickle.dumps(listed)).problems == listed.problems


_OPTIONAL = {
    "grpc": ["grpc_aio_channel", "grpc_call_credentials", "grpc_channel"],
    "requests": ["RequestsAdapter", "requests_adapter"],
}


def _without(packages: Iterable[str], code: str) -> subprocess.CompletedProcess[str]:
    hidden = "".join(f"sys.modules[{package!r}] = None\n" for package in packages)
    return subprocess.run(
        [sys.executable, "-c", f"import sys\n{hidden}{code}"], check=False, capture_output=True, text=True
    )


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        *((name, 'needs grpcio. Run `pip install "./sdk[grpc]"`') for name in _OPTIONAL["grpc"]),
        *((name, "needs requests. Run `pip install requests`.") for name in _OPTIONAL["requests"]),
    ],
)
def test_without_its_package_a_name_says_what_to_install(name: str, hint: str) -> None:
    ran = _without(_OPTIONAL, f"import meshpass\nmeshpass.{name}")

    assert ran.returncode == 1
    assert f"ModuleNotFoundError: meshpass.{name} {hint}" in ran.stderr


@pytest.mark.parametrize("missing", [[], ["grpc"], ["requests"], ["grpc", "requests"]])
def test_what_reads_all_names_works_without_the_optional_packages(missing: list[str]) -> None:
    ran = _without(
        missing,
        "import inspect, pydoc\n"
        "from meshpass import *\n"
        "import meshpass\n"
        "inspect.getmembers(meshpass)\n"
        "pydoc.render_doc(meshpass)\n"
        "print(*(name for name in globals() if hasattr(meshpass, name) and name[0] != '_'))",
    )

    hidden = {name for package in missing for name in _OPTIONAL[package]}
    assert ran.stderr == ""
    assert set(ran.stdout.split()) == set(meshpass.__all__) - hidden


def test_a_package_that_an_optional_one_lacks_is_named() -> None:
    ran = _without(["urllib3"], "import meshpass\nmeshpass.RequestsAdapter")

    assert "urllib3" in ran.stderr.splitlines()[-1]
    assert "pip install requests" not in ran.stderr
