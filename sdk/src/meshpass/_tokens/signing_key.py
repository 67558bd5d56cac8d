"""Signing keys: reading them from PEM, and signing with them."""

from typing import TYPE_CHECKING, NoReturn, Protocol

from meshpass._errors import SigningKeyError
from meshpass._tokens.algorithms import MIN_RSA_BITS, algorithm_of, kind_of, public_jwk, signing_with

if TYPE_CHECKING:
    from meshpass._tokens.algorithms import PrivateKey

_WANTED = (
    f"an unencrypted private key in PEM: EC P-256 or P-384, RSA of {MIN_RSA_BITS} bits or more, or Ed25519"
)
_HOW_TO_MAKE_ONE = "Make one with `openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256`."


class Signer(Protocol):
    """Protocol of an object that signs with one key, in this process or in a service."""

    @property
    def jwk(self) -> dict[str, str]:
        """The public key as a JWK, with its `alg` and `kid`."""
        ...

    @property
    def is_quick(self) -> bool:
        """Whether `sign` takes microseconds and no I/O, so that an event loop may call it."""
        ...

    def sign(self, message: bytes, deadline_s: float) -> bytes:
        """Return a signature in the format of a JWS.

        Raises:
            SigningKeyError: it could not be made.
        """
        ...


class LocalSigner:
    """Signer with a private key in this process.

    Args:
        pem: PKCS#8, PKCS#1 or SEC 1 PEM, without a passphrase.
        where: Where the bytes came from, for messages.

    Raises:
        SigningKeyError: it is not such a key.
    """

    def __init__(self, pem: bytes, where: str) -> None:
        key = load_signing_key(pem, where)
        self.jwk = public_jwk(key)
        self._sign = signing_with(key)
        # RSA takes a millisecond and more.
        self.is_quick = self.jwk["kty"] != "RSA"

    def sign(self, message: bytes, deadline_s: float = 0) -> bytes:
        """Return a signature. It does no I/O, so `deadline_s` has no effect."""
        return self._sign(message)

    def __repr__(self) -> str:
        return f"LocalSigner(kid={self.jwk['kid']!r})"

    def __reduce_ex__(self, protocol: object) -> NoReturn:
        raise TypeError("A LocalSigner cannot be pickled or copied, because it holds a signing key.")


def load_signing_key(pem: bytes, where: str) -> "PrivateKey":
    """Parse a PEM private key and check that it can sign a token.

    Args:
        pem: PKCS#8, PKCS#1 or SEC 1 PEM, without a passphrase.
        where: Where the bytes came from, for the message.

    Raises:
        SigningKeyError: it is not such a key. The message says what it is, and does not show it.
    """
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    try:
        key = load_pem_private_key(pem, password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        key = None
    # Raised outside the `except` block, so that the parser's message about the key is not chained to this error.
    if key is None:
        raise _not_usable(where, _what_it_is(pem))
    if algorithm_of(key) is None:
        raise _not_usable(where, kind_of(key))
    usable: PrivateKey = key  # type: ignore[assignment]  # one of these, as its algorithm shows
    return usable


def _not_usable(where: str, found: str) -> SigningKeyError:
    return SigningKeyError(
        f"The signing key from {where} cannot sign a token: it is {found}, not {_WANTED}.",
        hint=_HOW_TO_MAKE_ONE,
    )


def _what_it_is(pem: bytes) -> str:
    kinds = (
        (b"ENCRYPTED", "encrypted with a passphrase"),
        (b"PUBLIC KEY-----", "a public key"),
        (b"BEGIN CERTIFICATE-----", "a certificate"),
        (b"BEGIN OPENSSH", "a key in OpenSSH's own format"),
        (b"PRIVATE KEY-----", "a PEM private key that is damaged or cut short"),
    )
    for mark, name in kinds:
        if mark in pem:
            return name
    if not pem.strip():
        return "empty"
    return "a JSON document" if pem.lstrip().startswith(b"{") else "not PEM text"
