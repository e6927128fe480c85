"""The Models API: https://platform.openai.com/docs/api-reference/models"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from typing import ClassVar

from attrs import define, field

from .base import APIResponse, note_change


@define(kw_only=True, on_setattr=note_change, eq=False, repr=False)
class Model(APIResponse):
    """A model that the server offers."""

    _requires: ClassVar[str] = "id"

    id: str = ""
    object: str = "model"
    created: int = 0
    """Unix time, in seconds."""
    owned_by: str = ""
    shutdown_date: str | None = None
    """ISO 8601 date, once announced."""


@define(kw_only=True, on_setattr=note_change, eq=False, repr=False)
class ModelList(APIResponse):
    """The models of a server: `len()`, iteration and `in` (by id) work on `.data`."""

    _requires: ClassVar[str] = "data"

    object: str = "list"
    data: list[Model] = field(factory=list, metadata={"essential": True})

    def __len__(self) -> int:
        return len(self.data)

    def __iter__(self) -> Iterator[Model]:
        return iter(self.data)

    async def __aiter__(self) -> AsyncIterator[Model]:
        for model in self.data:
            yield model

    def __contains__(self, model: str | Model) -> bool:
        return any(model in (known, known.id) for known in self.data)

    def _repr_html_(self) -> str:
        """How notebooks display it."""
        from .notebooks import date, html_table

        rows = [(model.id, date(model.created), model.owned_by) for model in self.data]
        return html_table(rows, head=("id", "created", "owned by"))


@define(kw_only=True, on_setattr=note_change, eq=False, repr=False)
class ModelDeleted(APIResponse):
    """The response of `models.delete()`."""

    _requires: ClassVar[str] = "id"

    id: str = ""
    object: str = "model"
    deleted: bool = False
