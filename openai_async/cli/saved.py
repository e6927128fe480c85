"""`/save` and `/load`: conversations as files, as `Conversation.to_json` writes them."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path
from stat import S_ISREG

from .. import AsyncClient, Conversation, InvalidArgumentError
from .errors import CommandError


def save(conversation: Conversation, path: Path) -> None:
    """Write the file; one that is not a saved conversation is not replaced.

    Raises:
        CommandError: it cannot be written, or must not be.
    """
    try:
        with suppress(FileNotFoundError):
            path.stat()  # unlike `exists()`, it says why a file cannot be looked at
            _check_replaceable(conversation.client, path)
        _write(path.resolve(), conversation.to_json().encode())  # a symbolic link stays one
    except OSError as error:
        msg = f"Cannot write {str(path)!r}: {error.strerror or error}."
        raise CommandError(msg) from error


def load(client: AsyncClient, path: Path) -> Conversation:
    """Read the file.

    Raises:
        CommandError: it cannot be read, or is not a saved conversation.
    """
    name = repr(str(path))
    try:
        if not S_ISREG(path.stat().st_mode):  # reading a pipe or device might never end
            msg = f"{name} is not a file."
            raise CommandError(msg)
        return Conversation.from_json(client, path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        msg = f"There is no file {name}."
        raise CommandError(msg) from error
    except OSError as error:
        msg = f"Cannot read {name}: {error.strerror or error}."
        raise CommandError(msg) from error
    except (InvalidArgumentError, UnicodeDecodeError) as error:
        msg = f"{name} is not a saved conversation."
        raise CommandError(msg) from error


def _check_replaceable(client: AsyncClient, path: Path) -> None:
    try:
        load(client, path)
    except CommandError as error:
        msg = f"{error} It was not replaced: name another file."
        raise CommandError(msg) from error


def _write(target: Path, data: bytes) -> None:
    """Write all of it to a file beside the target, then replace the target."""
    # The name is shortened, so that even the longest file name leaves room for the suffix.
    temporary = target.with_name(f".{target.name[:50]}.{os.getpid()}")
    try:
        with temporary.open("xb") as file:
            file.write(data)
        if target.exists():
            temporary.chmod(target.stat().st_mode)
        temporary.replace(target)
    finally:
        temporary.unlink(missing_ok=True)
