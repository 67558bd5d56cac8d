"""`meshlab render`: the Envoy configuration that proxies get."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from meshlab.cli._errors import explain, reported
from meshlab.cli._open import open_bench
from meshlab.cli._options import Files, MeshConfigFile, Namespace, sources
from meshlab.cli._output import say
from meshlab.errors import LabError
from meshlab.visible_text import json_text

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from meshlab.bench.protocol import Bench, LoadedMesh, Sources

__all__ = ["render"]


def render(
    files: Files,
    workload: Annotated[
        str, typer.Option(metavar="NS/NAME", help="The workload whose proxy is shown.", show_default=False)
    ] = "",
    every: Annotated[bool, typer.Option("--all", help="Every proxy; needs --out or --diff.")] = False,
    out: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Write NAMESPACE.NAME.json files here.", show_default=False),
    ] = None,
    diff: Annotated[
        list[str] | None,
        typer.Option(
            metavar="PATH",
            help="Show what changed since these manifests, proxy by proxy. May be repeated.",
            show_default=False,
        ),
    ] = None,
    namespace: Namespace = "default",
    mesh_config: MeshConfigFile = None,
) -> None:
    """Print the Envoy configuration that a proxy gets, as sorted JSON.

    \b
      meshlab render -f manifests/ --workload shop/cart
      meshlab render -f manifests/ --all --out rendered/
      meshlab render -f manifests/ --diff manifests-of-main/

    Addresses are examples. Certificates and keys are named, not shown. With --diff the exit code is 1 where something
    differs.
    """  # noqa: D301 - typer's mark for lines to keep
    with reported(), open_bench() as bench:
        given = sources(files, namespace, mesh_config)
        if diff:
            differs = _diff(bench, given, sources(diff, namespace, mesh_config), workload)
            raise typer.Exit(1 if differs else 0)
        if bool(workload) == every:
            raise LabError("name one proxy with --workload NAMESPACE/NAME, or all with --all --out DIR")
        if every and out is None:
            raise LabError("--all needs --out DIR to write to")
        mesh = _load(bench, given)
        rendered = _rendered(mesh, [workload] if workload else [])
        if out is None:
            for text in rendered.values():
                say(text, nl=False, keep_tokens=True)
            return
        _write(out, rendered)


def _load(bench: "Bench", given: "Sources") -> "LoadedMesh":
    mesh = bench.load(given)
    for refusal in mesh.refusals:
        explain(f"not compiled: {refusal}")
    return mesh


def _rendered(mesh: "LoadedMesh", only: "Sequence[str]") -> dict[str, str]:
    """Return the configurations as text, by workload; those of all proxies where none is named."""
    from meshlab.istio.read.workload_ref import WorkloadRef

    try:
        refs = [WorkloadRef.parse(name) for name in only] or list(mesh.proxies)
    except ValueError as error:
        raise LabError(str(error)) from None
    return {str(ref): _text(mesh.render(ref)) for ref in refs}


def _text(config: "Mapping[str, object]") -> str:
    return json_text(config, sort_keys=True, keep_tokens=True) + "\n"


def _write(directory: Path, rendered: "Mapping[str, str]") -> None:
    try:
        directory.mkdir(parents=True, exist_ok=True)
        for name, text in rendered.items():
            (directory / f"{name.replace('/', '.')}.json").write_text(text, encoding="utf-8")
    except OSError as error:
        raise LabError(f"{directory}: cannot be written to: {error.strerror}") from None
    say(f"wrote {len(rendered)} files to {directory}", err=True)


def _diff(bench: "Bench", new: "Sources", old: "Sources", workload: str) -> bool:
    from difflib import unified_diff

    before, after = _load(bench, old), _load(bench, new)
    names = [workload] if workload else sorted({str(ref) for mesh in (before, after) for ref in mesh.proxies})
    known = [{str(ref) for ref in mesh.proxies} for mesh in (before, after)]
    if workload and not any(workload in proxies for proxies in known):
        raise LabError(
            f"neither input has a proxy {workload}; they have {', '.join(sorted(known[0] | known[1]))}"
        )
    differs = False
    for name in names:
        was, now = (
            _rendered(mesh, [name])[name].splitlines() if name in proxies else []
            for mesh, proxies in zip((before, after), known, strict=True)
        )
        for line in unified_diff(was, now, f"{name} (old)", f"{name} (new)", lineterm=""):
            differs = True
            say(line)
    return differs
