"""Writing a picture to a file, completely or not at all. Blocking: called in a thread."""

from __future__ import annotations

import os
import secrets
import threading
from pathlib import Path

from ..errors import InvalidArgumentError, OpenAIError


def check_target(path: object) -> Path:
    """The file that `path` points to, if it can be written."""
    if not isinstance(path, str | os.PathLike) or not os.fspath(path):
        msg = f"path is {path!r}: pass the path of the file to write."
        raise InvalidArgumentError(msg)
    try:
        target = Path(path).resolve()  # follow symbolic links: they must not be replaced
        if target.is_dir():
            msg = f"{str(path)!r} is a directory: pass the path of a file."
            raise InvalidArgumentError(msg)
        if target.exists() and not target.is_file():
            msg = f"{str(path)!r} is a device or pipe: write the bytes from .read() to it."
            raise InvalidArgumentError(msg)
        if not target.parent.is_dir():
            msg = f"There is no directory {str(target.parent)!r}: create it first."
            raise InvalidArgumentError(msg)
    except (OSError, ValueError, RuntimeError, TypeError) as error:
        if isinstance(error, InvalidArgumentError):
            raise
        msg = f"{path!r} is not a valid path: {getattr(error, 'strerror', None) or error}."
        raise InvalidArgumentError(msg) from error
    return target


def check_directory(directory: object, stem: object) -> Path:
    """The directory, if files whose names begin with `stem` can be written to it."""
    if not isinstance(stem, str) or not stem or Path(stem).name != stem:
        msg = f"stem is {stem!r}: pass the beginning of a file name, without a directory."
        raise InvalidArgumentError(msg)
    text = os.fspath(directory) if isinstance(directory, str | os.PathLike) else None
    if not isinstance(text, str) or not text:
        msg = f"directory is {directory!r}: pass the path of the directory to write to."
        raise InvalidArgumentError(msg)
    return check_target(Path(text) / f"{stem}-1").parent


def write_file(target: Path, data: bytes, abandoned: threading.Event) -> None:
    """Write a temporary file and rename it: a reader sees the old file or the new one."""
    # The name is cut, so that even the longest file name leaves room for what is added.
    temporary = target.with_name(f".{target.name[:100]}.{secrets.token_hex(4)}")
    try:
        try:
            with temporary.open("xb") as file:
                file.write(data)
            if target.exists():
                temporary.chmod(target.stat().st_mode)
            if abandoned.is_set():
                temporary.unlink()
            else:
                temporary.replace(target)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
    except OSError as error:
        msg = f"Cannot write {str(target)!r}: {error.strerror or error}."
        raise OpenAIError(msg) from error
