"""Form bodies of requests: URL-encoded ones and multipart ones (RFC 7578)."""

from collections.abc import Iterator
from dataclasses import dataclass
from email.message import Message
from urllib.parse import parse_qs

_URL_ENCODED = "application/x-www-form-urlencoded"
_MULTIPART = "multipart/form-data"


@dataclass(frozen=True, slots=True)
class UploadedFile:
    """One file of a multipart form.

    Args:
        filename: The file's name, as the caller gave it.
        content_type: Its media type; empty without one.
        body: Its bytes.
    """

    filename: str
    content_type: str
    body: bytes


def form(content_type: str, body: bytes) -> tuple[dict[str, str], dict[str, UploadedFile]]:
    """Return a form's fields and files, by name.

    Raises:
        ValueError: The content type is not that of a form, or the body is not what it says.
    """
    kind = content_type.partition(";")[0].strip().lower()
    if kind == _URL_ENCODED:
        parsed = parse_qs(body.decode(), keep_blank_values=True)
        return {name: values[-1] for name, values in parsed.items()}, {}
    if kind != _MULTIPART:
        raise ValueError(f"The request's content type is {content_type!r}, and not that of a form.")
    fields: dict[str, str] = {}
    files: dict[str, UploadedFile] = {}
    for headers, content in _parts(parameter(content_type, "boundary"), body):
        disposition = headers.get("content-disposition", "")
        name, filename = parameter(disposition, "name"), parameter(disposition, "filename")
        if filename:
            files[name] = UploadedFile(filename, headers.get("content-type", ""), content)
        else:
            fields[name] = content.decode()
    return fields, files


def parameter(value: str, name: str) -> str:
    """Return a parameter of a header's value, such as the charset of a content type; empty without it."""
    message = Message()
    message["content-type"] = value
    found = message.get_param(name, "")
    return found[2] if isinstance(found, tuple) else str(found)


def _parts(boundary: str, body: bytes) -> Iterator[tuple[dict[str, str], bytes]]:
    if not boundary:
        raise ValueError("The multipart body's content type has no boundary.")
    mark = b"--" + boundary.encode()
    # The line break in front of a boundary belongs to the boundary (RFC 2046, section 5.1.1).
    _, *parts = (b"\r\n" + body).split(b"\r\n" + mark)
    if not parts or not parts[-1].startswith(b"--"):
        raise ValueError("The multipart body does not end with its boundary.")
    for part in parts[:-1]:
        head, _, content = part.removeprefix(b"\r\n").partition(b"\r\n\r\n")
        lines = (line.partition(":") for line in head.decode().split("\r\n"))
        yield {name.strip().lower(): value.strip() for name, _, value in lines}, content
