"""Pages that show linked files and folders of the repository, so that a link to one leads somewhere.

Where the address of the repository is known, such links go there instead.
"""

from __future__ import annotations

import posixpath
from pathlib import Path

__all__ = ["Listings", "SiteError"]

_LANGUAGES = {".py": "python", ".json": "json", ".toml": "toml", ".yaml": "yaml", ".yml": "yaml", ".sh": "sh"}
_LARGEST_BYTES = 40_000
"""A larger file is named and not shown."""
_HEAD = "---\nsearch: {exclude: true}\n---\n\n"


class SiteError(Exception):
    """The site has defects; the message names each of them."""


class Listings:
    """Pages of files, made when a link asks for them.

    Args:
        root: The top of the checkout.
        files: Every file of the repository.
    """

    def __init__(self, root: Path, files: list[str]) -> None:
        self._root = root
        self._files = files
        self.pages: dict[str, str] = {}

    def page_of(self, path: str) -> str:
        """Return the path on the site of the page that shows a file or a folder.

        Raises:
            SiteError: The repository has no such path.
        """
        name = f"files/{path}.md"
        if name not in self.pages:
            inside = [file for file in self._files if file.startswith(f"{path}/")]
            if path not in self._files and not inside:
                raise SiteError(f"{path} is linked and is not in the repository. Correct the link.")
            self.pages[name] = ""  # taken, for folders that link to each other
            self.pages[name] = self._folder(path, inside) if inside else self._file(path)
        return name

    def _file(self, path: str) -> str:
        return f"{_HEAD}# {path}\n\n{self._shown(path)}"

    def _folder(self, path: str, inside: list[str]) -> str:
        own = [file for file in inside if posixpath.dirname(file) == path]
        folders = sorted(
            {file[len(path) + 1 :].partition("/")[0] for file in inside} - {Path(file).name for file in own}
        )
        parts = [f"{_HEAD}# {path}/\n"]
        for folder in folders:
            target = posixpath.relpath(self.page_of(f"{path}/{folder}"), f"files/{posixpath.dirname(path)}")
            parts.append(f"- [{folder}/]({target})")
        parts += [f"\n## {Path(file).name}\n\n{self._shown(file)}" for file in own]
        return "\n".join(parts)

    def _shown(self, path: str) -> str:
        content = (self._root / path).read_bytes()
        if len(content) > _LARGEST_BYTES or b"\0" in content:
            return f"{len(content):,} bytes, not shown.\n"
        try:
            text = content.decode()
        except UnicodeDecodeError:
            return f"{len(content):,} bytes that are no text.\n"
        fence = "`" * 6
        return f"{fence}{_LANGUAGES.get(Path(path).suffix, 'text')}\n{text.rstrip()}\n{fence}\n"
