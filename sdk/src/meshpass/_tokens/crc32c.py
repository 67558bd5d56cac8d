"""CRC32C checksum, with which Google's key and secret services protect data in transit."""


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
    """Return the CRC32C of some bytes. It is plain Python, so it suits a few hundred bytes."""
    crc = 0xFFFFFFFF
    for byte in data:
        crc = crc >> 8 ^ _TABLE[(crc ^ byte) & 0xFF]
    return crc ^ 0xFFFFFFFF
