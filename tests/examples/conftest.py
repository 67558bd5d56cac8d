"""What the tests of the examples share: a copy of an example, and the environment in which its commands run."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from meshlab.certificates import private_pem

from tests.docs.pages import ROOT

if TYPE_CHECKING:
    from collections.abc import Callable

    from meshlab.lab.stack import Lab

EXAMPLES = ROOT / "examples"
NAMES = sorted(path.parent.name for path in EXAMPLES.glob("*/README.md"))
"""The examples that have commands of their own. Those of event-shapes are on a page of docs/."""


@pytest.fixture
def copied(tmp_path: Path) -> Callable[[str], Path]:
    """Copy an example into a checkout in which its commands may leave files."""

    def copy(name: str) -> Path:
        (tmp_path / "examples").mkdir(exist_ok=True)
        for entry in EXAMPLES.iterdir():
            if entry.is_file():
                shutil.copy(entry, tmp_path / "examples")
        ignored = shutil.ignore_patterns("__pycache__", "user_profile_client", "out")
        return Path(shutil.copytree(EXAMPLES / name, tmp_path / "examples" / name, ignore=ignored))

    return copy


@pytest.fixture(scope="session")
def environment(lab: Lab, commands: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The environment of a reader's terminal, with the variables of `meshlab run`.

    The key lies in a file here: each program would load Google's client to read it from the lab's Secret Manager.
    """
    key = tmp_path_factory.mktemp("key") / "signing.pem"
    key.write_bytes(private_pem(lab.mesh.key.private))
    key.chmod(0o600)
    kept = {name: os.environ[name] for name in ("HOME", "LANG", "TMPDIR") if name in os.environ}
    of_the_lab = {name: value for name, value in lab.environment.items() if name != "SIGNING_KEY_SECRET_ID"}
    return {
        **kept,
        **of_the_lab,
        "SIGNING_KEY_FILE": str(key),
        "PATH": os.pathsep.join([str(commands), str(Path(sys.executable).parent), os.environ["PATH"]]),
        "PYTHONDONTWRITEBYTECODE": "1",
        "PROFILE_TIMEOUT_S": "60",  # no test depends on the speed of the machine
        # pytest loads every plugin of this environment otherwise; that of an example has two.
        "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
        "PYTEST_PLUGINS": "meshpass.testing.pytest_plugin",
        "PYTEST_ADDOPTS": "-p no:cacheprovider",
    }
