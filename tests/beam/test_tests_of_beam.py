"""The tests of beam/, in the environment that beam/uv.lock describes.

Beam and the function resolve protobuf differently, so beam/ has an environment and a test run of its own. It is one
test here, beside the other processes of this run; `make test-beam` runs it alone.
"""

import os
import re
import subprocess
from pathlib import Path

BEAM = Path(__file__).parents[2] / "beam"


def test_the_tests_of_beam_pass() -> None:
    python = BEAM / ".venv" / "bin" / "python"
    assert python.exists(), "beam/.venv is missing: `make test` and `make test-beam` make it"
    keep = {name: value for name, value in os.environ.items() if not name.startswith(("PYTEST_", "COV_"))}
    run = subprocess.run(
        [python, "-m", "pytest", "-q", "-p", "no:cacheprovider"],
        cwd=BEAM,
        env=keep,
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stdout[-20_000:] + run.stderr[-5_000:]
    passed = re.search(r"(\d+) passed", run.stdout)
    assert passed is not None
    assert int(passed[1]) > 0
