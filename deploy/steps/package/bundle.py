"""``deploy/package``: the folder that gcloud uploads, made from the sources and nothing else.

Beside the folder ``X`` lies ``X.inputs``: the digest of the package and the sources it was made from, with their
hashes, by which ``deploy/deploy`` recognises a package that is stale or was changed.
"""

from __future__ import annotations

import argparse
import hashlib
import re
import shlex
import shutil
import sys
import tempfile
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING

from .. import ROOT, RefusalError, relative, uv
from ..arguments import folder_to_make
from . import check
from .runtime import PLATFORM, PYTHON

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

# Packages of this project that the function imports: each goes along as a wheel.
_OWN = {"meshpass": ROOT / "sdk", "meshcontract": ROOT / "infra" / "contract"}

_DATA_SUFFIXES = {".py", ".json", ".sql", ".toml", ".avsc"}

_GCLOUDIGNORE = """\
# Without this file gcloud would write its own into the package.
.gcloudignore
__pycache__/
"""

_PACKAGE_LINE = "# package "

_HEADER = """\
# Made by deploy/package from uv.lock: the function's closed set of packages, each with its hashes.
# pip accepts nothing else once it sees a hash, and the builder adds no functions-framework of its own
# because one is named here.
"""


def make(target: Path) -> None:
    """Write the package, replacing what was there.

    Args:
        target: the folder to make.

    Raises:
        RefusalError: uv is missing or failed, a source file is of a kind that does not belong into the
            package, or ``target`` is a folder that this function did not make.
    """
    inputs_file = _inputs_file(target)
    if target.exists() and not inputs_file.exists():
        raise RefusalError(
            f"{relative(target)} exists and was not made by deploy/package; "
            "remove it or name another --output"
        )
    sources = _function_files()
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=f".{target.name}-") as scratch:
        made = Path(scratch) / "package"
        made.mkdir()
        inputs = _inputs_text()
        for source in sources:
            _write(made / source.relative_to(ROOT / "function"), source.read_bytes())
        wheels = [_build_wheel(name, made) for name in _OWN]
        _write(made / "requirements.txt", _requirements(wheels).encode())
        _write(made / ".gcloudignore", _GCLOUDIGNORE.encode())
        # Before the folder: if this is stopped between the two, the next run still knows the folder as its own.
        inputs_file.write_text(f"{_PACKAGE_LINE}{digest(made)}\n{inputs}", encoding="utf-8")
        if target.exists():
            shutil.rmtree(target)
        made.rename(target)


def files(folder: Path) -> list[Path]:
    """Return the package's files, in a fixed order."""
    return sorted(path for path in folder.rglob("*") if path.is_file())


def digest(folder: Path) -> str:
    """Return one hexadecimal SHA-256 over every file's name and content."""
    lines = (f"{_sha256(path)}  {path.relative_to(folder).as_posix()}\n" for path in files(folder))
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def changes_since_packaged(folder: Path) -> list[str]:
    """Return the sources that differ from those the package was made from; empty for a fresh package."""
    inputs_file = _inputs_file(folder)
    if not inputs_file.exists():
        return [f"{relative(inputs_file)} (missing)"]
    lines = inputs_file.read_text(encoding="utf-8").splitlines()
    then = {line for line in lines if not line.startswith("#")}
    now = set(_inputs_text().splitlines())
    return sorted({line.partition("  ")[2] for line in then ^ now})


def problems(folder: Path) -> list[str]:
    """Return why a package must not be deployed, one sentence for each reason; empty for a good one."""
    if not folder.is_dir():
        return [f"there is no package in {relative(folder)}; run deploy/package"]
    if changed := changes_since_packaged(folder):
        return [f"the package is older than {', '.join(changed)}; run deploy/package"]
    made = _inputs_file(folder).read_text(encoding="utf-8").partition("\n")[0]
    if made != f"{_PACKAGE_LINE}{digest(folder)}":
        return [f"{relative(folder)} was changed after it was made; run deploy/package"]
    return check.problems(folder, files(folder))


