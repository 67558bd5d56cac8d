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
from . import check, kinds
from .kinds import FUNCTION, KINDS, Kind
from .runtime import PLATFORM

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

_DATA_SUFFIXES = {".py", ".json", ".sql", ".toml", ".avsc"}

_IGNORE = {
    ".gcloudignore": """\
# Without this file gcloud would write its own into the package.
.gcloudignore
__pycache__/
""",
    ".dockerignore": """\
# What the build of the image does not need.
.dockerignore
__pycache__/
""",
}

_PACKAGE_LINE = "# package "
_KIND_LINE = "# for "

_HEADER = """\
# Made by deploy/package from uv.lock: the closed set of packages of {title}, each with its hashes.
# pip accepts nothing else once it sees a hash{more}.
"""
_NO_OTHER_FRAMEWORK = ", and the builder adds no functions-framework of its own\n# because one is named here"


def make(target: Path, kind: Kind = FUNCTION) -> None:
    """Write the package, replacing what was there.

    Args:
        target: the folder to make.
        kind: what it is made for.

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
    for _, source in kind.files:
        if not source.is_file():
            raise RefusalError(f"{relative(source)} is missing; it goes into the package of {kind.title}")
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=f".{target.name}-") as scratch:
        made = Path(scratch) / "package"
        made.mkdir()
        inputs = _inputs_text(kind)
        for name, source in _files_of(kind).items():
            _write(made / name, source.read_bytes())
        wheels = [_build_wheel(folder, made) for _, folder in kind.wheels]
        _write(made / "requirements.txt", _requirements(kind, wheels).encode())
        _write(made / kind.ignore, _IGNORE[kind.ignore].encode())
        # Before the folder: if this is stopped between the two, the next run still knows the folder as its own.
        head = f"{_PACKAGE_LINE}{digest(made)}\n{_KIND_LINE}{kind.name}\n"
        inputs_file.write_text(f"{head}{inputs}", encoding="utf-8")
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
    now = set(_inputs_text(kind_of(folder)).splitlines())
    return sorted({line.partition("  ")[2] for line in then ^ now})


def kind_of(folder: Path) -> Kind:
    """Return what a package was made for; the function, where its list of inputs does not say."""
    inputs_file = _inputs_file(folder)
    lines = inputs_file.read_text(encoding="utf-8").splitlines() if inputs_file.exists() else []
    named = next((line.removeprefix(_KIND_LINE) for line in lines if line.startswith(_KIND_LINE)), "")
    return KINDS.get(named, FUNCTION)


def problems(folder: Path, kind: Kind = FUNCTION) -> list[str]:
    """Return why a package must not be deployed, one sentence for each reason; empty for a good one.

    Args:
        folder: the package.
        kind: what it must have been made for.
    """
    again = "run deploy/package" if kind is FUNCTION else f"run deploy/package --for {kind.name}"
    if not folder.is_dir():
        return [f"there is no package in {relative(folder)}; {again}"]
    if changed := changes_since_packaged(folder):
        return [f"the package is older than {', '.join(changed)}; {again}"]
    if (found := kind_of(folder)) is not kind:
        return [f"the package in {relative(folder)} is one of {found.title}, not of {kind.title}; {again}"]
    made = _inputs_file(folder).read_text(encoding="utf-8").partition("\n")[0]
    if made != f"{_PACKAGE_LINE}{digest(folder)}":
        return [f"{relative(folder)} was changed after it was made; {again}"]
    return check.problems(folder, files(folder), kind)


def without_a_wheel(folder: Path) -> list[str]:
    """Return the requirements that have no wheel for the runtime: the builder would have to compile them.

    Asks the package index, as the builder will.
    """
    python = kind_of(folder).python
    with tempfile.TemporaryDirectory() as scratch:
        done = uv.attempt(
            "pip", "install", "--quiet", "--dry-run", f"--target={scratch}", f"--project={scratch}",
            f"--python-version={python}",
            f"--python-platform={PLATFORM}", "--only-binary=:all:", "--require-hashes",
            "--requirements=requirements.txt", cwd=folder,
        )  # fmt: skip
    if done.returncode == 0:
        return []
    return [f"not every requirement can be installed on Python {python} ({PLATFORM}):\n{done.stderr.strip()}"]


def _inputs_file(folder: Path) -> Path:
    return folder.with_name(folder.name + ".inputs")


def _inputs_text(kind: Kind) -> str:
    folders = [folder for _, folder in kind.wheels if folder != ROOT / "function"]
    paths: set[Path] = {
        *_function_files(),
        *(path for _, path in kind.files),
        *(path for folder in folders for path in _sources_under(folder / "src")),
        # README and LICENSE are in the metadata of a wheel.
        *(folder / name for folder in folders for name in ("pyproject.toml", "README.md", "LICENSE")),
        ROOT / "function" / "pyproject.toml",
        kind.lock / "uv.lock",
        ROOT / "deploy" / "build-constraints.txt",
        Path(__file__),
        Path(kinds.__file__),
        Path(uv.__file__),
    }
    return "".join(f"{_sha256(path)}  {path.relative_to(ROOT).as_posix()}\n" for path in sorted(paths))


def _files_of(kind: Kind) -> dict[str, Path]:
    """Return the files of a package by their names in it, but for those that are made."""
    function = ROOT / "function"
    found = dict(kind.files)
    for path in _function_files():
        name = path.relative_to(function).as_posix()
        if name.startswith("enrichment/"):
            if kind.sources is not None:
                found[f"{kind.sources}{name}"] = path
        elif name != "main.py":
            found[f"{kind.pipeline}{name}"] = path
    return found


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


def _requirements(kind: Kind, wheels: Iterable[Path]) -> str:
    chosen = _extras(ROOT / "function", kind)
    own_packages = [f"--no-emit-package={name}" for name, _ in kind.wheels]
    exported = uv.run(
        "export", f"--project={kind.lock}", "--frozen", f"--package={kind.package}", "--no-dev", "--no-emit-workspace",
        *own_packages, "--no-header", "--format=requirements.txt", *chosen,
    )  # fmt: skip
    lock = (kind.lock / "uv.lock").read_text(encoding="utf-8")
    extras = [extra.removeprefix("--extra=") for extra in chosen]
    listed = name_extras(exported, extras_below(lock, kind.package, extras))
    header = _HEADER.format(title=kind.title, more=_NO_OTHER_FRAMEWORK if kind is FUNCTION else "")
    own = "".join(f"./{wheel.name} \\\n    --hash=sha256:{_sha256(wheel)}\n" for wheel in wheels)
    return f"{header}{own}{listed}"


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


def _extras(function: Path, kind: Kind = FUNCTION) -> list[str]:
    """Return the extras that a kind needs: the package of Avro goes along only where the format is Avro."""
    own = [f"--extra={extra}" for extra in kind.extras]
    for path in sorted(function.glob("*.toml")):
        if path.name == "pyproject.toml":
            continue
        try:
            event = tomllib.loads(path.read_text(encoding="utf-8")).get("event")
        except ValueError as error:
            raise RefusalError(f"{relative(path)} is not TOML in UTF-8: {error}") from None
        # Beam needs the package itself, so it is in that lock for every pipeline.
        if isinstance(event, dict) and event.get("format") == "avro" and kind.package == FUNCTION.package:
            return ["--extra=avro", *own]
    return own


def _build_wheel(folder: Path, into: Path) -> Path:
    constraints = ROOT / "deploy" / "build-constraints.txt"
    with tempfile.TemporaryDirectory() as scratch:
        uv.run(
            "build", str(folder), "--wheel", f"--out-dir={scratch}",
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
        "requirements.txt with a hash for every package. The same sources give the same bytes. With --for, the folder "
        "of an image's build in place of the function's.",
        epilog="--check makes nothing. It verifies a package that exists: "
        f"{'; '.join([*check.OFFLINE, check.WITH_INDEX])}.",
    )
    parser.add_argument(
        "--for",
        dest="kind",
        choices=KINDS,
        default=FUNCTION.name,
        help="what the package is made for; serve and work: docs/run-elsewhere.md, dataflow: docs/dataflow.md "
        "(default: %(default)s)",
    )
    parser.add_argument(
        "--output",
        type=folder_to_make,
        help="folder to make or to check (default: build/ and what it is made for)",
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
    kind = KINDS[options.kind]
    usual = ROOT / "build" / kind.name
    target = options.output or usual
    if options.check:
        if found := problems(target, kind) or ([] if options.no_index else without_a_wheel(target)):
            raise RefusalError("\n  ".join([f"{relative(target)} must not be deployed:", *found]))
        offline = (
            check.OFFLINE
            if kind is FUNCTION
            else [one for one in check.OFFLINE if "Cloud Functions" not in one]
        )
        checked = [*offline, *([] if options.no_index else [check.WITH_INDEX])]
        lines = [
            f"{relative(target)} is good: package {digest(target)[:12]}",
            *(f"  {what}" for what in checked),
        ]
        sys.stdout.write("\n".join(lines) + "\n")
        return
    make(target, kind)

    made = files(target)
    sizes = [(path.relative_to(target).as_posix(), path.stat().st_size) for path in made]
    sys.stdout.write("".join(f"{size:>9,} B  {relative(target)}/{name}\n" for name, size in sizes))
    sys.stdout.write(
        f"{sum(size for _, size in sizes):>9,} B  in {len(made)} files, package {digest(target)[:12]}\n"
    )
    takes_source = kind.next.startswith("deploy/") and target.resolve() != usual
    flag = f" {shlex.quote(f'--source={target}')}" if takes_source else ""
    sys.stdout.write(f"next: {kind.next}{flag}\n")
