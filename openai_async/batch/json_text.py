"""A JSON object that is kept as the text it arrived as, and parsed on first access.

What a run passes on from file to server, and from server to file, need not be parsed and serialized
again.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from ..jsontext import loads


class JSONText(Mapping[str, Any]):
    """A JSON object. Its text, valid JSON in UTF-8, is in `data`."""

    __slots__ = ("_model", "_value", "data")

    _value: dict[str, Any]  # set once it has been parsed

    def __init__(self, data: bytes, model: str | None) -> None:
        self.data = data
        self._model = model

    def _parsed(self) -> dict[str, Any]:
        try:
            return self._value
        except AttributeError:
            self._value = loads(self.data)
            return self._value

    def __getitem__(self, key: str) -> Any:
        return self._parsed()[key]

    def get(self, key: str, default: Any = None) -> Any:
        """As `dict.get`. The model, which is looked up for every request, needs no parsing."""
        if key == "model" and self._model is not None:
            return self._model
        return self._parsed().get(key, default)

    def __iter__(self) -> Iterator[str]:
        return iter(self._parsed())

    def __len__(self) -> int:
        return len(self._parsed())

    def __repr__(self) -> str:
        return repr(self._parsed())

    def __reduce__(self) -> tuple[Any, ...]:
        return JSONText, (self.data, self._model)
