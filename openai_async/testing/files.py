"""The files that clients upload and batches write, all in memory."""

import time
import uuid
from collections.abc import Mapping
from typing import Any

import attrs

from .listing import page_of
from .responses import RefusedError, invalid

PURPOSES = ("assistants", "batch", "fine-tune", "vision", "user_data", "evals")
_LARGEST_PAGE = 10_000
# OpenAI deletes the files of batches after 30 days.
_BATCH_SECONDS = 30 * 24 * 3600


@attrs.frozen
class StoredFile:
    """A file and the object that describes it."""

    data: bytes
    content_type: str
    fields: dict[str, Any]

    @property
    def id(self) -> str:
        return str(self.fields["id"])


class FileStore:
    """The files by id, oldest first."""

    def __init__(self) -> None:
        self._files: dict[str, StoredFile] = {}

    def put(
        self,
        data: bytes,
        filename: str,
        purpose: str,
        *,
        content_type: str = "application/octet-stream",
        seconds: int | None = None,
    ) -> StoredFile:
        """Store a file that expires after `seconds`, if given."""
        now = int(time.time())
        if seconds is None and purpose == "batch":
            seconds = _BATCH_SECONDS
        fields = {
            "id": f"file-{uuid.uuid4().hex[:22]}",
            "object": "file",
            "bytes": len(data),
            "created_at": now,
            "expires_at": None if seconds is None else now + seconds,
            "filename": filename,
            "purpose": purpose,
            "status": "processed",
            "status_details": None,
        }
        file = StoredFile(data, content_type, fields)
        self._files[file.id] = file
        return file

    def get(self, file_id: str) -> StoredFile:
        """The file; 404 if there is none with this id."""
        try:
            return self._files[file_id]
        except KeyError:
            msg = f"No such File object: {file_id}"
            raise RefusedError(404, msg, param="id") from None

    def list(self, query: Mapping[str, str]) -> dict[str, Any]:
        """The page that the query of a request asks for."""
        purpose = query.get("purpose")
        found = [
            file.fields
            for file in self._files.values()
            if purpose in (None, file.fields["purpose"])
        ]
        return page_of(found, query, order="desc", largest=_LARGEST_PAGE, default=_LARGEST_PAGE)

    def delete(self, file_id: str) -> dict[str, Any]:
        self.get(file_id)
        del self._files[file_id]
        return {"id": file_id, "object": "file", "deleted": True}


def lifetime(fields: Mapping[str, Any], name: str = "expires_after") -> int | None:
    """The seconds in the field `name`, within the API's bounds; `None` without it."""
    expires = fields.get(name)
    if expires is None:
        return None
    try:
        seconds = int(expires["seconds"]) if expires["anchor"] == "created_at" else None
    except (KeyError, TypeError, ValueError):
        seconds = None
    if seconds is None:
        msg = f"Invalid '{name}': expected the anchor 'created_at' and a number of seconds."
        raise invalid(msg, name, "invalid_value")
    if not 3600 <= seconds <= 2_592_000:
        msg = f"Invalid '{name}[seconds]': expected a value from 3600 to 2592000, got {seconds}."
        raise invalid(msg, f"{name}[seconds]", "invalid_value")
    return seconds
