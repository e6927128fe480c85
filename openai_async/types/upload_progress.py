"""How far the upload of a large file has got."""

from __future__ import annotations

from attrs import define, field


@define(kw_only=True)
class UploadProgress:
    """What is needed to resume an upload; `uploads.upload_file_chunked(resume=...)` updates it.

    It is plain data: `attrs.asdict(progress)` can be saved as JSON, and
    `UploadProgress(**saved)` resumes in another process.
    """

    upload_id: str = ""
    """The id of the upload; "" until the server has created it."""
    size: int = 0
    """The size of the whole file in bytes."""
    part_size: int = 0
    """The size of each part but the last, in bytes."""
    part_ids: list[str | None] = field(factory=list)
    """The ids of the parts, in order; `None` for parts that have not arrived."""
    part_hashes: list[str | None] = field(factory=list)
    """The SHA-256 of each part as it was sent, in hexadecimal; shows whether the file changed."""

    @property
    def sent(self) -> int:
        """How many parts have arrived."""
        return sum(part_id is not None for part_id in self.part_ids)
