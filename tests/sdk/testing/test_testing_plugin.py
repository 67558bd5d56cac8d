"""The plugin in runs of pytest as a user has them."""

from pathlib import Path

import pytest

pytest_plugins = ["pytester"]


# Plugins of this workspace that a user of the kit need not have. To load them takes a third of a run.
_OTHERS = ("-p", "no:cacheprovider", "-p", "no:hypothesispytest", "-p", "no:meshlab")


def run(pytester: pytest.Pytester, test: str, *arguments: str) -> pytest.RunResult:
    pytester.makepyfile(test)
    return pytester.runpytest_subprocess("-W", "error", *_OTHERS, *arguments)


def test_a_test_fails_with_the_error_of_its_own_service(pytester: pytest.Pytester) -> None:
    ran = run(
        pytester,
        """
        from meshpass.testing import Reply

        def test_a_call(meshpass_gateway):
            def service(request):
                assert request.json() == {"a": 1}, "not what was expected"
                return Reply()

            meshpass_gateway.service = service
            with meshpass_gateway.client() as client:
                assert client.request("POST", "/", json={"a": 2}).status_code == 200
        """,
    )

    ran.assert_outcomes(failed=1)
    ran.stdout.fnmatch_lines(["*assert request.json() == *", "E *AssertionError: not what was expected*"])
    assert "UpstreamUnavailable" not in ran.stdout.str()


def test_a_program_that_swallows_a_500_hides_nothing(pytester: pytest.Pytester) -> None:
    ran = run(
        pytester,
        """
        import pytest
        from meshpass.testing import FakeGateway

        FUNCTIONS = [lambda _: pytest.fail("no"), lambda _: pytest.skip("no"), lambda _: 1 / 0]

        @pytest.mark.parametrize("function", FUNCTIONS)
        def test_a_call(meshpass_gateway, function):
            meshpass_gateway.service = function
            with meshpass_gateway.client() as client:
                client.get("/")

        @pytest.fixture
        def gateway():
            with FakeGateway() as gateway:
                yield gateway

        def test_a_gateway_of_its_own(gateway):
            gateway.service = lambda _: 1 / 0
            with gateway.client() as client:
                client.get("/")
        """,
    )

    ran.assert_outcomes(failed=3, skipped=1)


def test_an_error_in_a_call_of_a_teardown_is_an_error_of_the_test(pytester: pytest.Pytester) -> None:
    ran = run(
        pytester,
        """
        import pytest

        @pytest.fixture
        def program(meshpass_gateway):
            yield
            meshpass_gateway.service = lambda _: 1 / 0
            with meshpass_gateway.client() as client:
                client.get("/")

        def test_a_program(program):
            pass
        """,
    )

    ran.assert_outcomes(passed=1, errors=1)
    ran.stdout.fnmatch_lines(["E *ZeroDivisionError*"])


PROGRAM = """
import meshpass

client = meshpass.Client.from_env(timeout_s=5)
orders = client.for_service("http://orders.internal")

def name(user_id):
    return client.get("/profile/{user_id}", user_id=user_id).json()["name"]

def order(order_id):
    return orders.get("/orders/{order_id}", order_id=order_id).json()
"""
TESTS = """
import os
import program
import pytest
from meshpass.testing import Reply

def test_a_name(meshpass_gateway):
    meshpass_gateway.service = lambda request: Reply.json({"name": request.path})
    assert program.name("u-1") == "/profile/u-1"
    assert len(meshpass_gateway.requests) == 1

def test_an_order(meshpass_gateway):
    meshpass_gateway.host("orders.internal").service = lambda _: Reply.json([1])
    assert program.order("o-1") == [1]
    assert len(meshpass_gateway.requests) == 1

def test_the_service_of_another_test_is_gone(meshpass_gateway):
    with pytest.raises(KeyError):
        program.name("u-1")

def test_the_key_is_this_users_alone():
    assert os.stat(os.environ["SIGNING_KEY_FILE"]).st_mode & 0o077 == 0

def test_a_failing_service(meshpass_gateway):
    meshpass_gateway.service = lambda _: 1 / 0
    with pytest.raises(KeyError):
        program.name("u-1")
"""


@pytest.mark.parametrize(
    ("file", "workers"),
    [("pytest.ini", ("-n", "2")), ("pyproject.toml", ())],
    ids=["two workers", "one process"],
)
def test_a_program_may_call_from_env_when_it_is_imported(
    pytester: pytest.Pytester, file: str, workers: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    head = "[pytest]" if file == "pytest.ini" else "[tool.pytest.ini_options]"
    Path(file).write_text(f"{head}\nmeshpass_from_env = true\n")
    pytester.makepyfile(program=PROGRAM)
    for name in ("GKE_GATEWAY_URL", "MESH_AUTH", "SIGNING_KEY_SECRET_ID"):
        monkeypatch.setenv(name, "not for a test")
    ran = run(pytester, TESTS, *workers)

    ran.assert_outcomes(passed=4, failed=1)
    ran.stdout.fnmatch_lines(["E *ZeroDivisionError: *", "FAILED *test_a_failing_service*"])


def test_a_gateway_of_the_whole_run_leaves_nothing_behind(pytester: pytest.Pytester) -> None:
    pytester.makeini("[pytest]\nmeshpass_from_env = true\n")
    ran = run(
        pytester,
        """
        import os

        def test_it_prints_where_the_key_is():
            print("the key is", os.environ["SIGNING_KEY_FILE"])
        """,
        "-s",
    )

    (shown,) = [line for line in ran.outlines if "the key is" in line]
    key = Path(shown.partition("the key is ")[2])
    assert key.name == "signing.pem"
    assert not key.parent.exists()


def test_a_program_may_be_imported_by_a_fixture_too(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(program=PROGRAM)
    ran = run(
        pytester,
        """
        import importlib
        import sys

        import pytest
        from meshpass.testing import Reply

        @pytest.fixture
        def program(meshpass_gateway, tmp_path, monkeypatch):
            for name, value in meshpass_gateway.environ(tmp_path).items():
                monkeypatch.setenv(name, value)
            monkeypatch.delitem(sys.modules, "program", raising=False)
            return importlib.import_module("program")

        @pytest.mark.parametrize("name", ["Ada", "Grace"])
        def test_a_name(program, meshpass_gateway, name):
            meshpass_gateway.service = lambda _: Reply.json({"name": name})
            assert program.name("u-1") == name
        """,
    )

    ran.assert_outcomes(passed=2)


def test_the_kit_needs_no_package_but_meshpass_itself(pytester: pytest.Pytester) -> None:
    ran = run(
        pytester,
        """
        import sys

        import pytest
        from meshpass.testing import InMemorySource
        import meshpass

        def test_a_call_without_pyjwt(meshpass_gateway, monkeypatch):
            monkeypatch.setitem(sys.modules, "jwt", None)
            with meshpass_gateway.client() as client:
                assert client.get("/").status_code == 200
            made = meshpass_gateway.key.sign({"iss": "another"})
            with meshpass_gateway.client(auth=InMemorySource(made)) as client, pytest.raises(meshpass.TokenRefused):
                client.get("/")
        """,
    )

    ran.assert_outcomes(passed=1)