def without_a_wheel(folder: Path) -> list[str]:
    """Return the requirements that have no wheel for the runtime: the builder would have to compile them.

    Asks the package index, as the builder will.
    """
    with tempfile.TemporaryDirectory() as scratch:
        done = uv.attempt(
            "pip", "install", "--quiet", "--dry-run", f"--target={scratch}", f"--python-version={PYTHON}",
            f"--python-platform={PLATFORM}", "--only-binary=:all:", "--require-hashes",
            "--requirements=requirements.txt", cwd=folder,
        )  # fmt: skip
    if done.returncode == 0:
        return []
    return [f"not every requirement can be installed on Python {PYTHON} ({PLATFORM}):\n{done.stderr.strip()}"]


def _inputs_file(folder: Path) -> Path:
    return folder.with_name(folder.name + ".inputs")


def _inputs_text() -> str:
    paths: list[Path] = [
        *_function_files(),
        *(path for folder in _OWN.values() for path in _sources_under(folder / "src")),
        *(folder / "pyproject.toml" for folder in _OWN.values()),
        ROOT / "function" / "pyproject.toml",
        ROOT / "uv.lock",
        ROOT / "deploy" / "build-constraints.txt",
        Path(__file__),
        Path(uv.__file__),
    ]
    return "".join(f"{_sha256(path)}  {path.relative_to(ROOT).as_posix()}\n" for path in sorted(paths))


def _function_files() -> list[Path]:
    function = ROOT / "function"
    chosen = [function / "main.py", *_sources_under(function / "enrichment")]
    chosen += [path for path in function.glob("*.toml") if path.name != "pyproject.toml"]
    # What pipeline.toml names beside it: schemas of tables and of Avro. The schema of the file itself is for editors.
    chosen += [path for path in function.glob("*.json") if path.name != "pipeline.schema.json"]
    chosen += function.glob("*.avsc")
    for path in chosen:
        if path.suffix not in _DATA_SUFFIXES:
            raise RefusalError(
                f"{relative(path)} is neither code nor data of a known kind "
                f"({', '.join(sorted(_DATA_SUFFIXES))}); move it out of the function, "
                "or teach deploy/steps/package/bundle.py its suffix"
            )
    return sorted(chosen)


def _sources_under(folder: Path) -> Iterable[Path]:
    return (path for path in folder.rglob("*") if path.is_file() and "__pycache__" not in path.parts)


def _requirements(wheels: Iterable[Path]) -> str:
    exported = uv.run(
        "export", "--frozen", "--package=meshpass-function", "--no-dev", "--no-emit-workspace", "--no-header",
        "--format=requirements.txt", *_extras(ROOT / "function"),
    )  # fmt: skip
    lock = (ROOT / "uv.lock").read_text(encoding="utf-8")
    extras = [extra.removeprefix("--extra=") for extra in _extras(ROOT / "function")]
    listed = name_extras(exported, extras_below(lock, "meshpass-function", extras))
    own = "".join(f"./{wheel.name} \\\n    --hash=sha256:{_sha256(wheel)}\n" for wheel in wheels)
    return f"{_HEADER}{own}{listed}"


def name_extras(requirements: str, wanted: Mapping[str, set[str]]) -> str:
    """Return the requirements, and each a second time with the extras that other packages ask for.

    uv leaves the extras out, because what they need is listed as well. An older pip, such as the 23.2.1 of Python 3.11
    and 3.12, takes ``google-auth[pyopenssl]`` for a requirement beside ``google-auth==2.62.2``: it looks for the newest
    version, and refuses that as not pinned. It needs both lines.

    Args:
        requirements: what ``uv export`` printed.
        wanted: the extras of each package.
    """

    def twice(match: re.Match[str]) -> str:
        extras = wanted.get(match["name"])
        return f"{match[0]}{match['name']}[{','.join(sorted(extras))}]{match['rest']}" if extras else match[0]

    entry = r"^(?P<name>[a-z0-9-]+)(?P<rest>==.*\n(?:[ ]+--hash=.*\n)+)"
    return re.sub(entry, twice, requirements, flags=re.MULTILINE)


