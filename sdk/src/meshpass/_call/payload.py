"""Body of a request as its caller gives it, turned into bytes or into a body that is produced while it is sent."""

import io
import json as json_module
from collections.abc import AsyncIterable, Callable, Iterable, Iterator, Mapping, Sequence
from typing import IO, TYPE_CHECKING, Any, TypeAlias

from meshpass._call.body import RequestBody, part_bytes
from meshpass._call.fields import is_field_value
from meshpass._errors import InvalidRequest

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

    Content: TypeAlias = str | bytes | ReadableBuffer | IO[bytes] | Iterable[bytes] | AsyncIterable[bytes]
    FileContent: TypeAlias = IO[bytes] | bytes | str
    FileSpec: TypeAlias = (
        FileContent
        | tuple[str | None, FileContent]
        | tuple[str | None, FileContent, str | None]
        | tuple[str | None, FileContent, str | None, Mapping[str, str]]
    )
    Files: TypeAlias = Mapping[str, FileSpec] | Sequence[tuple[str, FileSpec]]
    FormValue: TypeAlias = str | bytes | int | float | None
    Form: TypeAlias = Mapping[str, FormValue | Sequence[FormValue]]

Payload = tuple[bytes | RequestBody, str | None]
"""The body, and its content type where it has one."""

_READ_BYTES = 64 * 1024


def json_payload(json: object) -> Payload:
    """Return a body that holds this as JSON (RFC 8259).

    Raises:
        InvalidRequest: it cannot be written as JSON, or has NaN or an infinity in it.
    """
    try:
        text = json_module.dumps(json, separators=(",", ":"), allow_nan=False)
        return text.encode(), "application/json"
    except RecursionError:
        why = "it is nested too deeply or contains itself"
    except Exception as exc:  # noqa: BLE001 - what a caller's own types raise; its text may hold the payload
        why = f"it has a value that JSON cannot hold ({type(exc).__name__})"
    raise InvalidRequest(f"`json` cannot be written as JSON: {why}.")


def content_payload(content: "Content") -> Payload:
    """Return a body of these bytes, as they are.

    A str is sent as UTF-8, an object with a buffer as its bytes, a list or a tuple as its parts joined. A file is sent
    from where it stands to its end, in parts. Other iterables are sent while they produce, and only once.

    Raises:
        InvalidRequest: it is of a type that cannot be sent.
    """
    whole = _whole(content)
    return (_streamed(content) if whole is None else whole), None


def form_payload(data: "Form | None", files: "Files | None", content_type: str | None) -> Payload:
    """Return an HTML form: `multipart/form-data` with files (RFC 7578), and urlencoded without.

    Raises:
        InvalidRequest: a field or a file has a form that cannot be sent.
    """
    if data is not None and not isinstance(data, Mapping):
        raise InvalidRequest("`data` must be a mapping of names to values.", hint="Give bytes as `content`.")
    opened = _file_objects(files) if files is not None else []
    import httpx

    headers = {"content-type": content_type} if content_type is not None else {}
    encoded, why = None, ""
    try:
        encoded = httpx.Request("POST", "http://form", data=data, files=files or None, headers=headers)
        if not opened:
            return encoded.read(), encoded.headers.get("content-type")
    except Exception as exc:  # noqa: BLE001 - what httpx raises for each wrong type; its text may hold the payload
        why = type(exc).__name__
    if encoded is None or not isinstance(encoded.stream, Iterable):
        raise InvalidRequest(f"`data` or `files` has a value that a form cannot hold ({why}).")
    parts, length = encoded.stream, encoded.headers.get("content-length")
    body = RequestBody(
        lambda: iter(parts),
        length=int(length) if length is not None else None,
        replayable=all(_is_seekable(file) for file in opened),
        in_thread=True,
    )
    return body, encoded.headers.get("content-type")


def _whole(content: object) -> bytes | None:
    if isinstance(content, bytes):
        return content
    if isinstance(content, str):
        try:
            return content.encode()
        except UnicodeEncodeError:
            pass
        raise InvalidRequest("`content` is not valid Unicode: it has lone surrogates in it.")
    if isinstance(content, list | tuple):
        return b"".join([part_bytes(part) for part in content])
    try:
        with memoryview(content) as view:  # type: ignore[arg-type]
            return view.tobytes()
    except (TypeError, ValueError, BufferError):
        return None


def _streamed(content: Any) -> RequestBody:  # noqa: ANN401 - any object that a caller may have
    if isinstance(content, io.TextIOBase):
        raise InvalidRequest("`content` is a file in text mode.", hint='Open it with mode "rb".')
    if isinstance(content, AsyncIterable):
        return RequestBody(lambda: content, length=None, replayable=False)
    if callable(getattr(content, "read", None)):
        return _file_body(content)
    if not isinstance(content, Iterable) or isinstance(content, Mapping):
        raise InvalidRequest(
            f"`content` is of type {type(content).__name__}; it must be a str, bytes, a file or an iterable of bytes."
        )
    return RequestBody(lambda: content, length=None, replayable=False)


def _file_body(file: IO[bytes]) -> RequestBody:
    start, length = 0, None
    seekable = _is_seekable(file)
    if seekable:
        start = file.tell()
        length = max(0, file.seek(0, io.SEEK_END) - start)
        file.seek(start)

    def parts() -> Iterator[bytes]:
        if seekable:
            file.seek(start)
        while part := file.read(_READ_BYTES):
            yield part

    return RequestBody(parts, length=length, replayable=seekable, in_thread=True)


def _file_objects(files: Any) -> list[Any]:  # noqa: ANN401 - not checked yet
    is_list = isinstance(files, Sequence) and not isinstance(files, str | bytes)
    if not isinstance(files, Mapping) and not (
        is_list and all(isinstance(pair, tuple) and len(pair) == 2 for pair in files)
    ):
        raise InvalidRequest("`files` must be a mapping of names to files, or a list of pairs.")
    opened = []
    for name, given in files.items() if isinstance(files, Mapping) else files:
        spec = given if isinstance(given, tuple) else (None, given)
        if not isinstance(name, str) or not 2 <= len(spec) <= 4:
            raise InvalidRequest(
                "`files` needs for each name a file, or a tuple of file name, file, type and headers."
            )
        _, file, content_type, headers = (*spec, None, None)[:4]
        headers = {} if headers is None else headers
        if not isinstance(headers, Mapping) or not all(
            is_field_value(text) for text in (content_type or "", *headers.keys(), *headers.values())
        ):
            raise InvalidRequest(
                "A type or header of a file in `files` has characters that a header cannot hold."
            )
        if isinstance(file, io.TextIOBase):
            raise InvalidRequest("A file in `files` is open in text mode.", hint='Open it with mode "rb".')
        if not isinstance(file, str | bytes):
            if not callable(getattr(file, "read", None)):
                raise InvalidRequest(
                    f"A file in `files` is of type {type(file).__name__}; it must be a file, bytes or a str."
                )
            opened.append(file)
    return opened


def _is_seekable(file: Any) -> bool:  # noqa: ANN401 - any object with `read`
    seekable: Callable[[], object] | None = getattr(file, "seekable", None)
    try:
        return seekable is not None and bool(seekable()) and isinstance(file.tell(), int)
    except (OSError, ValueError, AttributeError):
        return False
