"""The answer that the events of a stream add up to, without I/O: a subclass for each kind."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, TypeAlias

from ..types.chat_common import CompletionUsage
from ..types.chat_completion import ChatCompletion

Received: TypeAlias = Any
"""An event for the user: its JSON, or a `Match` of a template."""


class Answer(ABC):
    """An answer that is being received."""

    __slots__ = ()

    @abstractmethod
    def take(self, value: dict[str, Any], data: bytes = b"") -> dict[str, Any] | None:
        """Take in the JSON of an event, and its text if known.

        Returns:
            The event for the user; `None` if it is not for the user.

        Raises:
            MalformedError: the event has the wrong shape.
        """

    @abstractmethod
    def has_part(self, value: dict[str, Any]) -> bool:
        """Whether a JSON object is part of such an answer."""

    def growing(self, value: dict[str, Any]) -> tuple[str, list[Any]] | None:
        """The field and the pieces of the text that the last event taken in has added to.

        `None` unless the same event with another text would only add that text.
        """
        return None

    @property
    @abstractmethod
    def empty(self) -> bool:
        """Whether no part of the answer has arrived yet."""

    @property
    @abstractmethod
    def finished(self) -> bool:
        """Whether everything that has begun is complete, so that the body may end here."""

    @property
    def complete(self) -> bool:
        """Whether everything requested is complete, so that silence is an end too."""
        return self.finished

    @property
    def expects_more(self) -> bool:
        """Whether something extra that was requested, like the usage, has not arrived yet."""
        return False

    @property
    def failed(self) -> bool:
        """Whether the answer reports a failure."""
        return False

    @property
    def progress(self) -> str:
        """How far the answer has got, for the message if it stops there."""
        return ""

    @property
    def total_tokens(self) -> int | None:
        """The total tokens that the answer reports."""
        return None

    @property
    def usage(self) -> CompletionUsage | None:
        """The tokens used so far: as reported, or estimated.

        Raises:
            MalformedError: what has been received has the wrong shape.
        """
        return None

    def partial(self) -> ChatCompletion | None:
        """The answer so far, for the error that ends it.

        Raises:
            MalformedError: what has been received has the wrong shape.
        """
        return None
