"""What the code knows, the pages name."""

from __future__ import annotations

import re
import typing

import meshpass
import pytest
from enrichment.errors import POLICY
from enrichment.errors.remote_errors import SDK_CODES
from meshlab.bench.case_file import format_words
from meshlab.bench.flaws import FLAWS
from meshlab.istio.read import object_kinds
from meshlab.kustomize import build
from meshpass._call.request import Phase

from tests.docs.pages import ROOT, read


def test_a_version_has_no_change_twice() -> None:
    for version in read("CHANGELOG.md").split("\n## ")[1:]:
        changes = re.findall(r"^- .+$", version, re.MULTILINE)
        assert sorted(changes) == sorted(set(changes))


def test_a_page_is_once_in_the_index() -> None:
    rows = re.findall(r"^\| \[[^]]+\]\(([^)]+)\) \|", read("docs/README.md"), re.MULTILINE)
    assert len(rows) >= 25
    assert sorted(rows) == sorted(set(rows))


def test_a_deployment_is_led_to_no_key_before_a_key() -> None:
    # The pages that choose, for a reader who goes on from the first line.
    for page, about in {
        "docs/keys.md": ("## Without a key", "## With a key"),
        "docs/deploy.md": ("google-id-token", "signed-jwt"),
        "docs/contract.md": ("google-id-token", "JWT_ISSUER"),
        "README.md": ("No private key is needed", "meshpass keys"),
    }.items():
        first, second = (read(page).find(words) for words in about)
        assert first >= 0
        assert second < 0 or first < second, page


def test_the_mesh_page_explains_every_object_of_the_example() -> None:
    page = read("docs/mesh.md")
    objects = build(ROOT / "infra/mesh/overlays/example")
    assert [str(found) for found in objects if found.kind not in page or f"`{found.name}`" not in page] == []


def test_the_mesh_page_names_every_key_of_the_contract() -> None:
    keys = re.findall(r"^([A-Z_]+)=", (ROOT / "infra/contract.env").read_text(), re.MULTILINE)
    assert [key for key in keys if f"`{key}`" not in read("docs/mesh.md")] == []


@pytest.mark.parametrize(
    "known", [object_kinds.READ, object_kinds.WITHOUT_TRAFFIC, object_kinds.NOT_ENFORCED]
)
def test_the_lab_page_names_every_kind_that_the_compiler_knows(known: frozenset[tuple[str, str]]) -> None:
    page = read("docs/lab.md")
    assert sorted(kind for _, kind in known if not re.search(rf"\b{kind}\b", page)) == []


def test_the_lab_page_names_every_command_and_option() -> None:
    page = read("docs/lab.md")
    commands = ("demo", "run", "up", "render")
    assert [name for name in commands if f"`meshlab {name}" not in page] == []
    options = {"--events", "--env-file", "--jwks", "--project", "--overlay", "--workload"}
    assert sorted(option for option in options if option not in page) == []


def test_the_policy_testing_page_names_every_word_and_every_flaw() -> None:
    page = read("docs/policy-testing.md")
    known = {
        word for name in dir(format_words) if name.endswith("_WORDS") for word in getattr(format_words, name)
    }
    known |= set(format_words.CALLER_KINDS) | {
        word for more in format_words.CALLER_KINDS.values() for word in more
    }
    assert sorted(name for name in known | set(FLAWS) if f"`{name}`" not in page) == []


def test_the_troubleshooting_page_has_every_error_of_the_sdk_with_its_code() -> None:
    page = read("docs/troubleshooting.md")
    public = [getattr(meshpass, name) for name in meshpass.__all__]
    errors = {error for error in public if isinstance(error, type) and issubclass(error, meshpass.MeshError)}
    named = {name for error in errors - {meshpass.MeshError} for name in (error.__name__, error.code)}
    assert sorted(name for name in named if f"`{name}`" not in page) == []


def codes_of_the_sdk() -> set[str]:
    """Every code that the SDK's source gives an error."""
    source = "\n".join(path.read_text() for path in (ROOT / "sdk/src/meshpass").rglob("*.py"))
    codes = set(re.findall(r'\bcode\b[^\n"]{0,50}=\s*"(\w+)"', source)) - {meshpass.MeshError.code}
    phases = set(typing.get_args(Phase)) - {"head"}  # a part of the answer, as "body" is
    codes |= {f"timeout_{phase}" for phase in phases}
    assert {"connection_lost", "upstream_timeout", "deadline", "key_too_early"} <= codes
    return codes


def test_the_error_policy_has_every_code_that_a_call_can_end_with() -> None:
    of_a_keys_life = {code for code in codes_of_the_sdk() if code.startswith("key_")}
    assert set(SDK_CODES) == codes_of_the_sdk() - of_a_keys_life - {"invalid_path_value"}


def test_the_troubleshooting_page_has_every_code_that_an_error_of_the_sdk_may_have() -> None:
    page, codes = read("docs/troubleshooting.md"), codes_of_the_sdk()
    assert sorted(word for word in codes if f"`{word}`" not in page) == []


def test_the_troubleshooting_page_has_every_reason_that_the_function_logs() -> None:
    page = read("docs/troubleshooting.md")
    assert sorted(reason for reason in POLICY if f"`{reason}`" not in page) == []


def test_the_troubleshooting_page_quotes_what_the_programs_really_say() -> None:
    """A quoted message stands in the first column of a table; dots stand for what differs from case to case."""
    sources = "\n".join(
        re.sub(r'"\s*\n\s*f?"', "", path.read_text())
        for part in ("sdk/src", "function", "lab/src", "deploy/steps", "infra/contract/src")
        for path in (ROOT / part).rglob("*.py")
    )
    sources += " ".join(POLICY)  # some of them are put together
    sources += (ROOT / "Makefile").read_text() + (
        ROOT / "infra/policy-tests/ingress/user-profile.yaml"
    ).read_text()
    quoted = re.findall(r"^\| `([^`]+)` \|", read("docs/troubleshooting.md"), re.MULTILINE)
    assert len(quoted) > 20
    missing = [
        text
        for text in quoted
        for part in text.split("...")
        if part.strip(" '\"") and part.strip() not in sources
    ]
    assert missing == []
