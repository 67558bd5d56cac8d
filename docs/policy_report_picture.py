"""Take `docs/images/policy-report.png`: the report of a run in which a policy lets in too much.

Run it from the top of a checkout after the look of a report has changed: `python docs/policy_report_picture.py`. It
needs Chromium.
"""

from __future__ import annotations

import io
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from PIL import Image

PICTURE = Path("docs/images/policy-report.png")
PAGE = Path("docs/policy-testing.md")
WIDTH, HEIGHT, SCALE = 1360, 980, 2
COLOURS = 192
"""As many as a picture of a page needs; fewer make a smaller file."""


def main() -> None:
    """Run the page's own example with its policy widened, and take a picture of the report."""
    program = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if program is None:
        sys.exit("Chromium is needed: apt-get install chromium")
    with tempfile.TemporaryDirectory() as directory:
        _write_example(Path(directory))
        meshlab = Path(sys.executable).parent / "meshlab"
        command = [str(meshlab), "test", "-f", "mesh", "cases/shop.yaml", "--html", "report.html"]
        subprocess.run(command, cwd=directory, check=False, stdout=subprocess.DEVNULL)  # noqa: S603 - our own
        taken = Path(directory) / "taken.png"
        _take(program, Path(directory) / "report.html", taken)
        smaller = (
            Image.open(io.BytesIO(taken.read_bytes()))
            .convert("RGB")
            .quantize(COLOURS, dither=Image.Dither.NONE)
        )
        smaller.save(PICTURE, optimize=True)


def _write_example(directory: Path) -> None:
    files = re.findall(r"cat > (\S+) <<'END'\n(.*?)^END$", PAGE.read_text(), re.DOTALL | re.MULTILINE)
    for name, text in files:
        path = directory / name
        path.parent.mkdir(exist_ok=True)
        widened = text.replace('customers.example/*"', 'customers.example/*", "https://partners.example/*"')
        path.write_text(widened)


def _take(program: str, page: Path, picture: Path) -> None:
    """Take a picture of a page with its first failed case opened."""
    failed = re.search(r'class="cell failed" data-entry="(\d+)"', page.read_text())
    anchor = f"#e{failed[1]}" if failed else ""
    flags = ["--headless=new", "--disable-gpu", "--hide-scrollbars", f"--user-data-dir={page.parent}/profile"]
    flags += ["--no-sandbox"] if os.geteuid() == 0 else []
    size = [f"--window-size={WIDTH},{HEIGHT}", f"--force-device-scale-factor={SCALE}"]
    command = [program, *flags, *size, f"--screenshot={picture}", f"file://{page}{anchor}"]
    subprocess.run(command, check=True, capture_output=True, timeout=60)  # noqa: S603 - our own page


if __name__ == "__main__":
    main()
