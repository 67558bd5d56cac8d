"""The certificates of the bridge, made and rotated by the project's own command."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

from meshlab.errors import LabError
from meshlab.quick_dataclass import dataclass

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["BridgeCertificates"]


@dataclass(frozen=True)
class BridgeCertificates:
    """The directory of `deploy/bridge-certificates`.

    Attributes:
        command: The command's file.
        directory: The directory.
    """

    command: Path
    directory: Path

    def run(self, *arguments: str) -> str:
        """Run the command, such as `issue gke`, and return what it prints.

        Raises:
            LabError: It failed; the message is its own.
        """
        line = [sys.executable, str(self.command), "--directory", str(self.directory), *arguments]
        # Our own command, from the checkout that the user named.
        done = subprocess.run(line, capture_output=True, encoding="utf-8", check=False)  # noqa: S603
        if done.returncode:
            raise LabError(done.stderr.strip() or f"{self.command} ended with exit code {done.returncode}")
        return str(done.stdout)

    def secret(self, side: str) -> Path:
        """Return the directory with what the gateway of a side gets: `tls.crt`, `tls.key`, `ca.crt` and `ca.crl`."""
        return self.directory / "secrets" / side

    def authority(self, side: str) -> Path:
        """Return the directory with `ca.pem` and `ca-key.pem` of the only intermediate of a side.

        Raises:
            LabError: It has several.
        """
        found = sorted((self.directory / "authorities" / side).iterdir())
        if len(found) != 1:
            raise LabError(f"the side {side} has {len(found)} intermediates, where one was expected")
        return found[0]

    @property
    def root(self) -> Path:
        """Directory with `ca.pem` and `ca-key.pem` of the root."""
        return self.directory / "authorities" / "root"
