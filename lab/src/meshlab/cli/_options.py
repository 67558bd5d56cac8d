"""Options that several commands share."""

from pathlib import Path
from typing import Annotated

import typer

from meshlab.bench.protocol import Sources

__all__ = [
    "Addresses",
    "AsJson",
    "EnvFiles",
    "Files",
    "FilesIfAny",
    "HtmlReport",
    "MeshConfigFile",
    "Namespace",
    "sources",
]

_FILES = typer.Option(
    "-f",
    "--filename",
    metavar="PATH",
    help="Manifests: a file, a directory, a kustomization, or - for standard input. May be repeated.",
    show_default=False,
)
Files = Annotated[list[str], _FILES]
FilesIfAny = Annotated[list[str] | None, _FILES]
"""The same for a command that can do without."""
Namespace = Annotated[
    str, typer.Option("--namespace", metavar="NAME", help="The namespace of objects that have none.")
]
MeshConfigFile = Annotated[
    Path | None,
    typer.Option(
        "--mesh-config",
        metavar="FILE",
        help="A MeshConfig, an IstioOperator or the ConfigMap istio; without it, the one among the manifests.",
        show_default=False,
    ),
]

EnvFiles = Annotated[
    list[Path] | None,
    typer.Option(
        "--env-file",
        metavar="FILE",
        help="KEY=VALUE lines; ${KEY} in case files is replaced by the value. May be repeated.",
        show_default=False,
    ),
]
Addresses = Annotated[
    list[str] | None,
    typer.Option(
        "--address",
        metavar="NS/NAME=IP",
        help="The IP address of a workload's pod, for policies that ask for it. May be repeated.",
        show_default=False,
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON document, and nothing else, on stdout.")]
HtmlReport = Annotated[
    Path | None,
    typer.Option(
        "--html",
        metavar="FILE",
        help="Also write a report to look at: one HTML file that needs no server and no network.",
        show_default=False,
    ),
]


def sources(files: list[str], namespace: str, mesh_config: Path | None) -> Sources:
    """Return what the options name."""
    return Sources(tuple(files), namespace, mesh_config)