def extras_below(lock: str, root: str, extras: Iterable[str] = ()) -> Mapping[str, set[str]]:
    """Return the extras that a package and all that it needs ask for, by the name of the package that has them.

    Args:
        lock: the text of ``uv.lock``.
        root: the package.
        extras: extras of the package itself.
    """
    packages = {package["name"]: package for package in tomllib.loads(lock)["package"]}
    found: dict[str, set[str]] = {}
    seen: set[tuple[str, str]] = set()
    waiting = [(root, ""), *((root, extra) for extra in extras)]
    while waiting:
        name, extra = waiting.pop()
        if (name, extra) in seen or name not in packages:
            continue
        seen.add((name, extra))
        package = packages[name]
        needs = (
            package.get("optional-dependencies", {}).get(extra, [])
            if extra
            else package.get("dependencies", [])
        )
        for need in needs:
            asked = need.get("extra", [])
            found.setdefault(need["name"], set()).update(asked)
            waiting += [(need["name"], ""), *((need["name"], one) for one in asked)]
    return found


def _extras(function: Path) -> list[str]:
    """Return the extras that the function needs: the package of Avro goes along only where the format is Avro."""
    for path in sorted(function.glob("*.toml")):
        if path.name == "pyproject.toml":
            continue
        try:
            event = tomllib.loads(path.read_text(encoding="utf-8")).get("event")
        except ValueError as error:
            raise RefusalError(f"{relative(path)} is not TOML in UTF-8: {error}") from None
        if isinstance(event, dict) and event.get("format") == "avro":
            return ["--extra=avro", "--extra=function"]
    return ["--extra=function"]


def _build_wheel(package: str, into: Path) -> Path:
    constraints = ROOT / "deploy" / "build-constraints.txt"
    with tempfile.TemporaryDirectory() as scratch:
        uv.run(
            "build", "--wheel", f"--package={package}", f"--out-dir={scratch}",
            f"--build-constraints={constraints}", "--require-hashes",
        )  # fmt: skip
        (built,) = Path(scratch).glob("*.whl")
        _write(into / built.name, built.read_bytes())
    return into / built.name


def _write(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    path.chmod(0o644)  # gcloud uploads modes too: the same whatever umask made the package


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def main(arguments: Sequence[str]) -> None:
    """Make the package and print what is in it, or check one; see ``--help``."""
    parser = argparse.ArgumentParser(
        prog="deploy/package",
        description="Makes the folder that is uploaded: the function, its packages as wheels, and "
        "requirements.txt with a hash for every package. The same sources give the same bytes.",
        epilog="--check makes nothing. It verifies a package that exists: "
        f"{'; '.join([*check.OFFLINE, check.WITH_INDEX])}.",
    )
    parser.add_argument(
        "--output",
        type=folder_to_make,
        default=ROOT / "build" / "function",
        help="folder to make or to check (default: %(default)s)",
    )
    parser.add_argument(
        "--check",
        action="store_true",
        help="verify the package that exists; non-zero exit if it must not be deployed",
    )
    parser.add_argument(
        "--no-index", action="store_true", help="with --check: ask no package index for the runtime's wheels"
    )
    options = parser.parse_args(arguments)
    target = options.output
    if options.check:
        if found := problems(target) or ([] if options.no_index else without_a_wheel(target)):
            raise RefusalError("\n  ".join([f"{relative(target)} must not be deployed:", *found]))
        checked = [*check.OFFLINE, *([] if options.no_index else [check.WITH_INDEX])]
        lines = [
            f"{relative(target)} is good: package {digest(target)[:12]}",
            *(f"  {what}" for what in checked),
        ]
        sys.stdout.write("\n".join(lines) + "\n")
        return
    make(target)

    made = files(target)
    sizes = [(path.relative_to(target).as_posix(), path.stat().st_size) for path in made]
    sys.stdout.write("".join(f"{size:>9,} B  {relative(target)}/{name}\n" for name, size in sizes))
    sys.stdout.write(
        f"{sum(size for _, size in sizes):>9,} B  in {len(made)} files, package {digest(target)[:12]}\n"
    )
    flag = "" if target.resolve() == ROOT / "build" / "function" else f" {shlex.quote(f'--source={target}')}"
    sys.stdout.write(f"next: deploy/deploy --dry-run{flag}\n")
