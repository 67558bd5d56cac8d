"""Wire format of protobuf, as far as ext_authz needs it: varints and length-delimited fields.

See https://protobuf.dev/programming-guides/encoding/.
"""

from __future__ import annotations

__all__ = ["MalformedMessageError", "bytes_field", "message_fields", "text_field", "varint_field"]

_VARINT, _FIXED64, _LENGTH, _FIXED32 = 0, 1, 2, 5
_FIXED_BYTES = {_FIXED64: 8, _FIXED32: 4}
_VARINT_BITS = 64


class MalformedMessageError(ValueError):
    """The bytes are not a protobuf message."""


def message_fields(message: bytes) -> dict[int, list[bytes]]:
    """Return the length-delimited fields of a message by number, in order; fields of other types are skipped.

    Raises:
        MalformedMessageError: It is not a message.
    """
    found: dict[int, list[bytes]] = {}
    at = 0
    while at < len(message):
        tag, at = _read_varint(message, at)
        kind = tag & 7
        if kind == _VARINT:
            _, at = _read_varint(message, at)
        elif kind == _LENGTH:
            length, at = _read_varint(message, at)
            if at + length > len(message):
                raise MalformedMessageError("a field ends after its message")
            found.setdefault(tag >> 3, []).append(message[at : at + length])
            at += length
        elif kind in _FIXED_BYTES:
            at += _FIXED_BYTES[kind]
        else:
            raise MalformedMessageError(f"unknown wire type {kind}")
    return found


def bytes_field(number: int, value: bytes) -> bytes:
    """Write a length-delimited field."""
    return _varint(number << 3 | _LENGTH) + _varint(len(value)) + value


def text_field(number: int, value: str) -> bytes:
    """Write a string field."""
    return bytes_field(number, value.encode())


def varint_field(number: int, value: int) -> bytes:
    """Write an integer or enum field."""
    return _varint(number << 3 | _VARINT) + _varint(value)


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def _read_varint(data: bytes, at: int) -> tuple[int, int]:
    value = 0
    for shift in range(0, _VARINT_BITS, 7):
        if at >= len(data):
            break
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
    raise MalformedMessageError("a number does not end")
