"""How far the upload of a large file has got."""

from __future__ import annotations

from attrs import define, field


@define(kw_only=True)
class UploadProgress:
    """What it takes to resume an upload; filled in by `uploads.upload_file_chunked(resume=...)`.

    All of it is plain data: `attrs.asdict(progress)` can be saved as JSON, and
    `UploadProgress(**saved)` resumes in another process.
    """

    upload_id: str = ""
    """The id of the upload; "" until the server has created it."""
    size: int = 0
    """Bytes of the whole file."""
    part_size: int = 0
    """Bytes of every part, except for the last."""
    part_ids: list[str | None] = field(factory=list)
    """The ids of the parts in their order; `None` for those that have not arrived."""

    @property
    def sent(self) -> int:
        """How many parts have arrived."""
        return sum(part_id is not None for part_id in self.part_ids)
