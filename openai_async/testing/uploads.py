"""Uploads in parts: joined in the order of `part_ids`, and checked against the client's md5."""

import hashlib
import time
import uuid
from collections.abc import Mapping
from typing import Any

import attrs

from . import checks
from .files import PURPOSES, FileStore, lifetime
from .responses import RefusedError, invalid

_SECONDS = 3600
_MAX_BYTES = 8 * 2**30
_MAX_PART = 64 * 2**20


@attrs.frozen
class _Upload:
    fields: dict[str, Any]
    mime_type: str
    seconds: int | None
    parts: dict[str, bytes] = attrs.field(factory=dict)


class UploadStore:
    """The uploads by id."""

    def __init__(self) -> None:
        self._uploads: dict[str, _Upload] = {}

    def create(self, body: Mapping[str, Any]) -> dict[str, Any]:
        for name in ("filename", "mime_type", "purpose"):
            checks.required_string(body, name)
        checks.choice(body, "purpose", PURPOSES)
        size = checks.integer(body, "bytes", 1, _MAX_BYTES)
        if size is None:
            raise checks.missing("bytes")
        now = int(time.time())
        fields = {
            "id": f"upload_{uuid.uuid4().hex}",
            "object": "upload",
            "bytes": size,
            "created_at": now,
            "filename": body["filename"],
            "purpose": body["purpose"],
            "status": "pending",
            "expires_at": now + _SECONDS,
        }
        upload = _Upload(fields, body["mime_type"], lifetime(body))
        self._uploads[fields["id"]] = upload
        return upload.fields

    def add_part(self, upload_id: str, data: bytes) -> dict[str, Any]:
        upload = self._pending(upload_id)
        if len(data) > _MAX_PART:
            msg = f"Invalid 'data': a part has at most {_MAX_PART} bytes, got {len(data)}."
            raise invalid(msg, "data", "invalid_value")
        part_id = f"part_{uuid.uuid4().hex}"
        upload.parts[part_id] = data
        return {
            "id": part_id,
            "object": "upload.part",
            "created_at": int(time.time()),
            "upload_id": upload_id,
        }

    def complete(self, upload_id: str, body: Mapping[str, Any], files: FileStore) -> dict[str, Any]:
        upload = self._pending(upload_id)
        part_ids = body.get("part_ids")
        if not isinstance(part_ids, list) or not part_ids:
            raise checks.missing("part_ids", "a list of ids")
        unknown = [one for one in part_ids if one not in upload.parts]
        if unknown or len({*part_ids}) != len(part_ids):
            msg = "Invalid 'part_ids': expected the ids of this upload's parts, each once."
            raise invalid(msg, "part_ids", "invalid_value")
        data = b"".join(upload.parts[part_id] for part_id in part_ids)
        if len(data) != upload.fields["bytes"]:
            msg = f"The parts have {len(data)} bytes, not {upload.fields['bytes']} as announced."
            raise invalid(msg, "part_ids", "invalid_value")
        md5 = body.get("md5")
        if md5 is not None and md5 != hashlib.md5(data, usedforsecurity=False).hexdigest():
            raise invalid("The parts do not have the expected md5.", "md5", "invalid_value")
        file = files.put(
            data,
            upload.fields["filename"],
            upload.fields["purpose"],
            content_type=upload.mime_type,
            seconds=upload.seconds,
        )
        upload.parts.clear()
        upload.fields.update(status="completed", file=file.fields)
        return upload.fields

    def cancel(self, upload_id: str) -> dict[str, Any]:
        upload = self._pending(upload_id)
        upload.parts.clear()
        upload.fields["status"] = "cancelled"
        return upload.fields

    def _pending(self, upload_id: str) -> _Upload:
        upload = self._uploads.get(upload_id)
        if upload is None:
            raise RefusedError(404, f"No such Upload object: {upload_id}", param="upload_id")
        if upload.fields["status"] != "pending":
            msg = f"The upload is {upload.fields['status']}: it accepts nothing more."
            raise invalid(msg, "upload_id", "invalid_value")
        return upload
