"""A plan is the same for Python and for a shell: values, conditions and files, whatever is in them."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

import pytest
import yaml

from deploy.steps import gcloud
from deploy.steps.deploy import entry_points, plan
from deploy.steps.deploy.plan import Empty, Matches, Older, Say, lacks_line, present
from deploy.steps.gcloud import Value, show

if TYPE_CHECKING:
    from pathlib import Path

NASTY = (
    "$(touch hacked)", "`touch hacked`", "'; touch hacked; '", '"; touch hacked; "', "END_OF_FILE", "$HOME", "a\\b",
    "*", "{x}", "%s", "é", "a\nEND_OF_FILE\ntouch hacked",
)  # fmt: skip


def shell(text: str, folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["/bin/sh"], input=text, cwd=folder, capture_output=True, text=True, check=False)


def test_no_value_breaks_out_of_the_environment_file_or_of_a_message(tmp_path: Path) -> None:
    variables = {f"KEY_{number}": value for number, value in enumerate(NASTY)}
    target = tmp_path / "it's env.yaml"
    steps: list[plan.Step] = [
        plan.Write(target, entry_points.environment_yaml(variables)),
        *(Say((value,)) for value in NASTY),
    ]
    done = shell(plan.script(steps, "deploy/deploy"), tmp_path)
    assert done.returncode == 0, done.stderr
    assert yaml.safe_load(target.read_text()) == variables
    assert done.stdout == "".join(f"{value}\n" for value in NASTY)
    assert {path.name for path in tmp_path.iterdir()} == {target.name}


VALUES = {
    "nothing": "",
    "url": "https://f-x.a.run.app",
    "version": "558.0.0",
    "odd": "a*b",
    "lines": "\nr|m|\nr|n|if\n",
}


@pytest.mark.parametrize(
    ("condition", "holds"),
    [
        (Empty("nothing"), True),
        (Empty("url"), False),
        (present("url"), True),
        (Matches("url", "https://f-*"), True),
        (Matches("url", "https://g-*"), False),
        (Matches("url", "https://g-*", negated=True), True),
        (Matches("url", "f-x"), False),
        (Matches("odd", "a?b"), False),
        (Matches("nothing", ""), True),
        (lacks_line("lines", "r|m|"), False),
        (lacks_line("lines", "r|n|"), True),
        (lacks_line("lines", "r|m"), True),
        (Older("version", 558), False),
        (Older("version", 559), True),
        (Older("nothing", 1), True),
        (Older("url", 1), True),
    ],
)
def test_a_condition_is_the_same_in_python_and_in_a_shell(
    condition: plan.Condition, holds: bool, tmp_path: Path
) -> None:
    assert condition.holds(VALUES) is holds
    text = f"{condition.name}='{VALUES[condition.name]}'\nif {condition.shell()}; then echo yes; else echo no; fi"
    assert shell(text, tmp_path).stdout == ("yes\n" if holds else "no\n")


def test_an_answer_that_is_no_text_is_no_traceback(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "gcloud").write_text("#!/bin/sh\nprintf 'a\\377b'\n")
    (tmp_path / "gcloud").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    assert gcloud.read(["version"]) == gcloud.optional(["version"]) == "a\ufffdb"


def test_a_value_that_was_read_is_one_argument(tmp_path: Path) -> None:
    command = show(["pubsub", Value("url", "--push-endpoint="), Value("url")])
    text = f"gcloud() {{ printf '%s\\n' \"$@\"; }}\nurl='a b $c'\n{command}\n"
    assert shell(text, tmp_path).stdout.splitlines() == ["pubsub", "--push-endpoint=a b $c", "a b $c"]
