"""Key store in a directory: one PEM file for each key, an index of public data, and a link to the active key."""

import json
import os
import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from meshpass._frames import sealed
from meshpass._tokens.algorithms import public_jwk
from meshpass._tokens.signing_key import load_signing_key
from meshpass.keys._lifecycle_errors import changed_meanwhile, store_error
from meshpass.keys._model import Keys, KeyVersion, State, added

_INDEX = "index.json"
_ACTIVE = "active.pem"


class FileKeyStore:
    """Key store in a directory that only its owner can read. It needs a POSIX file system.

    `1.pem`, `2.pem`, ... hold the private keys, and `index.json` holds their states and public keys. `active.pem` is a
    link to the key that signs; set `SIGNING_KEY_FILE` to it. Each file is written completely or not at all. The file of
    a retired or revoked key is deleted.

    Args:
        directory: The directory of the keys.
    """

    def __init__(self, directory: Path | str) -> None:
        self._directory = Path(directory)

    def __str__(self) -> str:
        return str(self._directory)

    @property
    def active_file(self) -> Path:
        """The link to the active key's file."""
        return self._directory / _ACTIVE

    def prepare(self) -> None:
        """Make the directory."""
        with self._reported("made"):
            self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)

    @sealed
    def load(self) -> Keys:
        """Read the index; a directory without one holds no keys.

        Raises:
            KeyLifecycleError: it cannot be read, or is not an index of keys.
        """
        with self._reported("read"):
            try:
                text = (self._directory / _INDEX).read_text()
            except FileNotFoundError:
                return Keys()
        try:
            return _parsed(text)
        except (ValueError, KeyError, TypeError, AttributeError):
            pass
        raise store_error(f"{self._directory / _INDEX} is not an index of keys.", "Name another directory.")

    @sealed
    def add(self, keys: Keys, pem: bytes, state: State, now: float) -> Keys:
        """Write a key's file under a new number, and add the key to the index.

        Raises:
            KeyLifecycleError: the directory cannot be written, or the keys changed since they were loaded.
        """
        number = max((version.number for version in keys.versions), default=0) + 1
        jwk = public_jwk(load_signing_key(pem, "this process"))
        with self._changing(keys):
            # A crash may have left a file of this number whose key is not in the index. No token was signed with it.
            self._replace(self._key_file(number), lambda file: _write_private(file, pem))
            return self._write(added(keys, KeyVersion(number, state, now, jwk)))

    def save(self, keys: Keys) -> Keys:
        """Write the index, point the link at the active key, and delete the keys that ended.

        Raises:
            KeyLifecycleError: the directory cannot be written, or the keys changed since they were loaded.
        """
        with self._changing(keys):
            return self._write(keys)

    @sealed
    def read(self, number: int) -> bytes:
        """Read a key's file.

        Raises:
            KeyLifecycleError: it is missing or cannot be read.
        """
        with self._reported("read"):
            return self._key_file(number).read_bytes()

    def _write(self, keys: Keys) -> Keys:
        saved = replace(keys, etag=secrets.token_hex(8))
        text = _formatted(saved).encode()
        # The index decides. If a crash prevents the writes after it, the next step repeats them.
        self._replace(self._directory / _INDEX, lambda file: _write_private(file, text))
        if saved.active is None:
            self.active_file.unlink(missing_ok=True)
        else:
            target = self._key_file(saved.active.number).name
            self._replace(self.active_file, lambda file: file.symlink_to(target))
        for version in saved.versions:
            if version.state in ("retired", "revoked"):
                self._key_file(version.number).unlink(missing_ok=True)
        return saved

    def _replace(self, file: Path, write: Callable[[Path], None]) -> None:
        fresh = file.with_name(f".{file.name}.{secrets.token_hex(4)}")
        try:
            write(fresh)
            fresh.replace(file)
        finally:
            fresh.unlink(missing_ok=True)

    def _key_file(self, number: int) -> Path:
        return self._directory / f"{number}.pem"

    @contextmanager
    def _changing(self, keys: Keys) -> Iterator[None]:
        """Lock the directory, and refuse if the keys changed since these were loaded."""
        import fcntl

        with self._reported("changed"):
            directory = os.open(self._directory, os.O_RDONLY | os.O_DIRECTORY)
            try:
                fcntl.flock(directory, fcntl.LOCK_EX)
                if self.load().etag != keys.etag:
                    raise changed_meanwhile(self)
                yield
                os.fsync(directory)
            finally:
                os.close(directory)

    @contextmanager
    def _reported(self, what: str) -> Iterator[None]:
        try:
            yield
        except OSError as exc:
            raise store_error(
                f"The keys in {self._directory} cannot be {what}: {exc.strerror}.",
                "Check that the directory exists and belongs to you.",
            ) from exc


def _write_private(file: Path, data: bytes) -> None:
    descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as stream:
        stream.write(data)
        stream.flush()
        os.fsync(descriptor)


def _formatted(keys: Keys) -> str:
    versions = [
        {"version": v.number, "state": v.state, "created_at": v.created_at, "jwk": v.jwk}
        for v in keys.versions
    ]
    return json.dumps({"etag": keys.etag, "promoted_at": keys.promoted_at, "keys": versions}, indent=2) + "\n"


def _parsed(text: str) -> Keys:
    content: dict[str, Any] = json.loads(text)
    versions = (
        KeyVersion(key["version"], key["state"], key["created_at"], key["jwk"]) for key in content["keys"]
    )
    return Keys(tuple(versions), content["promoted_at"], content["etag"])
