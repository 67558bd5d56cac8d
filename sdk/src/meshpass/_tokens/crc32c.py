"""CRC32C, by which Google's key and secret services show that nothing was damaged on the way."""


def _table() -> tuple[int, ...]:
    # RFC 3720, section 12.1 and appendix B.4: the Castagnoli polynomial, bits reflected.
    entries = []
    for entry in range(256):
        for _ in range(8):
            entry = entry >> 1 ^ (0x82F63B78 if entry & 1 else 0)
        entries.append(entry)
    return tuple(entries)


_TABLE = _table()


def crc32c(data: bytes) -> int:
    """Return the CRC32C of some bytes. Made for messages of a few hundred: it is plain Python."""
    crc = 0xFFFFFFFF
    for byte in data:
        crc = crc >> 8 ^ _TABLE[(crc ^ byte) & 0xFF]
    return crc ^ 0xFFFFFFFF
