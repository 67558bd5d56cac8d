"""deploy/package --check finds what must not be deployed; extras are named for old pips; wrong paths are refused."""

from __future__ import annotations

import shutil
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from deploy.steps.package import bundle, check
from tests.deploy.harness import ROOT

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


@pytest.fixture
def own(package: Path, tmp_path: Path) -> Path:
    """A copy of the package, to be changed."""
    folder = tmp_path / "function"
    shutil.copytree(package, folder)
    shutil.copy(f"{package}.inputs", f"{folder}.inputs")
    return folder


def script(name: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(ROOT / "deploy" / name), *arguments], capture_output=True, text=True, check=False
    )


def test_a_package_as_it_was_made_is_good(own: Path) -> None:
    done = script("package", "--check", "--no-index", f"--output={own}")
    assert done.returncode == 0, done.stderr
    assert f"package {bundle.digest(own)[:12]}" in done.stdout


def test_what_is_checked_is_said(own: Path) -> None:
    stated = " ".join(script("package", "--help").stdout.split())
    assert check.WITH_INDEX in stated
    assert check.OFFLINE[0] in stated


def test_a_changed_package_and_a_missing_one_are_refused(own: Path) -> None:
    (own / "main.py").write_text("changed = True\n")
    done = script("package", "--check", "--no-index", f"--output={own}")
    assert done.returncode == 1
    assert "was changed after it was made" in done.stderr
    shutil.rmtree(own)
    assert "there is no package" in script("package", "--check", f"--output={own}").stderr


def add(name: str, content: str = "x") -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(content)

    return change


def edit(old: str, new: str) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        file = folder / "requirements.txt"
        text = file.read_text()
        assert old in text
        file.write_text(text.replace(old, new, 1))

    return change


def other_wheel(folder: Path) -> None:
    (wheel,) = folder.glob("meshpass_contract-*.whl")
    shutil.copy(wheel, wheel.with_suffix(".old"))
    with wheel.open("ab") as file:
        file.write(b"\0")
    wheel.with_suffix(".old").unlink()


BEGIN = "-----BEGIN "  # apart from the rest, so that this file holds no key


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (add("key.pem"), "key.pem looks like a secret by its name"),
        (add(".env"), ".env looks like a secret by its name"),
        (add("my-service-account.json"), "my-service-account.json looks like a secret by its name"),
        (add("prod.tfvars"), "prod.tfvars looks like a secret by its name"),
        (add("settings.toml", f"{BEGIN}PRIVATE KEY-----\n"), "settings.toml holds a private key"),
        (add("tests/test_x.py"), "tests/test_x.py belongs to the lab or the tests"),
        (add("meshlab/x.py"), "meshlab/x.py belongs to the lab or the tests"),
        (edit("anyio==", "anyio>="), "is not pinned with =="),
        (edit("certifi==", "pytest=="), "pytest is a tool of the lab or the tests"),
        (lambda folder: (folder / "main.py").unlink(), "main.py is missing"),
        (other_wheel, "is not the wheel whose hash is in requirements.txt"),
    ],
)
def test_each_problem_is_named(own: Path, change: Callable[[Path], None], problem: str) -> None:
    assert check.problems(own, bundle.files(own)) == []
    change(own)
    (found,) = check.problems(own, bundle.files(own))
    assert problem in found


def test_a_requirement_without_a_hash_is_named(tmp_path: Path) -> None:
    text = (
        f"good==1 \\\n    --hash=sha256:{'0' * 64}\n    # via other\nbad==2\nworse[extra]==3 --hash=md5:00\n"
    )
    assert list(check.requirement_problems(text, tmp_path)) == [
        "requirements.txt: bad==2 has no hash",
        "requirements.txt: worse[extra]==3 has no hash",
    ]


def test_a_package_over_the_limits_is_named(own: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(check, "MAX_UNPACKED_BYTES", 10)
    (found,) = check.problems(own, bundle.files(own))
    assert "Cloud Functions takes at most 10 unpacked" in found


LOCK = """
[[package]]
name = "app"
dependencies = [{ name = "client", extra = ["fast"] }]
[package.optional-dependencies]
more = [{ name = "auth", extra = ["later"] }]
[[package]]
name = "client"
dependencies = [{ name = "auth" }]
[package.optional-dependencies]
fast = [{ name = "auth", extra = ["tls"] }]
slow = [{ name = "auth", extra = ["never"] }]
[[package]]
name = "auth"
[[package]]
name = "lab"
dependencies = [{ name = "auth", extra = ["of-the-lab"] }]
"""


def test_the_extras_that_packages_ask_for_are_named_beside_the_plain_requirement() -> None:
    """pip 23.2.1 refuses a hashed ``auth`` where a package needs ``auth[tls]``, and installs it with both lines."""
    wanted = bundle.extras_below(LOCK, "app")
    assert {name: extras for name, extras in wanted.items() if extras} == {
        "client": {"fast"},
        "auth": {"tls"},
    }
    assert bundle.extras_below(LOCK, "app", ["more"])["auth"] == {"tls", "later"}
    line = "==1.0 \\\n    --hash=sha256:00 \\\n    --hash=sha256:11\n"
    listed = bundle.name_extras(f"auth{line}    # via app\nother{line}", wanted)
    assert listed == f"auth{line}auth[tls]{line}    # via app\nother{line}"


FOLDERS = ("", " ", "/", ".", str(ROOT), str(ROOT.parent), str(ROOT / "README.md"))


@pytest.mark.parametrize("value", FOLDERS)
@pytest.mark.parametrize(("name", "option"), [("package", "--output"), ("write-alerts", "--output")])
def test_a_folder_that_must_not_be_written_is_refused_in_one_line(name: str, option: str, value: str) -> None:
    done = script(name, option, value)
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    assert done.stderr.splitlines()[-1].startswith(f"deploy/{name}: error: argument {option}: ")


@pytest.mark.parametrize("name", ["package", "write-alerts"])
def test_a_link_that_leads_in_a_circle_is_no_folder_to_make(tmp_path: Path, name: str) -> None:
    link = tmp_path / "circle"
    link.symlink_to(link)
    done = script(name, "--output", str(link))
    assert done.returncode == 2
    assert f"{str(link)!r} is a symbolic link that leads nowhere" in done.stderr.splitlines()[-1]


@pytest.mark.parametrize("value", ["", "/", str(ROOT / "nothing.env")])
@pytest.mark.parametrize("name", ["deploy", "subscription", "write-alerts"])
def test_a_contract_that_is_no_file_is_refused_in_one_line(name: str, value: str) -> None:
    done = script(name, "--contract", value)
    assert done.returncode == 2
    assert done.stderr.splitlines()[-1].startswith(f"deploy/{name}: error: argument --contract: ")


@pytest.mark.parametrize("value", ["", str(ROOT / "README.md")])
def test_a_source_that_is_no_folder_is_refused_in_one_line(value: str) -> None:
    done = script("deploy", "--source", value)
    assert done.returncode == 2
    assert done.stderr.splitlines()[-1].startswith("deploy/deploy: error: argument --source: ")
