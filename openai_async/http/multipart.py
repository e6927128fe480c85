"""multipart/form-data bodies (RFC 7578), with files that are sent as they are read.

    Multipart({"purpose": "batch", "file": Path("in.jsonl")}, files={"file"})

For each attempt, the body is measured to send Content-Length, and then read 256 KiB at a time, in a
thread. Files opened here are closed when the attempt ends.
"""

from __future__ import annotations

import asyncio
import re
import secrets
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import closing
from typing import Any

from aiohttp.abc import AbstractStreamWriter
from aiohttp.payload import Payload
from attrs import frozen

from ..errors import InvalidArgumentError, OpenAIError
from ..images.format import HEAD_SIZE
from ..jsontext import dumps
from ..sentinels import is_left_out
from .aiohttp_internals import abort_writing
from .file_sources import Reader, Source, readable, source_of
from .headers import check_headers
from .media_types import type_by_content, type_by_name

CHUNK = 256 * 1024
# WHATWG HTML, "multipart/form-data encoding algorithm": nothing else is escaped.
_ESCAPES = str.maketrans({'"': "%22", "\r": "%0D", "\n": "%0A"})
_LINE_BREAK = re.compile(r"\r\n|\r|\n")


class Multipart:
    """The fields and files of a form.

    Args:
        params: what to send. Lists become `name[]`, dicts `name[key]`; `None`, `NOT_GIVEN` and
            `omit` are left out.
        files: which of them are files, or lists of files.

    Raises:
        InvalidArgumentError: a value cannot be sent.
    """

    def __init__(self, params: Mapping[str, Any], files: Collection[str] = ()) -> None:
        self._fields = [
            (field, text)
            for name, value in params.items()
            if name not in files
            for field, text in _flattened(name, value)
        ]
        self._files = [
            file
            for name in files
            if params.get(name) is not None
            for file in _files(name, params[name])
        ]
        self._boundary = f"openai-async-{secrets.token_hex(16)}"
        self._spent = False
        self.failure: OpenAIError | None = None
        """Why the latest attempt could not read a file."""

    @property
    def repeatable(self) -> bool:
        """Whether it can be sent again: `False` once reading a pipe has begun."""
        return not self._spent

    @property
    def content_type(self) -> str:
        """The Content-Type header, with the boundary."""
        return f"multipart/form-data; boundary={self._boundary}"

    async def payload(self) -> Payload:
        """The body for one attempt.

        Raises:
            InvalidArgumentError: a file cannot be read.
            OpenAIError: the body cannot be sent again.
        """
        if self._spent:
            msg = "The file cannot be read a second time: pass a path, bytes or a seekable file."
            raise OpenAIError(msg)
        self.failure = None
        return _FormPayload(self, await asyncio.to_thread(self._pieces))

    def _pieces(self) -> list[bytes | _Content]:
        """The body in order: bytes, with the files in their places. Blocks."""
        text = bytearray()
        pieces: list[bytes | _Content] = []
        for name, value in self._fields:
            text += self._head(name) + b"\r\n" + value + b"\r\n"
        for file in self._files:
            size = file.source.size()
            filename, headers = file.described(sized=size is not None)
            text += self._head(file.field, filename)
            text += "".join(f"{name}: {value}\r\n" for name, value in headers.items()).encode()
            pieces += [bytes(text + b"\r\n"), _Content(file.source, size)]
            text = bytearray(b"\r\n")
        return [*pieces, bytes(text + f"--{self._boundary}--\r\n".encode())]

    def _head(self, name: str, filename: str | None = None) -> bytes:
        line = f'--{self._boundary}\r\nContent-Disposition: form-data; name="{_escaped(name)}"'
        if filename is not None:
            line += f'; filename="{filename.translate(_ESCAPES)}"'
        return line.encode("utf-8", "replace") + b"\r\n"

    def __deepcopy__(self, memo: object) -> Multipart:
        """Returns itself: a copy of a request sends the same files."""
        return self

    def __repr__(self) -> str:
        return f"<Multipart {len(self._fields)} fields, {len(self._files)} files>"


def _escaped(name: str) -> str:
    return _LINE_BREAK.sub("\r\n", name).translate(_ESCAPES)


def _flattened(name: str, value: object) -> Iterator[tuple[str, bytes]]:
    """The form fields for a parameter."""
    if value is None or is_left_out(value):
        return
    if isinstance(value, Mapping):
        for key, item in value.items():
            yield from _flattened(f"{name}[{key}]", item)
    elif isinstance(value, Sequence) and not isinstance(value, str | bytes | bytearray):
        for item in value:
            yield from _flattened(f"{name}[]", item)
    elif isinstance(value, str):
        try:
            yield name, value.encode()
        except UnicodeEncodeError as error:
            msg = f"{name} contains half a character (a lone surrogate): remove it."
            raise InvalidArgumentError(msg) from error
    else:
        yield name, dumps(value)


