"""`make demo-scale` in small: what Beam writes of the same messages is what the function writes."""

import subprocess
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_rows_and_dead_letters_of_beam_equal_those_of_the_function() -> None:
    done = subprocess.run(
        [ROOT / ".venv/bin/python", ROOT / "beam/demo/scale.py", "--events=300", "--workers=1"],
        capture_output=True,
        text=True,
        check=False,
        timeout=180,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("yes  ") == 4
    assert "NO" not in done.stdout
