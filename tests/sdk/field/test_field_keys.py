"""Forms in which keys arrive in the field: each signs, or is refused without a word of the key."""

import base64
import json
from typing import Any

import meshpass
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from ..conftest import pem_of  # noqa: TID252 - this folder's parent

_KEY = ec.generate_private_key(ec.SECP256R1())
_PEM = pem_of(_KEY)
_SEC1 = _KEY.private_bytes(
    serialization.Encoding.PEM,
    serialization.PrivateFormat.TraditionalOpenSSL,
    serialization.NoEncryption(),
)
_DER = _KEY.private_bytes(
    serialization.Encoding.DER, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
)
_OPENSSH = _KEY.private_bytes(
    serialization.Encoding.PEM, serialization.PrivateFormat.OpenSSH, serialization.NoEncryption()
)
# As `openssl ecparam -name prime256v1 -genkey` writes it.
_PARAMETERS = b"-----BEGIN EC PARAMETERS-----\nBggqhkjOPQMBBw==\n-----END EC PARAMETERS-----\n"
_SECRET = _KEY.private_numbers().private_value.to_bytes(32, "big")

_SIGNING = {
    "PKCS 8": _PEM,
    "SEC 1": _SEC1,
    "parameters before SEC 1": _PARAMETERS + _SEC1,
    "no line break at the end": _PEM.rstrip(),
    "line breaks at the end": _PEM + b"\n\n\n",
    "on one line": _PEM.replace(b"\n", b" "),
    "line breaks of Windows": _PEM.replace(b"\n", b"\r\n"),
    "lines before it": b"Bag Attributes\n    localKeyID: 01\n" + _PEM,
}
_NOT_SIGNING = {
    "pyjwt#609 line breaks as text": _PEM.replace(b"\n", b"\\n"),
    "in quotes": b'"' + _PEM.replace(b"\n", b"\\n") + b'"',
    "UTF-16": _PEM.decode().encode("utf-16"),
    "OpenSSH": _OPENSSH,
    "DER": _DER,
    "base64 of PEM": base64.b64encode(_PEM),
    "base64 of DER": base64.b64encode(_DER),
    "JWK": json.dumps(
        {"kty": "EC", "crv": "P-256", "d": base64.urlsafe_b64encode(_SECRET).decode()}
    ).encode(),
    "no end": _PEM.partition(b"-----END")[0],
    "no beginning": _PEM.partition(b"-----\n")[2],
    "another end": _PEM.replace(b"END PRIVATE", b"END EC PRIVATE"),
    "cut in the middle": _PEM[: len(_PEM) // 2],
    "one character too few": _PEM.replace(b"\n-----END", b"-----END", 1).replace(b"MI", b"M", 1),
    "spaces for dashes": _PEM.replace(b"-----", b"     "),
    "NUL inside": _PEM[:60] + b"\0" + _PEM[60:],
    "parameters alone": _PARAMETERS,
    "name of a file": b"/etc/keys/signing.pem",
    "white space": b" \n\t",
}


def _source(pem: Any) -> meshpass.SignedJWT:  # noqa: ANN401
    return meshpass.SignedJWT("https://issuer.test", "a", lambda: pem)


@pytest.mark.parametrize("form", _SIGNING)
def test_a_key_signs(form: str) -> None:
    assert _source(_SIGNING[form]).token().claims["kid"] == _source(_PEM).token().claims["kid"]


@pytest.mark.parametrize("form", _NOT_SIGNING)
def test_a_key_that_does_not_sign_is_refused_without_a_word_of_it(form: str) -> None:
    with pytest.raises(meshpass.SigningKeyError) as caught:
        _source(_NOT_SIGNING[form]).token()

    shown = repr(caught.value) + str(caught.value) + str(vars(caught.value))
    body = _PEM.split(b"\n")[1].decode()
    assert not any(body[at : at + 12] in shown for at in range(0, len(body) - 12, 4))
    assert not caught.value.retryable


@pytest.mark.parametrize("pem", [_PEM.decode(), _SEC1.decode()])
def test_pyjwt_234_text_in_place_of_bytes_is_named(pem: str) -> None:
    with pytest.raises(meshpass.SigningKeyError, match="returned str, not bytes"):
        _source(pem).token()