# --- files ---


@frozen
class _File:
    field: str
    source: Source
    filename: str
    content_type: str
    headers: Mapping[str, str]

    def described(self, *, sized: bool) -> tuple[str, dict[str, str]]:
        """Its filename and headers. Blocks."""
        name = self.filename or self.source.name
        given = {key.title(): value for key, value in self.headers.items()}
        kind = self.content_type or given.get("Content-Type") or type_by_name(name)
        if not (name and kind) and sized:
            reader = self.source.open()
            with closing(reader), readable(self.source):
                found = type_by_content(reader.read(HEAD_SIZE))
            if found is not None:
                name = name or f"upload.{found[0]}"
                kind = kind or found[1]
        kind = kind or "application/octet-stream"
        return name or "upload", {**given, "Content-Type": kind}


def _files(name: str, value: Any) -> Iterator[_File]:
    several = isinstance(value, Sequence) and not isinstance(
        value, str | bytes | bytearray | memoryview
    )
    if several and not (isinstance(value, tuple) and value and isinstance(value[0], str | None)):
        for item in value:
            yield _file(f"{name}[]", name, item)
    else:
        yield _file(name, name, value)


def _file(field: str, argument: str, value: Any) -> _File:
    filename, content_type, headers = "", "", {}
    if isinstance(value, tuple):
        if not 2 <= len(value) <= 4:
            msg = (
                f"{argument} is a tuple of length {len(value)}: "
                "pass (filename, content, content_type)."
            )
            raise InvalidArgumentError(msg)
        name, value, kind, more = (*value, None, None)[:4]
        if not isinstance(name, str | None):
            msg = f"The filename of {argument} has type {type(name).__name__}: pass a string."
            raise InvalidArgumentError(msg)
        check_headers({"Content-Type": kind, **check_headers(more or {})})
        if any(key.lower() == "content-disposition" for key in more or {}):
            msg = f"{argument} has its own Content-Disposition: omit it, and pass a filename."
            raise InvalidArgumentError(msg)
        filename, content_type = name or "", kind or ""
        headers = {key: text for key, text in (more or {}).items() if text is not None}
    return _File(field, source_of(argument, value), filename, content_type, headers)


# --- sending ---


@frozen
class _Content:
    source: Source
    size: int | None


class _FormPayload(Payload):
    """What aiohttp writes for one attempt, in a task of its own."""

    def __init__(self, body: Multipart, pieces: list[bytes | _Content]) -> None:
        super().__init__(body, content_type=body.content_type)
        self._body, self._pieces = body, pieces
        sizes = [len(piece) if isinstance(piece, bytes) else piece.size for piece in pieces]
        self._length = None if None in sizes else sum(size for size in sizes if size)

    @property
    def size(self) -> int | None:
        """For Content-Length; if it is `None`, aiohttp uses chunked encoding."""
        return self._length

    @property
    def autoclose(self) -> bool:
        return True

    def decode(self, encoding: str = "utf-8", errors: str = "strict") -> str:
        msg = "A form with files is only read while it is sent."
        raise TypeError(msg)

    async def write(self, writer: AbstractStreamWriter) -> None:
        try:
            for piece in self._pieces:
                if isinstance(piece, bytes):
                    await writer.write(piece)
                else:
                    await self._write_file(piece, writer)
        except OpenAIError as error:
            # The server still waits for the rest, though it may have begun to answer.
            self._body.failure = error
            abort_writing(writer)
            raise

    async def write_with_length(
        self, writer: AbstractStreamWriter, content_length: int | None
    ) -> None:
        await self.write(writer)

    async def _write_file(self, content: _Content, writer: AbstractStreamWriter) -> None:
        source, left = content.source, content.size
        if left is None:
            self._body._spent = True
        reader = source.open()
        try:
            while True:
                # One byte more than is left shows whether the file has grown.
                size = CHUNK if left is None else min(CHUNK, left + 1)
                data = await _read(source, reader, size)
                if left is not None:
                    if len(data) > left or (left and not data):
                        verb = "grew" if data else "shrank"
                        msg = f"{source!r} {verb} while it was sent: send it once it is complete."
                        raise OpenAIError(msg)
                    left -= len(data)
                if not data:
                    return
                await writer.write(data)
        finally:
            reader.close()


async def _read(source: Source, reader: Reader, size: int) -> bytes:
    def attempt() -> bytes:  # in the thread: no future can hold a StopIteration
        with readable(source):
            return reader.read(size)

    return await asyncio.to_thread(attempt) if reader.blocks else attempt()
