"""What pytest was asked for: case files, manifests and values, of the command line or of a configuration file."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from meshlab.bench.case_file.collect import case_paths
from meshlab.bench.protocol import Sources
from meshlab.env_file import merge_env_files
from meshlab.errors import LabError
from meshlab.quick_dataclass import dataclass
from meshlab.visible_text import visible

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

__all__ = ["Asked", "add_case_files", "read_asked", "shown"]

_STDIN = "-"


@dataclass(frozen=True)
class Asked:
    """What the options and settings name.

    Attributes:
        files: The case files, absolute, by the path of the option that names them.
        from_command_line: Whether the command line names the case files.
        sources: The manifests.
        variables: Values for `${NAME}` in case files.
        allow_not_judged: Whether cases that are not judged are skipped.
        coverage: Whether it is recorded what the cases exercise.
        coverage_min: The percentage that they must exercise; `None` for any.
    """

    files: Mapping[Path, tuple[Path, ...]]
    from_command_line: bool
    sources: Sources
    variables: Mapping[str, str]
    allow_not_judged: bool
    coverage: bool
    coverage_min: float | None


def read_asked(config: pytest.Config) -> Asked:
    """Return what pytest was asked for.

    Raises:
        pytest.UsageError: A file is missing or wrong, or no manifests are named.
    """
    manifests = _paths(config, "meshlab_manifests", "meshlab_manifests")
    if not manifests:
        raise pytest.UsageError(
            "case files of meshlab need the manifests of a mesh; name them with --meshlab-manifests PATH, or as"
            " meshlab_manifests in the configuration file"
        )
    if Path(_STDIN) in manifests:
        raise pytest.UsageError(
            "--meshlab-manifests -: pytest has no standard input for manifests; name files"
        )
    named = _paths(config, "meshlab", "meshlab_cases")
    mesh_config = _paths(config, "meshlab_mesh_config", "meshlab_mesh_config")
    sources = Sources(
        tuple(map(str, manifests)),
        config.getoption("meshlab_namespace") or config.getini("meshlab_namespace"),
        mesh_config[-1] if mesh_config else None,
    )
    try:
        files = {_absolute(config, path): _files(config, path) for path in named}
        variables = merge_env_files(_paths(config, "meshlab_env_file", "meshlab_env_files"))
    except LabError as error:
        raise pytest.UsageError(visible(str(error))) from error
    least = _coverage_min(config)
    return Asked(
        files=files,
        from_command_line=bool(config.getoption("meshlab")),
        sources=sources,
        variables=variables,
        allow_not_judged=bool(
            config.getoption("meshlab_allow_not_judged") or config.getini("meshlab_allow_not_judged")
        ),
        coverage=bool(
            least is not None or config.getoption("meshlab_coverage") or config.getini("meshlab_coverage")
        ),
        coverage_min=least,
    )


def _coverage_min(config: pytest.Config) -> float | None:
    given = config.getoption("meshlab_coverage_min")
    written = config.getini("meshlab_coverage_min") if given is None else given
    if written == "":
        return None
    try:
        least = float(written)
    except ValueError:
        least = -1
    if not 0 <= least <= 100:
        raise pytest.UsageError(
            f"the least coverage of meshlab is {visible(str(written))!r}; write a percentage from 0 to 100"
        )
    return least


def add_case_files(config: pytest.Config, asked: Asked) -> None:
    """Let pytest collect the case files.

    `--meshlab PATH` is as good as an argument. Case files of the configuration file are as `testpaths`: they are
    collected where the command line names nothing to collect. A case that is named by its node id is run alone.
    """
    given = config.args if config.args_source is pytest.Config.ArgsSource.ARGS else []
    if given and not asked.from_command_line:
        return
    chosen = [_absolute(config, Path(argument.partition("::")[0])) for argument in given]
    added = [
        str(file)
        for named, files in asked.files.items()
        if not any(path.is_relative_to(named) for path in chosen)
        for file in files
    ]
    config.args = [*(given if asked.from_command_line else config.args), *added]


def shown(path: Path) -> Path:
    """Return a path as messages show it: relative where it lies below the working directory."""
    here = Path.cwd()
    return path.relative_to(here) if path.is_relative_to(here) else path


def _paths(config: pytest.Config, option: str, setting: str) -> list[Path]:
    """Return the paths of an option, else those of a setting, each once.

    A process of pytest-xdist gets the options of its parent, and then reads the same command line once more.
    """
    written: str | Iterable[str] = config.getoption(option) or ()
    named = [written] if isinstance(written, str) else written
    found = list(map(Path, named)) or [shown(path) for path in config.getini(setting)]
    return list(dict.fromkeys(found))


def _files(config: pytest.Config, path: Path) -> tuple[Path, ...]:
    return tuple(_absolute(config, file) for file in case_paths([path]))


def _absolute(config: pytest.Config, path: Path) -> Path:
    # As pytest does it: normalized, and symbolic links kept.
    return Path(os.path.abspath(config.invocation_params.dir / path))  # noqa: PTH100 - resolve() follows links
