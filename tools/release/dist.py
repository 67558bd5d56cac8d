"""``make dist``: everything that a release consists of, built and checked, in ``dist/``."""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING

from deploy.steps import RefusalError, run_script
from deploy.steps.package import bundle, sbom
from tools import ROOT
from tools.release import artefacts, bill, changelog, contents, installed, version
from tools.release.packages import PUBLISHED

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tools.release.artefacts import Built

SUMS = "SHA256SUMS"
_ZIP_TIME = (1980, 1, 1, 0, 0, 0)


def make(into: Path) -> list[Built]:
    """Build all artefacts of a release and describe them, replacing those of an earlier run.

    Returns:
        The packages for the index. Beside them lie the function's bundle, the bills of materials and ``SHA256SUMS``.

    Raises:
        RefusalError: versions or changelog disagree, a build failed, or the folder holds something else.
    """
    text = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    refuse(version.differences() + changelog.problems(text, version.current()))
    _clear(into)
    built = [artefacts.build(package, into) for package in PUBLISHED]
    for one in built:
        name = f"{one.package.file_stem}-{version.current()}.cdx.json"
        (into / name).write_text(bill.text(bill.make(one)), encoding="utf-8")
    make_bundle(into)
    sums = [f"{artefacts.digest(file)}  {file.name}\n" for file in sorted(into.iterdir())]
    (into / SUMS).write_text("".join(sums), encoding="utf-8")
    return built


def make_bundle(into: Path) -> Path:
    """Write the function's bundle, which is the folder of ``deploy/package`` as one file, and its bill of materials."""
    stem = f"meshpass-function-{version.current()}"
    target = into / f"{stem}.zip"
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch) / "function"
        bundle.make(folder)
        refuse(bundle.problems(folder))
        with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
            for file in bundle.files(folder):
                entry = zipfile.ZipInfo(file.relative_to(folder).as_posix(), _ZIP_TIME)
                entry.external_attr = 0o644 << 16
                entry.compress_type = zipfile.ZIP_DEFLATED
                archive.writestr(entry, file.read_bytes())
            archive.writestr(zipfile.ZipInfo("LICENSE", _ZIP_TIME), (ROOT / "LICENSE").read_bytes())
        (into / f"{stem}.cdx.json").write_text(bill.text(sbom.make(folder)), encoding="utf-8")
    return target


def check(built: Sequence[Built], dist: Path) -> list[str]:
    """Return what is wrong with the artefacts: contents, metadata, bytes of a second build, use after installation."""
    found = [problem for one in built for problem in contents.problems(one)]
    found += twine_problems([file for one in built for file in (one.wheel, one.sdist)])
    found += [problem for one in built for problem in artefacts.differences(one)]
    found += [problem for one in built for problem in installed.problems(one, dist)]
    return found


def twine_problems(files: Sequence[Path]) -> list[str]:
    """Return what ``twine check --strict`` finds."""
    done = subprocess.run(  # noqa: S603
        [sys.executable, "-m", "twine", "--no-color", "check", "--strict", *map(str, files)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    return (
        [] if done.returncode == 0 else [f"twine check --strict:\n{done.stdout.strip()}{done.stderr.strip()}"]
    )


def refuse(problems: Sequence[str]) -> None:
    """Raise RefusalError with all problems, if there are any."""
    if problems:
        raise RefusalError("; ".join(problems) if len(problems) == 1 else "\n  ".join(["", *problems]))


def _clear(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    found = list(folder.iterdir())
    if found and SUMS not in [file.name for file in found]:
        raise RefusalError(
            f"{folder} has files that are not of `make dist`; remove it or name another --output"
        )
    for file in found:
        file.unlink()


def main(arguments: Sequence[str]) -> None:
    """Build and check a release; see ``--help``."""
    parser = argparse.ArgumentParser(
        prog="make dist",
        description="Builds the wheels and source distributions that are published, the function's bundle, a bill of "
        "materials for each and SHA256SUMS. Then checks contents and metadata, builds again to compare the bytes, "
        "and uses each wheel in an environment of its own.",
    )
    parser.add_argument("--output", type=Path, default=ROOT / "dist", help="folder to write (default: dist)")
    options = parser.parse_args(arguments)
    output = options.output.resolve()
    refuse(check(make(output), output))
    for file in sorted(output.iterdir()):
        sys.stdout.write(f"{file.stat().st_size:>10}  {file.name}\n")


if __name__ == "__main__":
    sys.exit(run_script("make dist", main))
