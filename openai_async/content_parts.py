"""Sound and documents as input: `audio_part()` and `file_part()` make content parts from them.

For pictures, see `image_part()` in `vision`.
"""

from __future__ import annotations

import asyncio
import base64
import os
import re
from pathlib import Path
from typing import Any, TypeAlias

from .errors import InvalidArgumentError
from .images import reading
from .images.reading import Readable, ReadableAtOnce
from .types.chat_params import ContentPartFile, ContentPartInputAudio
from .types.files import FileObject

__all__ = ("AudioSource", "FileSource", "audio_part", "file_part")

AudioSource: TypeAlias = (
    str | os.PathLike[str] | bytes | bytearray | memoryview | Readable | ReadableAtOnce
)
FileSource: TypeAlias = AudioSource | FileObject

# The formats that OpenAI's models can hear (https://platform.openai.com/docs/guides/audio).
_AUDIBLE = ("wav", "mp3")
# Bytes that are encoded at once. A multiple of 3, which base64 does not have to fill up.
_PIECE = 3 * 2**17
# What the ids of uploaded files look like.
_FILE_ID = re.compile(r"file[-_][A-Za-z0-9_-]+")


async def audio_part(source: AudioSource, format: str | None = None) -> ContentPartInputAudio:
    """A content part for a recording, to go beside text in a user message's `content`.

    Args:
        source: a path; the bytes of a WAV or MP3 file; an open binary file or anything else with a
            `read()`, sync or async.
        format: the name of the format to send; by default, the one detected from the bytes. Pass it
            for other formats, if the server accepts them: "flac", "ogg", "pcm16" ...

    Raises:
        InvalidArgumentError: the recording cannot be read, is empty or too large, or is in another
            format.

    Example::

        content = [{"type": "text", "text": "What is said here?"}, await audio_part("talk.mp3")]
    """
    if format is not None and (not isinstance(format, str) or not format.strip()):
        msg = f'format is {format!r}: pass the name of a format, like "wav".'
        raise InvalidArgumentError(msg)
    data, what, _ = await _read(source, "recording")
    kind: Any = format or audio_format(data)
    if format is None and kind not in _AUDIBLE:
        msg = f"{what} not a WAV or MP3 file: convert it, or pass the name of its format."
        if kind is not None:
            msg = (
                f"{what} {kind.upper()}, not WAV or MP3: convert it, or pass "
                f'format="{kind}" if the server takes it.'
            )
        raise InvalidArgumentError(msg)
    encoded = await asyncio.to_thread(_base64, "", data)
    return {"type": "input_audio", "input_audio": {"data": encoded, "format": kind}}


async def file_part(source: FileSource, filename: str | None = None) -> ContentPartFile:
    """A content part for a document, such as a PDF, to go beside text in a message's `content`.

    Args:
        source: a path; the bytes of the document; an open binary file or anything else with a
            `read()`, sync or async; the id of a file that has been uploaded, or what
            `client.files.create(...)` returned: then only the id is sent.
        filename: the name that the model sees; by default, that of the path or the open file.

    Raises:
        InvalidArgumentError: the document cannot be read, is empty or too large.

    Example::

        content = [{"type": "text", "text": "Summarize this."}, await file_part("report.pdf")]
    """
    if filename is not None and (not isinstance(filename, str) or not filename.strip()):
        msg = f'filename is {filename!r}: pass a name, like "report.pdf".'
        raise InvalidArgumentError(msg)
    if isinstance(source, FileObject):
        source = source.id
    if isinstance(source, str) and await asyncio.to_thread(_is_id, source):
        if filename is not None:
            msg = "filename cannot be passed for an uploaded file: it keeps the name it has."
            raise InvalidArgumentError(msg)
        return {"type": "file", "file": {"file_id": source}}
    data, _, name = await _read(source, "file")
    return await asyncio.to_thread(_document, data, filename or name)


