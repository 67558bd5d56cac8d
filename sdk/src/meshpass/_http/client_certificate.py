"""Our own certificate and key, as a TLS context takes them: files, PEM in memory, or a function that returns either."""

import os
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING

from meshpass._errors import ConfigurationError

if TYPE_CHECKING:
    import ssl
    from collections.abc import Iterator

    from meshpass._call.service import ClientCert, Pem


class ClientCertificate:
    """A certificate chain with its key. Its `repr` shows neither: a frame that holds it may be shown with an error.

    Args:
        given: As the client's argument `client_cert`; a function is called.

    Raises:
        ConfigurationError: the function failed, or this is no certificate and key.
    """

    __slots__ = ("_chain", "_key", "_password")

    def __init__(self, given: "ClientCert") -> None:
        problem = None
        try:
            self._chain, self._key, *password = given() if callable(given) else given
            self._password: str = (
                password[0] if password else ""
            )  # without one, OpenSSL would ask at the terminal
        except (TypeError, ValueError):
            problem = "it is not a certificate chain, its key, and perhaps a password"
        except Exception as exc:  # noqa: BLE001 - the caller's own function
            problem = f"its function failed with {type(exc).__name__}"
        finally:
            del given
        if problem:
            raise ConfigurationError(f"client_cert cannot be used: {problem}.")

    def load_into(self, context: "ssl.SSLContext") -> None:
        """Let a context show this certificate.

        Raises:
            ConfigurationError: a file cannot be read, or does not hold what it should.
        """
        import ssl

        problem = None
        try:
            with ExitStack() as stack:
                files = [
                    stack.enter_context(_as_file(part)) for part in (Hidden(self._chain), Hidden(self._key))
                ]
                context.load_cert_chain(files[0], files[1], self._password)
        except OSError as exc:  # ssl.SSLError is one
            wrong = "they do not belong together, or the password is not right"
            problem = wrong if isinstance(exc, ssl.SSLError) else exc.strerror
        except (TypeError, ValueError) as exc:
            problem = type(exc).__name__
        # Out of the `except` block, and without the error: its frames saw the key.
        if problem:
            name = "" if isinstance(self._chain, bytes) else f" {self._chain}"
            raise ConfigurationError(f"The client certificate{name} and its key cannot be used: {problem}.")

    def pem(self) -> tuple[bytes, bytes]:
        """Return the chain, and the key without its password, for a library that takes PEM alone.

        Raises:
            ConfigurationError: a file cannot be read, or the password is not right.
        """
        from pathlib import Path

        problem = None
        try:
            chain, key = (
                part if isinstance(part, bytes) else Path(part).read_bytes()
                for part in (self._chain, self._key)
            )
            if self._password:
                key = _without_password(key, self._password)
        except (OSError, TypeError, ValueError) as exc:
            problem = type(exc).__name__
        if problem:
            raise ConfigurationError(f"The client certificate and its key cannot be used: {problem}.")
        return chain, key

    def state(self) -> tuple[object, ...]:
        """Return what differs once the certificate or its key has changed."""
        return tuple(
            _digest(part) if isinstance(part, bytes) else file_state(part)
            for part in (self._chain, self._key)
        )


class Hidden:
    """A path or PEM that no `repr` shows."""

    __slots__ = ("value",)

    def __init__(self, value: "Pem") -> None:
        self.value = value


def file_state(path: "os.PathLike[str] | str") -> object:
    """Return what differs once this file was written or replaced; None where there is none."""
    try:
        found = os.stat(path)  # noqa: PTH116 - for each new connection; Path.stat takes three times as long
    except OSError:
        return None
    return (found.st_mtime_ns, found.st_ctime_ns, found.st_ino, found.st_size)


@contextmanager
def _as_file(hidden: Hidden) -> "Iterator[os.PathLike[str] | str]":
    """Give PEM as the file that OpenSSL asks for: in memory on Linux, elsewhere a file of this user for a moment."""
    if not isinstance(hidden.value, bytes):
        yield hidden.value
        return
    if hasattr(os, "memfd_create") and os.path.isdir("/proc/self/fd"):  # noqa: PTH112
        fileno = os.memfd_create("client-cert", os.MFD_CLOEXEC)
        try:
            with open(fileno, "wb", closefd=False) as file:
                file.write(hidden.value)
            yield f"/proc/self/fd/{fileno}"
        finally:
            os.close(fileno)
        return
    import tempfile

    fileno, path = tempfile.mkstemp(prefix="meshpass-")  # mode 0600
    try:
        with open(fileno, "wb") as file:  # noqa: PTH123 - a number
            file.write(hidden.value)
        yield path
    finally:
        os.unlink(path)  # noqa: PTH108


def _without_password(pem: bytes, password: str) -> bytes:
    from cryptography.hazmat.primitives import serialization

    key = serialization.load_pem_private_key(pem, password.encode())
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def _digest(pem: bytes) -> bytes:
    import hashlib

    return hashlib.sha256(pem).digest()
