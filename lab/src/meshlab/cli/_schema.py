"""`meshlab schema`: the JSON schema of case files."""

from importlib.resources import files

from meshlab.cli._output import say

__all__ = ["schema"]


def schema() -> None:
    """Print the JSON schema of case files, for editors and for CI.

    \b
      meshlab schema > case-file.schema.json

    A case file that begins with this line is checked while it is written:

    \b
      # yaml-language-server: $schema=case-file.schema.json
    """  # noqa: D301 - typer's mark for lines to keep
    say(files("meshlab").joinpath("data/case-file.schema.json").read_text(encoding="utf-8"), nl=False)
