"""What the events of a stream add up to: one subclass for each kind of answer, without I/O."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

from ..types.chat import ChatCompletion


class Answer(ABC):
    """An answer that is on its way."""

    @abstractmethod
    def take(self, value: dict[str, Any]) -> dict[str, Any]:
        """Take in the JSON of an event; returns what the reader gets.

        Raises:
            MalformedError: it does not have the shape of an event.
        """

    @abstractmethod
    def has_part(self, value: dict[str, Any]) -> bool:
        """Whether a JSON object is a part of such an answer."""

    @property
    @abstractmethod
    def empty(self) -> bool:
        """Whether no part of the answer has come yet."""

    @property
    @abstractmethod
    def finished(self) -> bool:
        """Whether all that has begun is complete: the end of the body is then the end."""

    @property
    def complete(self) -> bool:
        """Whether all that was asked for is complete: silence is then the end too."""
        return self.finished

    @property
    def expects_more(self) -> bool:
        """Whether something that was asked for is missing, though the answer is whole."""
        return False

    @property
    def failed(self) -> bool:
        """Whether the answer says that it failed."""
        return False

    @property
    def progress(self) -> str:
        """How far the answer has come, for the message if it stops there."""
        return ""

    @property
    def total_tokens(self) -> int | None:
        """What the answer says that it took."""
        return None

    def partial(self) -> ChatCompletion | None:
        """The answer so far, for the error that ends it.

        Raises:
            MalformedError: what has come does not have the shape of an answer.
        """
        return None