def audio_format(data: bytes) -> str | None:
    """The format of a recording, from its first bytes; `None` if it is unknown."""
    if data[:4] in (b"RIFF", b"RF64") and data[8:12] == b"WAVE":
        return "wav"
    if data.startswith(b"ID3"):
        return "mp3"
    if data[:1] == b"\xff" and len(data) > 1:
        if data[1] & 0xF6 == 0xF0:  # ADTS: layer 0
            return "aac"
        if data[1] & 0xE6 == 0xE2:  # MPEG audio, layer III
            return "mp3"
    if data[4:8] == b"ftyp":
        return "m4a"
    if data.startswith(b"FORM") and data[8:12] in (b"AIFF", b"AIFC"):
        return "aiff"
    starts = {b"fLaC": "flac", b"OggS": "ogg", b"\x1aE\xdf\xa3": "webm", b"#!AMR": "amr"}
    return next((kind for start, kind in starts.items() if data.startswith(start)), None)


def _is_id(text: str) -> bool:
    """Whether a text is the id of an uploaded file; a file of that name takes precedence."""
    return _FILE_ID.fullmatch(text) is not None and not Path(text).exists()


def _document(data: bytes, name: str) -> ContentPartFile:
    kind = _media_type(data, name)
    if not name:
        name = "file.pdf" if kind == "application/pdf" else "file"
    url = _base64(f"data:{kind};base64,", data)
    return {"type": "file", "file": {"filename": name, "file_data": url}}


def _media_type(data: bytes, name: str) -> str:
    """The media type of a document, from its first bytes, else from its name."""
    import mimetypes  # reads the system's tables

    if data.startswith(b"%PDF-"):
        return "application/pdf"
    return mimetypes.guess_type(name)[0] or "application/octet-stream"


def _base64(head: str, data: bytes) -> str:
    """The bytes as base64, after the head. While one piece is encoded, no other thread runs, and so
    not the event loop either: 20 MB at once would stop it for 50 ms.
    """
    pieces = (data[at : at + _PIECE] for at in range(0, len(data), _PIECE))
    return "".join([head, *(base64.b64encode(piece).decode() for piece in pieces)])


async def _read(source: Any, what: str) -> tuple[bytes, str, str]:
    """The bytes of a source, how an error about them begins, and its name ("" if it has none)."""
    name = ""
    if isinstance(source, str | os.PathLike):
        path = os.fspath(source)
        name, start = Path(path).name, f"{path[:200]!r} is"
        data = await asyncio.to_thread(_from_path, path, what)
    elif isinstance(source, bytes | bytearray | memoryview):
        data, start = bytes(source), "These bytes are"
    elif isinstance(source, reading.Readable | reading.ReadableAtOnce):
        data, start = await reading.read_file(source), "The file is"
        named = getattr(source, "name", None)  # a number, for a file made from a descriptor
        name = Path(named).name if isinstance(named, str) else ""
    else:
        kind = type(source).__name__
        msg = f"A value of type {kind} is not a {what}: pass a path, bytes or an open file."
        raise InvalidArgumentError(msg)
    if not data:
        msg = f"{start} empty."
        raise InvalidArgumentError(msg)
    if len(data) > reading.MAX_IMAGE_SIZE:
        msg = f"{start} larger than {reading.MAX_IMAGE_SIZE // 2**20} MiB."
        raise InvalidArgumentError(msg)
    return data, start, name


def _from_path(path: str, what: str) -> bytes:
    if re.match(r"\s*(https?:|data:|file:)", path, re.IGNORECASE):
        msg = f"{path[:80]!r} is a URL: pass the {what} itself, as a path, bytes or an open file."
        raise InvalidArgumentError(msg)
    if not path:
        msg = f"The path of the {what} is empty."
        raise InvalidArgumentError(msg)
    try:
        with Path(path).open("rb") as file:
            return file.read(reading.MAX_IMAGE_SIZE + 1)
    except FileNotFoundError as error:
        msg = f"There is no file {path[:200]!r}."
        raise InvalidArgumentError(msg) from error
    except (OSError, ValueError) as error:  # a directory, no permission, a null byte in the path
        reason = getattr(error, "strerror", None) or error
        msg = f"Cannot read {path[:200]!r}: {reason}."
        raise InvalidArgumentError(msg) from error
